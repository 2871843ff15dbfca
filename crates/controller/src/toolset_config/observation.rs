//! What is known of the agent of one ToolsetConfig, and when it is asked next. Pure, except that it looks at the clock for
//! the age of the ConfigMap.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crd_types::{AgentServiceRef, AgentStatus, ConditionType, Reason, ToolsetConfigStatus};
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;
use toolset::{render::AgentFile, status::AgentReport};

use crate::{
    agent::{
        answer::EntryState,
        history::{History, Lag, LastLoaded},
        round::TooOld,
        schedule::{Schedule, Timing},
        version::Unsupported,
        view::{Known, NoAnswer, View, view},
        watched::{Backends, PodId},
    },
    api::fence::Term,
};

/// How many Pods of earlier rounds are remembered. If there are more, those of the last round are.
const MOST_REMEMBERED: usize = 1000;

/// Whom is asked. If it changes, everything that is known is outdated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) term: Term,
    /// The uid of the ToolsetConfig.
    pub(super) uid: String,
    pub(super) service: AgentServiceRef,
    /// `consumer.agentVersion`.
    pub(super) version: Option<String>,
}

/// What the agent should have loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    File(Arc<AgentFile>),
    /// The ConfigMap does not hold what was planned, or has no file for the agent.
    Nothing {
        reason: Reason,
        message: String,
    },
}

/// What is known of one agent during one term.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    pub(super) subject: Subject,
    patience: Duration,
    expected: Expected,
    history: History,
    schedule: Schedule,
    known: Option<Known>,
    /// The entries that the last round asks about. It may still be under way.
    asked: BTreeSet<String>,
    /// The ready Pods, as the watch last showed them.
    ready: BTreeSet<PodId>,
    /// The Pods that are not ready any more since the last round began.
    gone: BTreeSet<PodId>,
    /// The Pods of earlier rounds, with what each was last known to have loaded.
    pods: BTreeMap<PodId, Option<LastLoaded>>,
    too_old: TooOld,
    /// The watch of the EndpointSlices does not work.
    is_blind: bool,
    /// What this term found. It is used when the first file is known.
    found: Option<Found>,
    /// What an earlier leader wrote about the same revision. It stays until the first round ends.
    before: Option<(AgentReport, Option<Lag>)>,
    report: AgentReport,
}

/// The status as it was when the observation began.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) status: Arc<ToolsetConfigStatus>,
    /// Whether it is about the present spec. Otherwise it may be about another agent.
    pub(super) same_spec: bool,
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) report: AgentReport,
    /// `None` if nothing is known.
    pub(super) lag: Option<Lag>,
    pub(super) by_state: BTreeMap<EntryState, usize>,
}

impl Observation {
    pub(super) fn new(subject: Subject, timing: Timing, found: Option<Found>) -> Self {
        let (reason, message) = (Reason::WaitingForInputs, "The operator has not listed every input yet.".to_owned());
        let status = found.as_ref().filter(|found| found.same_spec).and_then(|found| found.status.agent.clone());
        Self {
            subject,
            patience: timing.patience,
            report: AgentReport { status, loaded: None, reason, message: message.clone() },
            expected: Expected::Nothing { reason, message },
            history: History::default(),
            schedule: Schedule::new(timing),
            known: None,
            asked: BTreeSet::new(),
            ready: BTreeSet::new(),
            gone: BTreeSet::new(),
            pods: BTreeMap::new(),
            too_old: TooOld::new(),
            is_blind: false,
            found,
            before: None,
        }
    }

    /// The file that the agent should have loaded, if there is one.
    pub(super) fn file(&self) -> Option<&Arc<AgentFile>> {
        match &self.expected {
            Expected::File(file) => Some(file),
            Expected::Nothing { .. } => None,
        }
    }

    /// The Pods that must not be asked again.
    pub(super) fn too_old(&self) -> &TooOld {
        &self.too_old
    }

    /// When the next round is due. There is none while the ConfigMap is not as planned.
    pub(super) fn due(&self) -> Option<Instant> {
        self.file().and_then(|_| self.schedule.due())
    }

    /// How to find the ready Pods, if new ones are of interest. They are not if the agent must not be asked.
    pub(super) fn follows(&self) -> Option<&Arc<Backends>> {
        self.file()?;
        self.known.as_ref().filter(|known| known.problem.is_none())?.backends.as_ref()
    }

