//! The health of each watch. The caller passes the time.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use toolset::status::Input;

use crate::api::{Cause, watching::WATCH_TIMEOUT_SECONDS};

/// After how long without contact a watch is stale. These are three watch timeouts.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(3 * WATCH_TIMEOUT_SECONDS as u64);

/// For how long the first list may fail before this is reported. Nothing is known without it, so this is short.
const FIRST_LIST_MAY_FAIL: Duration = Duration::from_secs(10);

/// One watch of a kind. It can be limited to one namespace and to one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WatchId {
    pub(crate) input: Input,
    /// Only in this namespace.
    pub(crate) namespace: Option<String>,
    /// Only the object of this name.
    pub(crate) name: Option<String>,
}

impl WatchId {
    /// All objects of a kind.
    pub(crate) fn all(input: Input) -> Self {
        Self { input, namespace: None, name: None }
    }

    /// The objects of a kind in one namespace.
    pub(crate) fn within(input: Input, namespace: &str) -> Self {
        Self { input, namespace: Some(namespace.to_owned()), name: None }
    }

    /// One object.
    pub(crate) fn one(input: Input, namespace: Option<&str>, name: &str) -> Self {
        Self { input, namespace: namespace.map(str::to_owned), name: Some(name.to_owned()) }
    }
}

impl fmt::Display for WatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.input.as_str())?;
        match (&self.namespace, &self.name) {
            (None, None) => Ok(()),
            (Some(namespace), None) => write!(f, " in {namespace}"),
            (None, Some(name)) => write!(f, " {name}"),
            (Some(namespace), Some(name)) => write!(f, " {namespace}/{name}"),
        }
    }
}

/// The health of a watch, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WatchHealth {
    /// Listed, and in contact.
    Synced,
    /// Not listed yet.
    Pending,
    /// Without contact for too long, or the first list fails.
    Stale,
    /// The API server refuses to list or watch.
    Forbidden,
}

#[derive(Debug)]
struct WatchState {
    listed: bool,
    /// The API server answered at least once, perhaps with a refusal. `/ready` waits for this.
    answered: bool,
    problem: Option<Cause>,
    message: String,
    problem_since: Instant,
    contact: Instant,
    /// When it last started again, or had an object of a list. A list in progress is no contact.
    progress: Instant,
    /// How many objects the list in progress has, and the most that a list had before it failed.
    collected: usize,
    furthest: usize,
    /// Since when the first list has failed. A list that gets further than those before it ends this.
    failing_since: Option<Instant>,
    /// Since when it has been stale, while it makes a new list.
    relists_since: Option<Instant>,
    /// The health that the dependents know of. Time alone can change it, too.
    reported: WatchHealth,
}

impl WatchState {
    fn new(now: Instant) -> Self {
        Self {
            listed: false,
            answered: false,
            problem: None,
            message: String::new(),
            problem_since: now,
            contact: now,
            progress: now,
            collected: 0,
            furthest: 0,
            failing_since: None,
            relists_since: None,
            reported: WatchHealth::Pending,
        }
    }

    fn health(&self, now: Instant) -> WatchHealth {
        if self.problem == Some(Cause::Forbidden) {
            WatchHealth::Forbidden
        } else if self.stale_since(now).is_some() {
            WatchHealth::Stale
        } else if self.listed {
            WatchHealth::Synced
        } else {
            WatchHealth::Pending
        }
    }

    /// When it becomes stale, or became stale, unless something happens. A watch that starts again is stale until its
    /// list is complete, because the first bytes of an answer say nothing about what happened meanwhile.
    fn stale_at(&self) -> Option<Instant> {
        if self.listed {
            return self.relists_since.or(Some(self.contact + STALE_AFTER));
        }
        self.failing_since.map(|since| since + FIRST_LIST_MAY_FAIL)
    }

