//! What the answers say about the agent: the condition `AgentLoaded`, `status.agent` and the metrics. Pure.
//!
//! With several replicas, the first of these that is true of one of them decides: its key is refused, it is too old, it
//! cannot be reached, it has been behind for too long, an entry is not enabled, it is behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crd_types::{AgentStatus, AgentToolsetStatus, Reason};
use tokio::time::Instant;
use toolset::{render::AgentFile, status::AgentReport};

use super::{
    answer::{Answer, EntryState, Loaded},
    client::Failure,
    history::History,
    version::{OLDEST, Unsupported, Version},
};

/// The most entries in the status.
const MOST_TOOLSETS: usize = 50;
/// The most replicas or entries that a message names.
const MOST_NAMED: usize = 3;

/// The name and the uid of a Pod.
pub(crate) type PodId = (String, String);

/// The result of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// When the last answer came.
    pub(crate) at: Instant,
    /// The hash of the file that the round was made for.
    pub(crate) file: String,
    pub(crate) outcome: Outcome,
    /// What the round has left out, and why.
    pub(crate) remarks: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The replicas, of which there may be none.
    Replicas(BTreeMap<PodId, Replica>),
    /// No replica was asked.
    Problem { reason: Reason, message: String },
}

/// What is known of one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    /// When its Pod was created. It has read the file after that.
    pub(crate) created: Option<Instant>,
    /// The version that its image shows.
    pub(crate) version: Option<Version>,
    pub(crate) answer: Result<Answer, NoAnswer>,
}

/// Why there is no answer of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    Unsupported(Unsupported),
    /// Its address must not be called.
    Refused(String),
    Failed(Failure),
}

/// What follows from all answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) report: AgentReport,
    /// Whether there is nothing to wait for.
    pub(crate) well: bool,
    /// Since when the replica that is behind the longest has been behind.
    pub(crate) behind_since: Option<Instant>,
    /// How many of our entries have which state.
    pub(crate) by_state: BTreeMap<EntryState, usize>,
}

/// The replicas, sorted by what is true of them.
#[derive(Default)]
struct Sorted<'a> {
    unauthorized: Vec<String>,
    unsupported: Vec<String>,
    unreachable: Vec<String>,
    current: usize,
    behind: Option<Instant>,
    versions: BTreeSet<Version>,
    /// The worst state of each entry.
    entries: BTreeMap<&'a str, Loaded>,
}

/// Compares what is known with the file that the ConfigMap holds. `patience` is how long a replica may be behind.
pub(crate) fn view(file: &AgentFile, history: &History, known: &Known, patience: Duration) -> View {
    let replicas = match &known.outcome {
        Outcome::Replicas(replicas) => replicas,
        Outcome::Problem { reason, message } => {
            let report = AgentReport { status: None, loaded: Some(false), reason: *reason, message: message.clone() };
            return View { report, well: false, behind_since: None, by_state: BTreeMap::new() };
        }
    };
    let asked_for_this = known.file == file.hash;
    let mut sorted = Sorted::default();
    for ((pod, _), replica) in replicas {
        sorted.add(pod, replica, file, asked_for_this, history);
    }
    let overdue = sorted.behind.is_some_and(|since| known.at.saturating_duration_since(since) >= patience);
    let total = replicas.len();
    let (loaded, reason, message) = sorted.judge(file, total, overdue, &known.remarks);
    let status = sorted.status(file, total);
    let mut by_state = BTreeMap::new();
    for entry in sorted.entries.values() {
        *by_state.entry(entry.state).or_default() += 1;
    }
    View {
        report: AgentReport { status: Some(status), loaded, reason, message },
        well: loaded == Some(true),
        behind_since: sorted.behind,
        by_state,
    }
}