    /// The ConfigMap is like this now. `output` is the hash of all its content, if the operator has written it.
    pub(super) fn expect(&mut self, expected: Expected, output: Option<&str>, now: Instant) {
        if let Expected::File(file) = &expected {
            if !self.history.ends_with(&file.hash) {
                let found = self.found.take();
                let (before, age) = found.map(|found| found.about(file, output, self.patience)).unwrap_or_default();
                self.history.applied(&file.hash, file.revision.as_deref(), age, now);
                self.before = before.map(|before| {
                    let lag = self.lag_of(&before);
                    (before, lag)
                });
                self.schedule.changed(now);
            } else if self.schedule.due().is_none() && !file.entries.is_subset(&self.asked) {
                self.schedule.changed(now);
            }
        }
        self.expected = expected;
    }

    /// What a report of an earlier leader says about the present file.
    fn lag_of(&self, before: &AgentReport) -> Option<Lag> {
        match &before.status {
            Some(agent) if agent.replicas > 0 && agent.current == agent.replicas => Some(Lag::Current),
            _ if before.reason == Reason::AgentBehind => self.history.since().map(Lag::BehindSince),
            _ => None,
        }
    }

    /// A round begins.
    pub(super) fn round_begins(&mut self) {
        self.schedule.started();
        self.gone.clear();
        self.asked = self.file().map(|file| file.entries.clone()).unwrap_or_default();
    }

    /// A round has ended.
    pub(super) fn answered(&mut self, mut known: Known, now: Instant) {
        if known.problem.is_some() {
            // Nothing is known of the replicas but what was known before.
            if let Some(old) = self.known.take() {
                (known.ready, known.replicas) = (old.ready, old.replicas);
            }
        } else {
            known.ready.retain(|id| !self.gone.contains(id));
            known.replicas.retain(|id, _| !self.gone.contains(id));
            self.remember(&mut known);
        }
        self.known = Some(known);
        self.before = None;
        let view = self.view();
        self.schedule.ended(now, view.as_ref().is_some_and(|view| view.well), self.deadline(view.as_ref()));
        if view.is_some_and(|view| view.caught_up) {
            self.history.caught_up();
        }
    }

    /// Remembers what the replicas have loaded and which of them are too old.
    fn remember(&mut self, known: &mut Known) {
        let mut replicas = std::mem::take(&mut known.replicas);
        if self.pods.len() > MOST_REMEMBERED {
            self.pods.retain(|id, _| replicas.contains_key(id));
            self.too_old.retain(|(id, _), _| replicas.contains_key(id));
        }
        let file = self.file().cloned();
        for (id, replica) in &mut replicas {
            let last = self.pods.entry(id.clone()).or_default();
            match &replica.answer {
                Ok(answer) => {
                    let present = file.as_ref().filter(|file| known.file == file.hash);
                    let has = present.filter(|file| known.is_current(file, answer)).map(|file| file.hash.clone());
                    let had = last.take().and_then(|last| last.file);
                    let had = had.filter(|had| present.is_none_or(|file| file.hash != *had));
                    *last = Some(LastLoaded { revisions: answer.revisions.clone(), file: has.or(had) });
                }
                Err(NoAnswer::Unsupported(Unsupported::TooOld(said))) => {
                    if let Some(shown) = replica.version.clone().filter(|shown| shown > said) {
                        self.too_old.insert((id.clone(), shown), said.clone());
                    }
                }
                Err(_) => {}
            }
            replica.loaded.clone_from(last);
        }
        known.replicas = replicas;
    }

    /// The round has no result.
    pub(super) fn failed(&mut self, now: Instant) {
        let view = self.view();
        self.schedule.ended(now, false, self.deadline(view.as_ref()));
    }

    /// When a replica that is behind becomes a problem.
    fn deadline(&self, view: Option<&View>) -> Option<Instant> {
        match view?.lag? {
            Lag::BehindSince(since) => Some(since + self.patience),
            Lag::Current => None,
        }
    }

    /// These Pods are ready now.
    pub(super) fn pods(&mut self, ready: BTreeSet<PodId>, now: Instant) {
        let before = std::mem::replace(&mut self.ready, ready);
        self.gone.extend(before.difference(&self.ready).cloned());
        self.gone.retain(|id| !self.ready.contains(id));
        let Some(known) = self.known.as_mut().filter(|known| known.problem.is_none()) else { return };
        let new: Vec<&PodId> =
            self.ready.iter().filter(|id| !before.contains(id) && !known.ready.contains(id)).collect();
        let had_one = !known.ready.is_empty();
        known.ready.retain(|id| self.ready.contains(id));
        known.replicas.retain(|id, _| self.ready.contains(id));
        if new.iter().any(|id| !self.pods.contains_key(id)) {
            self.schedule.changed(now);
        } else if !new.is_empty() || had_one && known.ready.is_empty() {
            // That a Pod is gone needs no request, unless it was the last one.
            self.schedule.returned(now);
        }
    }