    /// Since when it has been stale, if it is.
    fn stale_since(&self, now: Instant) -> Option<Instant> {
        self.stale_at().filter(|at| *at <= now)
    }

    /// When it has to start again, unless it has contact or a list makes progress.
    fn restart_at(&self) -> Instant {
        self.contact.max(self.progress) + STALE_AFTER
    }
}

/// The combined health of all watches of one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputHealth {
    /// The worst health of these watches. `Pending` if there is no watch.
    pub(crate) health: WatchHealth,
    /// Whether every watch has listed once. Then the index may be outdated, but it is complete.
    pub(crate) listed: bool,
    /// Since when the input has been forbidden or stale, if it is.
    pub(crate) problem_since: Option<Instant>,
    /// The message of the last problem of the worst watch.
    pub(crate) message: String,
}

/// What has changed in the health of a watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HealthChange {
    /// The health changed, so every ToolsetConfig that needs the watch has to be reconciled.
    pub(crate) health: bool,
    /// The kind of its problem changed, which is logged.
    pub(crate) problem: bool,
}

/// The state of every watch.
#[derive(Debug, Default)]
pub(crate) struct Watches(Mutex<BTreeMap<WatchId, WatchState>>);

impl Watches {
    /// Records that a watch starts.
    pub(crate) fn started(&self, id: &WatchId, now: Instant) {
        self.lock().insert(id.clone(), WatchState::new(now));
    }

    /// Removes a watch that no ToolsetConfig needs any more.
    pub(crate) fn stopped(&self, id: &WatchId) {
        self.lock().remove(id);
    }

    /// Records that a list is complete.
    pub(crate) fn listed(&self, id: &WatchId, now: Instant) -> HealthChange {
        self.update(id, now, |state| {
            state.listed = true;
            state.failing_since = None;
            state.relists_since = None;
            state.answered = true;
            state.problem = None;
            state.contact = now;
        })
    }

    /// Records that the namespace of a watch does not exist. The watch is refused for this reason, so no object is
    /// missing.
    pub(crate) fn namespace_gone(&self, id: &WatchId, now: Instant) -> HealthChange {
        self.listed(id, now)
    }

    /// Records that the API server began a successful answer. This ends a refusal and an outage. It does not count as
    /// contact, because the answer may be empty or malformed.
    pub(crate) fn answered(&self, id: &WatchId, now: Instant) -> HealthChange {
        self.update(id, now, |state| {
            if !matches!(state.problem, Some(Cause::Ended | Cause::Decode | Cause::Ahead)) {
                state.problem = None;
            }
        })
    }

    /// Records that the watch had an event, or that it was open for a while.
    pub(crate) fn contact(&self, id: &WatchId, now: Instant) -> HealthChange {
        self.update(id, now, |state| {
            state.problem = None;
            state.contact = now;
        })
    }

    /// Records that a list begins.
    pub(crate) fn begun(&self, id: &WatchId) {
        if let Some(state) = self.lock().get_mut(id) {
            state.furthest = state.furthest.max(state.collected);
            state.collected = 0;
        }
    }

    /// Records an object of the list in progress. The list may take longer than a watch may be silent.
    pub(crate) fn collected(&self, id: &WatchId, now: Instant) -> HealthChange {
        self.update(id, now, |state| {
            state.progress = now;
            state.collected += 1;
            if state.collected > state.furthest {
                state.failing_since = None;
            }
        })
    }

    /// Records an error of the watch.
    pub(crate) fn failed(&self, id: &WatchId, cause: Cause, message: &str, now: Instant) -> HealthChange {
        self.update(id, now, |state| {
            // A refusal is a problem of its own, which begins now even if the connection was broken before.
            if state.problem.is_none() || cause == Cause::Forbidden && state.problem != Some(Cause::Forbidden) {
                state.problem_since = now;
            }
            // A refusal counts until the next successful answer, because a broken connection does not end it. The first
            // message is kept while the kind of the problem is the same, so that the status does not change.
            if state.problem != Some(Cause::Forbidden) && state.problem != Some(cause) {
                state.problem = Some(cause);
                message.clone_into(&mut state.message);
            }
            state.answered |= cause == Cause::Forbidden;
            if !state.listed {
                state.failing_since.get_or_insert(now);
            }
        })
    }

