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
    /// Without contact for too long.
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
    restarted: Instant,
    /// Since when it has been stale, while it makes a new list.
    relists_since: Option<Instant>,
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
            restarted: now,
            relists_since: None,
        }
    }

    fn health(&self, now: Instant) -> WatchHealth {
        if self.problem == Some(Cause::Forbidden) {
            WatchHealth::Forbidden
        } else if !self.listed {
            WatchHealth::Pending
        } else if self.stale_since(now).is_some() {
            WatchHealth::Stale
        } else {
            WatchHealth::Synced
        }
    }

    /// Since when it has been stale, if it is. A watch that starts again is stale until its list is complete, because
    /// the first bytes of an answer do not show what happened in the meantime.
    fn stale_since(&self, now: Instant) -> Option<Instant> {
        let silent_since = self.contact + STALE_AFTER;
        self.relists_since.or((now >= silent_since).then_some(silent_since))
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
        })
    }

    /// When a watch becomes stale, or has been stale for another three timeouts, if it has no contact until then.
    pub(crate) fn stale_at(&self, id: &WatchId, now: Instant) -> Instant {
        self.lock().get(id).map_or(now, |state| state.contact.max(state.restarted)) + STALE_AFTER
    }

    /// Records that a stale watch starts again. It stays stale until it has listed.
    pub(crate) fn restarted(&self, id: &WatchId, now: Instant) {
        if let Some(state) = self.lock().get_mut(id) {
            state.restarted = now;
            if state.listed {
                state.relists_since = state.stale_since(now).or(Some(now));
            }
        }
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
        let (health, problem) = (state.health(now), state.problem);
        change(state);
        HealthChange { health: state.health(now) != health, problem: state.problem != problem }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<WatchId, WatchState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn service() -> WatchId {
        WatchId::all(Input::Service)
    }

    fn started() -> (Watches, Instant) {
        let (inputs, now) = (Watches::default(), Instant::now());
        inputs.started(&service(), now);
        (inputs, now)
    }

    #[test]
    fn an_input_is_pending_until_its_list_is_complete() {
        let (inputs, now) = started();
        inputs.contact(&service(), now);
        assert_eq!(
            inputs.input_health(Input::Service, now).health,
            WatchHealth::Pending,
            "an answered page is not a list"
        );
        assert!(inputs.listed(&service(), now).health);
        assert_eq!(inputs.input_health(Input::Service, now).health, WatchHealth::Synced);
    }

    #[test]
    fn a_refusal_counts_at_once_and_ends_with_the_next_good_answer() {
        let (inputs, now) = started();
        inputs.listed(&service(), now);
        assert!(inputs.failed(&service(), Cause::Forbidden, "no", now).health);
        inputs.failed(&service(), Cause::Transport, "refused", now);
        assert_eq!(inputs.input_health(Input::Service, now).health, WatchHealth::Forbidden);
        assert!(inputs.answered(&service(), now).health, "a recovery without any event must trigger");
        assert_eq!(inputs.input_health(Input::Service, now).health, WatchHealth::Synced);
    }

    #[test]
    fn the_beginning_of_an_answer_is_no_contact_and_does_not_end_the_problem_of_empty_answers() {
        let (watches, now) = started();
        watches.listed(&service(), now);
        watches.failed(&service(), Cause::Ended, "empty", now);
        let later = now + STALE_AFTER;
        assert_eq!(watches.answered(&service(), later), HealthChange::default());
        assert_eq!(watches.input_health(Input::Service, later).health, WatchHealth::Stale);
        assert!(watches.contact(&service(), later).problem);
        assert_eq!(watches.input_health(Input::Service, later).health, WatchHealth::Synced);
    }

    #[test]
    fn other_errors_count_only_after_three_watch_timeouts_without_contact() {
        let (inputs, now) = started();
        inputs.listed(&service(), now);
        inputs.failed(&service(), Cause::Transport, "refused", now);
        let almost = now + STALE_AFTER - Duration::from_millis(1);
        assert_eq!(inputs.input_health(Input::Service, almost).health, WatchHealth::Synced);
        let summary = inputs.input_health(Input::Service, now + STALE_AFTER);
        assert_eq!((summary.health, summary.listed), (WatchHealth::Stale, true));
    }

    #[test]
    fn a_stale_watch_that_starts_again_is_stale_until_its_list_is_complete() {
        let (watches, now) = started();
        watches.listed(&service(), now);
        let later = now + STALE_AFTER + Duration::from_secs(1);
        watches.restarted(&service(), later);
        watches.contact(&service(), later);
        let health = watches.input_health(Input::Service, later);
        assert_eq!((health.health, health.problem_since), (WatchHealth::Stale, Some(now + STALE_AFTER)));
        assert!(watches.listed(&service(), later).health);
        assert_eq!(watches.input_health(Input::Service, later).health, WatchHealth::Synced);
    }

    #[test]
    fn a_refusal_after_a_broken_connection_counts_from_the_refusal() {
        let (watches, now) = started();
        watches.listed(&service(), now);
        watches.failed(&service(), Cause::Transport, "refused", now);
        let later = now + Duration::from_secs(100);
        watches.failed(&service(), Cause::Forbidden, "no", later);
        assert_eq!(watches.input_health(Input::Service, later).problem_since, Some(later));
    }

    #[test]
    fn the_worst_of_several_watches_counts() {
        let (inputs, now) = (Watches::default(), Instant::now());
        let (a, b) = (WatchId::within(Input::Service, "a"), WatchId::within(Input::Service, "b"));
        inputs.started(&a, now);
        inputs.started(&b, now);
        inputs.listed(&a, now);
        assert_eq!(inputs.input_health(Input::Service, now).health, WatchHealth::Pending);
        inputs.failed(&b, Cause::Forbidden, "no", now);
        let summary = inputs.input_health(Input::Service, now);
        assert_eq!((summary.health, summary.listed), (WatchHealth::Forbidden, false));
    }

    #[test]
    fn readiness_takes_a_refusal_for_an_answer() {
        let (inputs, now) = started();
        assert!(!inputs.all_answered([&service()]));
        inputs.failed(&service(), Cause::Transport, "refused", now);
        assert!(!inputs.all_answered([&service()]));
        inputs.failed(&service(), Cause::Forbidden, "no", now);
        assert!(!inputs.all_answered([&service(), &WatchId::all(Input::ToolsetConfig)]));
        assert!(inputs.all_answered([&service()]), "refused is answered");
    }
}