    /// Whether the watch that shows new Pods works.
    pub(super) fn sees_pods(&mut self, sees: bool, now: Instant) {
        if sees && self.is_blind {
            self.schedule.changed(now);
        }
        self.is_blind = !sees;
    }

    /// What the status and the metrics say. Returns whether the reason of the condition changed.
    pub(super) fn publish(&mut self) -> (Published, bool) {
        let published = if let Some(View { report, lag, by_state, .. }) = self.view() {
            Published { report: self.unless_blind(report), lag, by_state }
        } else {
            let lag = self.before.as_ref().and_then(|(_, lag)| *lag).filter(|_| self.file().is_some());
            Published { report: self.without_answers(), lag, by_state: BTreeMap::new() }
        };
        let changed = self.report.reason != published.report.reason;
        self.report = published.report.clone();
        (published, changed)
    }

    /// What the answers say. `None` if there are none yet, or if there is nothing to compare them with.
    fn view(&self) -> Option<View> {
        Some(view(self.file()?, &self.history, self.known.as_ref()?, self.patience))
    }

    fn unless_blind(&self, report: AgentReport) -> AgentReport {
        if !self.is_blind {
            return report;
        }
        let message = format!(
            "{} The operator cannot watch the EndpointSlices of the agent, so it does not notice new replicas.",
            report.message
        );
        match report.loaded {
            Some(true) => AgentReport { loaded: None, reason: Reason::InputStale, message, ..report },
            _ => AgentReport { message, ..report },
        }
    }

    /// The report if there is nothing to compare.
    fn without_answers(&self) -> AgentReport {
        let status = self.report.status.clone();
        // It would be about another file.
        let without_column = || status.clone().map(|agent| AgentStatus { loaded: String::new(), ..agent });
        match (&self.expected, &self.before) {
            (Expected::Nothing { reason: Reason::WaitingForInputs, message }, _) => {
                AgentReport { status, loaded: None, reason: Reason::WaitingForInputs, message: message.clone() }
            }
            (Expected::Nothing { reason, message }, _) => {
                AgentReport { status: without_column(), loaded: None, reason: *reason, message: message.clone() }
            }
            (Expected::File(_), Some((before, _))) => before.clone(),
            (Expected::File(file), None) => {
                let what = match &file.revision {
                    Some(revision) => format!("revision {revision}"),
                    None => "the ConfigMap".to_owned(),
                };
                let message = format!("The operator has not asked the agent yet whether it has loaded {what}.");
                AgentReport { status: without_column(), loaded: None, reason: Reason::AgentBehind, message }
            }
        }
    }
}

impl Found {
    /// What the status says about a file, and for how long the ConfigMap has held it.
    fn about(&self, file: &AgentFile, output: Option<&str>, patience: Duration) -> (Option<AgentReport>, Duration) {
        let (age, said) = (age(&self.status, output), restated(&self.status, file).filter(|_| self.same_spec));
        let Some((report, since)) = said else { return (None, age) };
        // Another format may have changed later.
        let behind =
            (report.loaded == Some(false) && report.reason == Reason::AgentBehind).then(|| patience + elapsed(since));
        (Some(report), behind.map_or(age, |behind| behind.max(age)))
    }
}

/// For how long the ConfigMap has had its content, which has this hash. Zero if the status does not know it. Without a
/// hash, the content is that of the status.
fn age(status: &ToolsetConfigStatus, hash: Option<&str>) -> Duration {
    let same = status.output.as_ref().filter(|output| hash.is_none_or(|hash| output.hash == hash));
    same.and_then(|output| output.last_change_time.as_ref()).map_or(Duration::ZERO, |since| elapsed(since.0))
}

fn elapsed(since: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(since)).unwrap_or_default()
}

/// What the status says about the agent, if it is about this file, and since when. A new leader repeats it until it has
/// asked.
fn restated(status: &ToolsetConfigStatus, file: &AgentFile) -> Option<(AgentReport, Timestamp)> {
    let condition = status.conditions.iter().find(|one| one.type_ == ConditionType::AgentLoaded.as_str())?;
    let reasons = [
        Reason::AsExpected,
        Reason::AgentBehind,
        Reason::AgentFailed,
        Reason::AgentUnreachable,
        Reason::AgentUnauthorized,
        Reason::AgentTooOld,
    ];
    let reason = reasons.into_iter().find(|reason| reason.as_str() == condition.reason)?;
    let loaded = match condition.status.as_str() {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    };
    let revision = file.revision.as_deref().unwrap_or_default();
    let same = status.agent.as_ref().is_none_or(|agent| agent.revision == revision);
    let report = AgentReport { status: status.agent.clone(), loaded, reason, message: condition.message.clone() };
    same.then_some((report, condition.last_transition_time.0))
}

#[cfg(test)]
mod tests;