    /// When time alone changes the health of a watch or requires that it starts again.
    pub(crate) fn look_again_at(&self, id: &WatchId, now: Instant) -> Instant {
        let states = self.lock();
        let Some(state) = states.get(id) else { return now + STALE_AFTER };
        let turns_stale = state.stale_at().filter(|at| *at > now);
        turns_stale.map_or(state.restart_at(), |at| at.min(state.restart_at()))
    }

    /// What time alone has changed.
    pub(crate) fn aged(&self, id: &WatchId, now: Instant) -> HealthChange {
        self.update(id, now, |_| {})
    }

    /// Whether a watch has to start again, because it has no contact and no list makes progress.
    pub(crate) fn must_restart(&self, id: &WatchId, now: Instant) -> bool {
        self.lock().get(id).is_some_and(|state| state.restart_at() <= now)
    }

    /// Records that a watch starts again. It is stale until it has listed. A first list without an answer has failed.
    pub(crate) fn restarted(&self, id: &WatchId, now: Instant) -> HealthChange {
        self.update(id, now, |state| {
            if state.listed {
                state.relists_since = state.stale_since(now).or(Some(now));
            } else if state.restart_at() <= now {
                state.failing_since.get_or_insert(state.progress);
            }
            state.progress = now;
        })
    }

    /// The health of all watches of an input.
    pub(crate) fn input_health(&self, input: Input, now: Instant) -> InputHealth {
        self.sum_up(now, |states| {
            states.iter().filter(|(id, _)| id.input == input).map(|(_, state)| Some(state)).collect()
        })
    }

    /// The health of these watches. A watch that does not run has not listed.
    pub(crate) fn health_of(&self, now: Instant, ids: &[WatchId]) -> InputHealth {
        self.sum_up(now, |states| ids.iter().map(|id| states.get(id)).collect())
    }

    fn sum_up(
        &self,
        now: Instant,
        pick: impl FnOnce(&BTreeMap<WatchId, WatchState>) -> Vec<Option<&WatchState>>,
    ) -> InputHealth {
        let states = self.lock();
        let picked = pick(&states);
        let of_kind = || picked.iter().copied().flatten();
        let worst = of_kind().max_by_key(|state| state.health(now));
        let health = worst.map_or(WatchHealth::Pending, |state| state.health(now));
        let message = worst.map(|state| state.message.clone()).unwrap_or_default();
        let listed = !picked.is_empty() && picked.iter().all(|state| state.is_some_and(|state| state.listed));
        let stale_since = of_kind().filter_map(|state| state.stale_since(now));
        let refused_since =
            of_kind().filter(|state| state.problem == Some(Cause::Forbidden)).map(|state| state.problem_since);
        InputHealth { health, listed, problem_since: stale_since.chain(refused_since).min(), message }
    }

    /// Whether each of the needed watches has listed or been refused.
    pub(crate) fn all_answered<'a>(&self, needed: impl IntoIterator<Item = &'a WatchId>) -> bool {
        let states = self.lock();
        needed.into_iter().all(|id| states.get(id).is_some_and(|state| state.answered))
    }

    fn update(&self, id: &WatchId, now: Instant, change: impl FnOnce(&mut WatchState)) -> HealthChange {
        let mut states = self.lock();
        // The watch was stopped in the meantime.
        let Some(state) = states.get_mut(id) else { return HealthChange::default() };
        let problem = state.problem;
        change(state);
        let health = state.health(now);
        let reported = std::mem::replace(&mut state.reported, health);
        HealthChange { health: health != reported, problem: state.problem != problem }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<WatchId, WatchState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
