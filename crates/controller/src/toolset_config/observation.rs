//! What is known of the agent of one ToolsetConfig, and when it is asked next. Pure, except that it looks at the clock for
//! the age of the ConfigMap.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crd_types::{AgentServiceRef, ConditionType, Reason, ToolsetConfigStatus};
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;
use toolset::{render::AgentFile, status::AgentReport};

use crate::{
    agent::{
        answer::EntryState,
        history::History,
        schedule::{Schedule, Timing},
        view::{Known, Outcome, PodId, View, view},
    },
    api::fence::Term,
};

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
    /// The ready Pods, as the watch last showed them.
    ready: BTreeSet<PodId>,
    /// What an earlier leader wrote about the same revision. It stays until the first round ends.
    before: Option<AgentReport>,
    report: AgentReport,
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) report: AgentReport,
    pub(super) behind_since: Option<Instant>,
    pub(super) by_state: BTreeMap<EntryState, usize>,
}

impl Observation {
    pub(super) fn new(subject: Subject, timing: Timing) -> Self {
        let (reason, message) = (Reason::WaitingForInputs, "the first lists are not complete yet".to_owned());
        Self {
            subject,
            patience: timing.patience,
            report: AgentReport { status: None, loaded: None, reason, message: message.clone() },
            expected: Expected::Nothing { reason, message },
            history: History::default(),
            schedule: Schedule::new(timing),
            known: None,
            ready: BTreeSet::new(),
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

    /// When the next round is due. There is none while the ConfigMap is not as planned.
    pub(super) fn due(&self) -> Option<Instant> {
        self.file().and_then(|_| self.schedule.due())
    }

    /// Whether new Pods are of interest. They are not if the agent must not be asked.
    pub(super) fn follows_pods(&self) -> bool {
        self.file().is_some() && matches!(&self.known, Some(Known { outcome: Outcome::Replicas(_), .. }))
    }

    /// The ConfigMap is like this now. `status` is the last status if it is about this spec, and `age` is for how long the ConfigMap has been like
    /// this, as far as the status shows.
    pub(super) fn expect(
        &mut self,
        expected: Expected,
        status: Option<&ToolsetConfigStatus>,
        age: Duration,
        now: Instant,
    ) {
        if let Expected::File(file) = &expected {
            let is_first = self.history.is_empty();
            if is_first || !self.history.ends_with(&file.hash) {
                self.history.applied(&file.hash, file.revision.as_deref(), age, now);
                self.schedule.changed(now);
            }
            if is_first {
                self.before = status.and_then(|status| restated(status, file));
            }
        }
        self.expected = expected;
    }

    /// A round begins.
    pub(super) fn round_begins(&mut self) {
        self.schedule.started();
    }

    /// A round has ended.
    pub(super) fn answered(&mut self, known: Known, now: Instant) {
        self.known = Some(known);
        self.before = None;
        let (well, behind_since) = self.view().map_or((false, None), |view| (view.well, view.behind_since));
        self.schedule.ended(now, well, behind_since.map(|since| since + self.patience));
        if well {
            self.history.caught_up();
        }
    }

    /// The API server did not answer, so the round has no result.
    pub(super) fn failed(&mut self, now: Instant) {
        self.schedule.ended(now, false, None);
    }

    /// These Pods are ready now.
    pub(super) fn pods(&mut self, ready: BTreeSet<PodId>, now: Instant) {
        let before = std::mem::replace(&mut self.ready, ready);
        let Some(Known { outcome: Outcome::Replicas(replicas), .. }) = &mut self.known else { return };
        // A Pod that was left out of the last round is new only once.
        let has_new = self.ready.iter().any(|id| !replicas.contains_key(id) && !before.contains(id));
        let had_one = !replicas.is_empty();
        // That a Pod is gone needs no request, unless it was the last one.
        replicas.retain(|id, _| self.ready.contains(id));
        if has_new || had_one && replicas.is_empty() {
            self.schedule.changed(now);
        }
    }

    /// What the status and the metrics say. Returns whether the reason of the condition changed.
    pub(super) fn publish(&mut self) -> (Published, bool) {
        let published = match self.view() {
            Some(View { report, behind_since, by_state, .. }) => Published { report, behind_since, by_state },
            None => Published { report: self.without_answers(), behind_since: None, by_state: BTreeMap::new() },
        };
        let changed = self.report.reason != published.report.reason;
        self.report = published.report.clone();
        (published, changed)
    }

    /// What the answers say. `None` if there are none yet, or if there is nothing to compare them with.
    fn view(&self) -> Option<View> {
        Some(view(self.file()?, &self.history, self.known.as_ref()?, self.patience))
    }

    /// The report if there is nothing to compare.
    fn without_answers(&self) -> AgentReport {
        let status = self.report.status.clone();
        match &self.expected {
            Expected::Nothing { reason, message } => {
                AgentReport { status, loaded: None, reason: *reason, message: message.clone() }
            }
            Expected::File(file) => self.before.clone().unwrap_or_else(|| {
                let what = match &file.revision {
                    Some(revision) => format!("revision {revision}"),
                    None => "the ConfigMap".to_owned(),
                };
                let message = format!("the operator has not asked the agent yet whether it has loaded {what}");
                AgentReport { status, loaded: None, reason: Reason::AgentBehind, message }
            }),
        }
    }
}

/// For how long the ConfigMap has had its content, which has this hash. Zero if the status does not know it. Without a
/// hash, the content is that of the status.
pub(super) fn age(status: Option<&ToolsetConfigStatus>, hash: Option<&str>) -> Duration {
    let output = status.and_then(|status| status.output.as_ref());
    let same = output.filter(|output| hash.is_none_or(|hash| output.hash == hash));
    let since = same.and_then(|output| output.last_change_time.as_ref());
    since.and_then(|since| Duration::try_from(Timestamp::now().duration_since(since.0)).ok()).unwrap_or_default()
}

/// What the status says about the agent, if it is about this file. A new leader repeats it until it has asked.
fn restated(status: &ToolsetConfigStatus, file: &AgentFile) -> Option<AgentReport> {
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
    same.then(|| AgentReport { status: status.agent.clone(), loaded, reason, message: condition.message.clone() })
}

#[cfg(test)]
mod tests;
