//! What each watch is worth right now: listed, refused, stale. Pure but for the lock; the clock is the caller's.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::{Input, STALE_AFTER};
use crate::error::Cause;

/// One watch: a kind, perhaps in one namespace, perhaps of one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId {
    /// The kind.
    pub input: Input,
    /// Only in this namespace.
    pub namespace: Option<String>,
    /// Only the object of this name.
    pub name: Option<String>,
}

impl WatchId {
    /// All objects of a kind.
    pub fn all(input: Input) -> Self {
        Self { input, namespace: None, name: None }
    }

    /// The objects of a kind in one namespace.
    pub fn within(input: Input, namespace: &str) -> Self {
        Self { input, namespace: Some(namespace.to_owned()), name: None }
    }

    /// One object.
    pub fn one(input: Input, namespace: Option<&str>, name: &str) -> Self {
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

/// How far a watch can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Listed, and in contact.
    Synced,
    /// Not listed yet.
    Pending,
    /// Out of contact for too long.
    Stale,
    /// We may not read it.
    Forbidden,
}

#[derive(Debug)]
struct WatchState {
    listed: bool,
    /// Answered at least once, be it with a refusal: what `/ready` waits for.
    answered: bool,
    trouble: Option<Cause>,
    /// The trouble in words.
    words: String,
    troubled_since: Instant,
    contact: Instant,
    restarted: Instant,
}

impl WatchState {
    fn new(now: Instant) -> Self {
        Self {
            listed: false,
            answered: false,
            trouble: None,
            words: String::new(),
            troubled_since: now,
            contact: now,
            restarted: now,
        }
    }

    fn standing(&self, now: Instant) -> Standing {
        if self.trouble == Some(Cause::Forbidden) {
            Standing::Forbidden
        } else if !self.listed {
            Standing::Pending
        } else if now >= self.contact + STALE_AFTER {
            Standing::Stale
        } else {
            Standing::Synced
        }
    }
}

/// What all watches of one kind say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The worst of them; `Pending` if there is none.
    pub standing: Standing,
    /// Whether every one has listed at some time: what is in the index is old at worst, not partial.
    pub listed: bool,
    /// Since when the worst has been in trouble, if it is.
    pub troubled_since: Option<Instant>,
    /// The trouble of the worst, in words.
    pub words: String,
}

/// What an occurrence changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// What the watch is worth: whoever depends on it has to look again.
    pub standing: bool,
    /// The kind of trouble it is in: worth a log line.
    pub trouble: bool,
}

/// The state of every watch.
#[derive(Debug, Default)]
pub struct Inputs(Mutex<BTreeMap<WatchId, WatchState>>);

impl Inputs {
    /// A watch starts.
    pub fn started(&self, id: &WatchId, now: Instant) {
        self.lock().insert(id.clone(), WatchState::new(now));
    }

    /// A watch ended, because nobody needs it any more.
    pub fn stopped(&self, id: &WatchId) {
        self.lock().remove(id);
    }

    /// A list is complete.
    pub fn listed(&self, id: &WatchId, now: Instant) -> Shift {
        self.update(id, now, |state| {
            state.listed = true;
            state.answered = true;
            state.trouble = None;
            state.contact = now;
        })
    }

    /// The API server answered well.
    pub fn contact(&self, id: &WatchId, now: Instant) -> Shift {
        self.update(id, now, |state| {
            state.trouble = None;
            state.contact = now;
        })
    }

    /// The watch met an error.
    pub fn failed(&self, id: &WatchId, cause: Cause, words: &str, now: Instant) -> Shift {
        self.update(id, now, |state| {
            if state.trouble.is_none() {
                state.troubled_since = now;
            }
            // A refusal stands until the next good answer: a broken connection after it does not mean that we may. And the
            // first words stand while the trouble is of one kind, so that a status made of them stands still.
            if state.trouble != Some(Cause::Forbidden) && state.trouble != Some(cause) {
                state.trouble = Some(cause);
                words.clone_into(&mut state.words);
            }
            state.answered |= cause == Cause::Forbidden;
        })
    }

    /// When a watch has to be taken for stale, or stale for yet another while, if nothing is heard until then.
    pub fn stale_at(&self, id: &WatchId, now: Instant) -> Instant {
        self.lock().get(id).map_or(now, |state| state.contact.max(state.restarted)) + STALE_AFTER
    }

    /// A stale watch starts over. It stays stale until it hears something.
    pub fn restarted(&self, id: &WatchId, now: Instant) {
        if let Some(state) = self.lock().get_mut(id) {
            state.restarted = now;
        }
    }

