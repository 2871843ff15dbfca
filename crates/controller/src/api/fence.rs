//! Who leads, and until when this replica may start a write.
//!
//! Leadership is a [`Term`] and not a flag: a task that slept through "lost" and "regained" sees another number, so it
//! knows that what it remembers may no longer be true.

use std::fmt;

use tokio::{sync::watch, time::Instant};

use super::error::Error;

/// One period of leadership of this replica. Each time the replica acquires the lease, a new term begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Term(u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    term: Option<Term>,
    /// No write may start from then on; `None` without leader election.
    until: Option<Instant>,
    /// How many terms there have been.
    terms: u64,
}

/// Writers ask the fence before each request. It counts on the monotonic clock, which runs on while a process is stopped:
/// a leader that was stopped for a minute finds that its time is over before it sends anything.
#[derive(Debug)]
pub(crate) struct Fence {
    state: watch::Sender<State>,
    /// Counts renewals, for those whose write was refused because a renewal was late. Nobody else listens.
    renewals: watch::Sender<u64>,
}

impl Fence {
    /// For a program that is the only replica: its one term never ends.
    pub(crate) fn without_election() -> Self {
        Self::new(State { term: Some(Term(1)), until: None, terms: 1 })
    }

    /// Closed until the lease is acquired.
    pub(crate) fn with_election() -> Self {
        Self::new(State { term: None, until: None, terms: 0 })
    }

    fn new(state: State) -> Self {
        Self { state: watch::Sender::new(state), renewals: watch::Sender::new(0) }
    }

    /// The present term, if this replica leads.
    pub(crate) fn term(&self) -> Option<Term> {
        self.state.borrow().term
    }

    /// Whether a write of that term may start now.
    ///
    /// Fails with [`Error::NotLeading`] if not.
    pub(crate) fn check(&self, term: Term, now: Instant) -> Result<(), Error> {
        let state = self.state.borrow();
        let open = state.term == Some(term) && state.until.is_none_or(|until| now < until);
        if open { Ok(()) } else { Err(Error::NotLeading) }
    }

    /// Whether the time of the present term is over, although nobody has ended it yet.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        let state = self.state.borrow();
        state.term.is_some() && state.until.is_some_and(|until| now >= until)
    }

    /// The lease is held until then. Returns the term if a new one begins.
    pub(crate) fn held_until(&self, until: Instant) -> Option<Term> {
        let mut begun = None;
        // A renewal is no change for anybody who waits for a term.
        self.state.send_if_modified(|state| {
            state.until = Some(until);
            if state.term.is_some() {
                return false;
            }
            state.terms += 1;
            state.term = Some(Term(state.terms));
            begun = state.term;
            true
        });
        self.renewals.send_modify(|count| *count += 1);
        begun
    }

    /// The term ends; no write may start any more.
    pub(crate) fn close(&self) {
        self.state.send_if_modified(|state| state.term.take().is_some());
    }

    /// A view of the leadership for one task.
    pub(crate) fn subscribe(&self) -> Leadership {
        let mut leadership = Leadership { state: self.state.subscribe(), renewals: self.renewals.subscribe() };
        leadership.state.mark_changed();
        leadership
    }
}

/// What one task sees of the leadership.
#[derive(Clone, Debug)]
pub(crate) struct Leadership {
    state: watch::Receiver<State>,
    renewals: watch::Receiver<u64>,
}

impl Leadership {
    /// The present term, if this replica leads. What happens from now on counts as a change.
    pub(crate) fn term(&mut self) -> Option<Term> {
        self.renewals.mark_unchanged();
        self.state.borrow_and_update().term
    }

    /// Waits until another term begins or the present one ends; returns at once the first time.
    pub(crate) async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            // The fence is gone, so the program is about to end.
            std::future::pending::<()>().await;
        }
    }

    /// As [`Self::changed`], and as [`Self::reopened`] for a task whose write was refused.
    pub(crate) async fn changed_or(&mut self, refused: bool) {
        if refused { self.reopened().await } else { self.changed().await }
    }

    /// Waits for whatever may let a refused write pass: another term, or a renewal since the last call of [`Self::term`].
    pub(crate) async fn reopened(&mut self) {
        let Self { state, renewals } = self;
        tokio::select! {
            Ok(()) = state.changed() => {}
            Ok(()) = renewals.changed() => {}
            else => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn no_write_starts_after_the_deadline() {
        let fence = Fence::with_election();
        let until = soon();
        let term = fence.held_until(until).unwrap();
        assert!(fence.check(term, until - Duration::from_millis(1)).is_ok());
        assert!(fence.check(term, until).is_err());
        assert!(fence.is_overdue(until));
    }

    #[test]
    fn without_election_every_write_may_start() {
        let fence = Fence::without_election();
        assert!(fence.check(fence.term().unwrap(), soon()).is_ok());
    }

    #[test]
    fn a_write_of_an_old_term_is_refused_in_the_next_one() {
        let fence = Fence::with_election();
        let first = fence.held_until(soon()).unwrap();
        fence.close();
        let second = fence.held_until(soon()).unwrap();
        assert!(fence.check(first, Instant::now()).is_err());
        assert!(fence.check(second, Instant::now()).is_ok());
    }

    #[test]
    fn lost_and_regained_is_a_change_even_for_a_task_that_slept_through_both() {
        let fence = Fence::with_election();
        let mut leadership = fence.subscribe();
        let first = fence.held_until(soon()).unwrap();
        assert_eq!(leadership.term(), Some(first));
        fence.close();
        fence.held_until(soon());
        assert!(leadership.changed().now_or_never().is_some());
        assert_ne!(leadership.term(), Some(first));
    }

    #[test]
    fn a_renewal_wakes_only_those_whose_write_was_refused() {
        let fence = Fence::with_election();
        fence.held_until(soon());
        let (mut idle, mut refused) = (fence.subscribe(), fence.subscribe());
        assert_eq!(idle.term(), refused.term());
        fence.held_until(soon());
        assert!(idle.changed().now_or_never().is_none());
        assert!(refused.reopened().now_or_never().is_some());
    }
}
