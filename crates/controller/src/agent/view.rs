//! What the answers say about the agent: the condition `AgentLoaded`, `status.agent` and the metrics. Pure.
//!
//! With several replicas, the first of these that is true of one of them decides: its key is refused, it is too old, it
//! cannot be reached, it has been behind for too long, an entry is not enabled, it is behind.
//!
//! Only what was asked is judged. An entry that the last round did not ask about is neither enabled nor missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crd_types::{AgentStatus, AgentToolsetStatus, Reason};
use tokio::time::Instant;
use toolset::{render::AgentFile, status::AgentReport};

use super::{
    answer::{Answer, EntryState, Loaded},
    client::Failure,
    history::{History, Lag, LastLoaded},
    version::{Unsupported, Version},
    watched::{Backends, PodId},
};

/// The most entries in the status.
const MOST_TOOLSETS: usize = 50;
/// The most replicas or entries that a message names.
const MOST_NAMED: usize = 3;

/// The result of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// When the last answer came.
    pub(crate) at: Instant,
    /// The hash of the file that the round was made for.
    pub(crate) file: String,
    /// The entries that the round asked about.
    pub(crate) wanted: BTreeSet<String>,
    /// Why no replica could be asked.
    pub(crate) problem: Option<(Reason, String)>,
    /// The ready Pods of the Service, which the round found in this way.
    pub(crate) ready: BTreeSet<PodId>,
    pub(crate) backends: Option<Arc<Backends>>,
    /// Those that the round asked, or refused to ask. If there was a problem, those of the round before.
    pub(crate) replicas: BTreeMap<PodId, Replica>,
    /// What the round has left out, and why.
    pub(crate) remarks: Vec<String>,
}

impl Known {
    /// Whether a replica that gave this answer has loaded the file. Without a revision entry, it has if it lists every
    /// entry that it was asked about.
    pub(crate) fn is_current(&self, file: &AgentFile, answer: &Answer) -> bool {
        match &file.revision {
            Some(revision) => answer.revisions.contains(revision),
            None => self.file == file.hash && self.asked(file).all(|name| answer.entries.contains_key(name)),
        }
    }

    /// The entries of the file that the round asked about.
    fn asked<'a>(&self, file: &'a AgentFile) -> impl Iterator<Item = &'a String> {
        file.entries.iter().filter(|name| self.wanted.contains(*name))
    }

    /// Whether the round asked about all that the file has now.
    fn is_about(&self, file: &AgentFile) -> bool {
        self.file == file.hash && file.entries.is_subset(&self.wanted)
    }
}

/// What is known of one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    /// When its Pod was created. It has read the file after that.
    pub(crate) created: Option<Instant>,
    /// The version that its image shows.
    pub(crate) version: Option<Version>,
    pub(crate) answer: Result<Answer, NoAnswer>,
    /// What it had loaded when it last answered, in this round or an earlier one.
    pub(crate) loaded: Option<LastLoaded>,
}

impl Replica {
    pub(crate) fn new(created: Option<Instant>, version: Option<Version>, answer: Result<Answer, NoAnswer>) -> Self {
        Self { created, version, answer, loaded: None }
    }

    /// Whether it is behind. `None` if it has never answered.
    fn lag(&self, file: &AgentFile, history: &History, known: &Known) -> Option<Lag> {
        if self.answer.as_ref().is_ok_and(|answer| known.is_current(file, answer)) {
            return Some(Lag::Current);
        }
        let lag = history.lag(self.loaded.as_ref()?);
        // A Pod has not been behind for longer than it exists.
        Some(match (lag, self.created) {
            (Lag::BehindSince(since), Some(created)) => Lag::BehindSince(since.max(created)),
            (lag, _) => lag,
        })
    }
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
    /// Whether every replica has loaded the file, whatever the states of its entries are.
    pub(crate) caught_up: bool,
    /// Whether a replica is behind. `None` if none of them has ever answered.
    pub(crate) lag: Option<Lag>,
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
    versions: BTreeSet<Version>,
    /// The worst state of each entry.
    entries: BTreeMap<&'a str, Loaded>,
}