    /// What the watches of a kind are worth together.
    pub fn summary(&self, input: Input, now: Instant) -> Summary {
        self.sum_up(now, |states| {
            states.iter().filter(|(id, _)| id.input == input).map(|(_, state)| Some(state)).collect()
        })
    }

    /// What these watches are worth together. One that does not run has not listed.
    pub fn summary_of(&self, now: Instant, ids: &[WatchId]) -> Summary {
        self.sum_up(now, |states| ids.iter().map(|id| states.get(id)).collect())
    }

    fn sum_up(
        &self,
        now: Instant,
        pick: impl FnOnce(&BTreeMap<WatchId, WatchState>) -> Vec<Option<&WatchState>>,
    ) -> Summary {
        let states = self.lock();
        let picked = pick(&states);
        let of_kind = || picked.iter().copied().flatten();
        let worst = of_kind().max_by_key(|state| state.standing(now));
        let standing = worst.map_or(Standing::Pending, |state| state.standing(now));
        let words = worst.map(|state| state.words.clone()).unwrap_or_default();
        let listed = !picked.is_empty() && picked.iter().all(|state| state.is_some_and(|state| state.listed));
        let stale_since = of_kind().map(|state| state.contact + STALE_AFTER).filter(|since| *since <= now);
        let refused_since =
            of_kind().filter(|state| state.trouble == Some(Cause::Forbidden)).map(|state| state.troubled_since);
        Summary { standing, listed, troubled_since: stale_since.chain(refused_since).min(), words }
    }

    /// Whether every one of `needed` has listed or been refused.
    pub fn all_answered<'a>(&self, needed: impl IntoIterator<Item = &'a WatchId>) -> bool {
        let states = self.lock();
        needed.into_iter().all(|id| states.get(id).is_some_and(|state| state.answered))
    }

    fn update(&self, id: &WatchId, now: Instant, change: impl FnOnce(&mut WatchState)) -> Shift {
        let mut states = self.lock();
        // A late word of a watch that was stopped.
        let Some(state) = states.get_mut(id) else { return Shift::default() };
        let (standing, trouble) = (state.standing(now), state.trouble);
        change(state);
        Shift { standing: state.standing(now) != standing, trouble: state.trouble != trouble }
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

    fn started() -> (Inputs, Instant) {
        let (inputs, now) = (Inputs::default(), Instant::now());
        inputs.started(&service(), now);
        (inputs, now)
    }

    #[test]
    fn an_input_is_pending_until_its_list_is_complete() {
        let (inputs, now) = started();
        inputs.contact(&service(), now);
        assert_eq!(inputs.summary(Input::Service, now).standing, Standing::Pending, "an answered page is not a list");
        assert!(inputs.listed(&service(), now).standing);
        assert_eq!(inputs.summary(Input::Service, now).standing, Standing::Synced);
    }

    #[test]
    fn a_refusal_counts_at_once_and_ends_with_the_next_good_answer() {
        let (inputs, now) = started();
        inputs.listed(&service(), now);
        assert!(inputs.failed(&service(), Cause::Forbidden, "no", now).standing);
        inputs.failed(&service(), Cause::Transport, "refused", now);
        assert_eq!(inputs.summary(Input::Service, now).standing, Standing::Forbidden);
        assert!(inputs.contact(&service(), now).standing, "recovery without any event must wake");
        assert_eq!(inputs.summary(Input::Service, now).standing, Standing::Synced);
    }

    #[test]
    fn other_errors_count_only_after_three_watch_timeouts_without_contact() {
        let (inputs, now) = started();
        inputs.listed(&service(), now);
        inputs.failed(&service(), Cause::Transport, "refused", now);
        let almost = now + STALE_AFTER - Duration::from_millis(1);
        assert_eq!(inputs.summary(Input::Service, almost).standing, Standing::Synced);
        let summary = inputs.summary(Input::Service, now + STALE_AFTER);
        assert_eq!((summary.standing, summary.listed), (Standing::Stale, true));
    }

    #[test]
    fn the_worst_of_several_watches_counts() {
        let (inputs, now) = (Inputs::default(), Instant::now());
        let (a, b) = (WatchId::within(Input::Service, "a"), WatchId::within(Input::Service, "b"));
        inputs.started(&a, now);
        inputs.started(&b, now);
        inputs.listed(&a, now);
        assert_eq!(inputs.summary(Input::Service, now).standing, Standing::Pending);
        inputs.failed(&b, Cause::Forbidden, "no", now);
        let summary = inputs.summary(Input::Service, now);
        assert_eq!((summary.standing, summary.listed), (Standing::Forbidden, false));
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