impl<'a> Sorted<'a> {
    fn add(&mut self, pod: &str, replica: &Replica, file: &'a AgentFile, asked_for_this: bool, history: &History) {
        let answered = replica.answer.as_ref().ok().and_then(|answer| answer.version.clone());
        self.versions.extend(answered.clone().or_else(|| replica.version.clone()));
        let answer = match &replica.answer {
            Ok(answer) => answer,
            Err(NoAnswer::Unsupported(why)) => return self.unsupported.push(format!("replica {pod} {why}")),
            Err(NoAnswer::Refused(why)) => return self.unreachable.push(format!("replica {pod} {why}")),
            Err(NoAnswer::Failed(why @ Failure::Unauthorized { .. })) => {
                return self.unauthorized.push(format!("replica {pod} {why}"));
            }
            Err(NoAnswer::Failed(why)) => return self.unreachable.push(format!("replica {pod} {why}")),
        };
        // The image does not show what it is. It was asked once, and is not asked again.
        if let Some(version) = answered.filter(|version| *version < OLDEST) {
            return self.unsupported.push(format!("replica {pod} {}", Unsupported::TooOld(version)));
        }
        let lists_all = || file.entries.iter().all(|name| answer.entries.contains_key(name));
        let current = match &file.revision {
            Some(revision) => answer.revisions.contains(revision),
            None => asked_for_this && lists_all(),
        };
        if current {
            self.current += 1;
        } else {
            let since = history.behind_since(&answer.revisions).max(replica.created);
            self.behind = self.behind.into_iter().chain(since).min();
        }
        let is_judged = asked_for_this && current;
        for name in &file.entries {
            let missing = is_judged.then_some(Loaded { state: EntryState::Missing, tools: 0 });
            let Some(found) = answer.entries.get(name).copied().or(missing) else { continue };
            // An agent that is behind does not list what is new, and lists a built-in toolset as disabled until it loads
            // our entry. What it has loaded and what fails is a problem.
            if !is_judged && found.state != EntryState::Failed {
                continue;
            }
            let worst = self.entries.entry(name).or_insert(found);
            if worst.state < found.state {
                *worst = found;
            }
        }
    }

    /// The condition.
    fn judge(
        &self,
        file: &AgentFile,
        total: usize,
        overdue: bool,
        remarks: &[String],
    ) -> (Option<bool>, Reason, String) {
        let count = match &file.revision {
            Some(revision) => format!("{} of {total} replicas have loaded revision {revision}", self.current),
            None => format!("{} of {total} replicas list every entry", self.current),
        };
        let failed: Vec<String> =
            self.not_enabled().map(|(name, entry)| format!("{name} ({})", entry.state.as_str())).collect();
        let failed = (!failed.is_empty()).then(|| format!("these entries are not enabled: {}", named(&failed)));
        let (loaded, reason, detail) = if !self.unauthorized.is_empty() {
            (Some(false), Reason::AgentUnauthorized, Some(named(&self.unauthorized)))
        } else if !self.unsupported.is_empty() {
            (Some(false), Reason::AgentTooOld, Some(named(&self.unsupported)))
        } else if !self.unreachable.is_empty() {
            (Some(false), Reason::AgentUnreachable, Some(named(&self.unreachable)))
        } else if total == 0 {
            return (
                Some(false),
                Reason::AgentUnreachable,
                joined(["the Service has no ready replica".to_owned()], remarks),
            );
        } else if overdue {
            let cure = "a replica has been behind for too long; check that it mounts the ConfigMap as a folder and that \
                        TOOLSET_STATUS_REFRESH_INTERVAL_SECONDS of the agent is not 0";
            (Some(false), Reason::AgentBehind, Some(cure.to_owned()))
        } else if failed.is_some() {
            (Some(false), Reason::AgentFailed, None)
        } else if self.current < total {
            let wait = "HolmesGPT reads the file every few minutes";
            (None, Reason::AgentBehind, Some(wait.to_owned()))
        } else {
            (Some(true), Reason::AsExpected, Some("every entry is enabled".to_owned()))
        };
        let unknowable = file.revision.is_none().then(|| {
            "without the revision entry it is not known whether the agent has loaded changes inside of an entry"
                .to_owned()
        });
        (loaded, reason, joined([Some(count), detail, failed, unknowable].into_iter().flatten(), remarks))
    }

    fn not_enabled(&self) -> impl Iterator<Item = (&'a str, &Loaded)> {
        self.entries.iter().filter(|(_, entry)| entry.state != EntryState::Enabled).map(|(name, entry)| (*name, entry))
    }

    fn status(&self, file: &AgentFile, total: usize) -> AgentStatus {
        let toolsets = self.not_enabled().take(MOST_TOOLSETS).map(|(name, entry)| AgentToolsetStatus {
            name: name.to_owned(),
            status: entry.state.as_str().to_owned(),
            tool_count: entry.tools,
        });
        AgentStatus {
            version: self.versions.first().map(ToString::to_string).unwrap_or_default(),
            revision: file.revision.clone().unwrap_or_default(),
            replicas: i32::try_from(total).unwrap_or(i32::MAX),
            current: i32::try_from(self.current).unwrap_or(i32::MAX),
            loaded: format!("{}/{total}", self.current),
            toolsets: toolsets.collect(),
        }
    }
}

fn joined(parts: impl IntoIterator<Item = String>, remarks: &[String]) -> String {
    let parts: Vec<String> = parts.into_iter().chain(remarks.iter().cloned()).collect();
    parts.join("; ")
}

/// The first ones, and how many there are besides.
fn named(all: &[String]) -> String {
    let first = all.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(MOST_NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