/// Compares what is known with the file that the ConfigMap holds. `patience` is how long a replica may be behind.
pub(crate) fn view(file: &AgentFile, history: &History, known: &Known, patience: Duration) -> View {
    let lag = known.replicas.values().filter_map(|replica| replica.lag(file, history, known)).min();
    if let Some((reason, message)) = &known.problem {
        let report = AgentReport { status: None, loaded: Some(false), reason: *reason, message: message.clone() };
        return View { report, well: false, caught_up: false, lag, by_state: BTreeMap::new() };
    }
    let mut sorted = Sorted::default();
    for ((pod, _), replica) in &known.replicas {
        sorted.add(pod, replica, file, known);
    }
    let total = known.ready.len();
    let overdue = matches!(lag, Some(Lag::BehindSince(since)) if known.at.saturating_duration_since(since) >= patience);
    let (loaded, reason, message) = sorted.judge(file, known, total, overdue);
    let status = sorted.status(file, total);
    let mut by_state = BTreeMap::new();
    for entry in sorted.entries.values() {
        *by_state.entry(entry.state).or_default() += 1;
    }
    View {
        report: AgentReport { status: Some(status), loaded, reason, message },
        well: loaded == Some(true),
        caught_up: total > 0 && sorted.current == total && known.file == file.hash,
        lag,
        by_state,
    }
}

impl<'a> Sorted<'a> {
    fn add(&mut self, pod: &str, replica: &Replica, file: &'a AgentFile, known: &Known) {
        let version = match &replica.answer {
            Ok(answer) => answer.version.as_ref(),
            Err(NoAnswer::Unsupported(Unsupported::TooOld(version))) => Some(version),
            Err(_) => None,
        };
        self.versions.extend(version.or(replica.version.as_ref()).cloned());
        let answer = match &replica.answer {
            Ok(answer) => answer,
            Err(NoAnswer::Unsupported(why)) => return self.unsupported.push(format!("replica {pod} {why}")),
            Err(NoAnswer::Refused(why)) => return self.unreachable.push(format!("replica {pod} {why}")),
            Err(NoAnswer::Failed(why @ Failure::Unauthorized { .. })) => {
                return self.unauthorized.push(format!("replica {pod} {why}"));
            }
            Err(NoAnswer::Failed(why)) => return self.unreachable.push(format!("replica {pod} {why}")),
        };
        let current = known.is_current(file, answer);
        self.current += usize::from(current);
        let is_judged = current && known.file == file.hash;
        for name in known.asked(file) {
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
    fn judge(&self, file: &AgentFile, known: &Known, total: usize, overdue: bool) -> (Option<bool>, Reason, String) {
        let remarks = &known.remarks;
        let count = match &file.revision {
            Some(revision) => format!("{} of {total} replicas have loaded revision {revision}", self.current),
            None => format!("{} of {total} replicas list every entry", self.current),
        };
        let failed: Vec<String> =
            self.not_enabled().map(|(name, entry)| format!("{name} ({})", entry.state.as_str())).collect();
        let failed = (!failed.is_empty())
            .then(|| format!("some entries are not enabled: {}. The agent's log shows why", named(&failed)));
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
                joined(
                    ["the Service has no ready Pod. Check that the agent is running and that the Service selects its Pods"
                        .to_owned()],
                    remarks,
                ),
            );
        } else if overdue {
            let cure = "a replica has been behind for too long. Check that it mounts the ConfigMap as a directory, without subPath, \
                        and that its environment variable TOOLSET_STATUS_REFRESH_INTERVAL_SECONDS is not 0";
            (Some(false), Reason::AgentBehind, Some(cure.to_owned()))
        } else if failed.is_some() {
            (Some(false), Reason::AgentFailed, None)
        } else if self.current < total {
            let wait = "HolmesGPT reads the file every few minutes";
            (None, Reason::AgentBehind, Some(wait.to_owned()))
        } else if !known.is_about(file) {
            let wait = "the operator has not checked yet whether every entry is enabled";
            (None, Reason::AgentBehind, Some(wait.to_owned()))
        } else {
            (Some(true), Reason::AsExpected, Some("every entry is enabled".to_owned()))
        };
        let unknowable = file.revision.is_none().then(|| {
            "without the revision entry, the operator cannot know whether the agent has loaded changes within an entry"
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

/// The parts as sentences.
fn joined(parts: impl IntoIterator<Item = String>, remarks: &[String]) -> String {
    let parts: Vec<String> = parts.into_iter().chain(remarks.iter().cloned()).collect();
    parts.iter().map(|part| format!("{}.", capitalised(part))).collect::<Vec<_>>().join(" ")
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
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
