//! Whether this replica leads, and until when it may start a write.
//!
//! Leadership is a [`Term`] and not a flag. If this replica loses the lease and acquires it again, the number of the
//! term changes. So a task that did not run in between detects that its memory may be outdated.

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

/// Every write checks the fence first. The fence uses the monotonic clock, which continues while a process is stopped.
/// So a leader that was stopped for a minute detects that its time is over before it sends anything.
#[derive(Debug)]
pub(crate) struct Fence {
    state: watch::Sender<State>,
    /// Counts renewals. Only tasks whose write was refused because of a late renewal wait for the next one.
    renewals: watch::Sender<u64>,
}

impl Fence {
    /// For a program that is the only replica. Its one term never ends.
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

    /// The current term, if this replica leads.
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

    /// Whether the time of the current term is over, although the term has not been closed yet.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        let state = self.state.borrow();
        state.term.is_some() && state.until.is_some_and(|until| now >= until)
    }

    /// Records that the lease is held until then. Returns the term if a new one begins.
    pub(crate) fn held_until(&self, until: Instant) -> Option<Term> {
        let mut begun = None;
        // A renewal does not trigger the tasks that wait for another term.
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

    /// Ends the term. No write may start after this.
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
    /// The current term, if this replica leads. [`Self::changed`] reports only changes after this call.
    pub(crate) fn term(&mut self) -> Option<Term> {
        self.renewals.mark_unchanged();
        self.state.borrow_and_update().term
    }

    /// Waits until another term begins or the current one ends. The first call returns at once.
    pub(crate) async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            // The fence is gone, so the program is about to end.
            std::future::pending::<()>().await;
        }
    }

    /// Like [`Self::changed`]. For a task whose write was refused, like [`Self::reopened`].
    pub(crate) async fn changed_or(&mut self, refused: bool) {
        if refused { self.reopened().await } else { self.changed().await }
    }

    /// Waits until a refused write may succeed. This is after a change of the term, or after a renewal since the last
    /// call of [`Self::term`].
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
