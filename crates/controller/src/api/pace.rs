//! When the next request of a watch may start.
//!
//! kube's `watcher` pauses after an error, but not after a watch that ends without one. It sends the next request at
//! once, thousands of times per second if each watch ends at once.

use std::time::Duration;

use kube::runtime::watcher::DefaultBackoff;
use tokio::time::Instant;

/// A watch that was open for this time worked, even without an event.
pub(super) const LONG: Duration = Duration::from_secs(10);

/// If every watch with an event is open for at least this time, the pauses do not grow, because they are about as long
/// as the watches or shorter.
const BRIEF: Duration = Duration::from_secs(1);

/// The pauses of one watch. They grow with every failure in a row, up to 30 s, plus a random part.
#[derive(Default)]
pub(super) struct Pace {
    pauses: DefaultBackoff,
    not_before: Option<Instant>,
    /// The API server has required a new list since the last watch that worked, and the list was made at once.
    has_listed_again: bool,
}

impl Pace {
    /// The time before which the next request must not start, if there is one.
    pub(super) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// The next request starts. There is one pause per failure, so the watch after a list starts at once.
    pub(super) fn started(&mut self) {
        self.not_before = None;
    }

    /// A request failed. A pause follows, which is longer than the last one. Further errors about the same request do
    /// not change it.
    pub(super) fn failed(&mut self, now: Instant) {
        if self.not_before.is_none() {
            self.not_before = self.pauses.next().map(|pause| now + pause);
        }
    }

    /// The resource version has expired, which is not a failure. The list that is required now starts at once, even
    /// after long pauses. If a list is required again and again, the pauses apply.
    pub(super) fn expired(&mut self, now: Instant) {
        if self.has_listed_again {
            return self.failed(now);
        }
        self.has_listed_again = true;
        self.not_before = None;
    }

    /// A watch ended that was open for `open`. `events` is whether it had an event. Returns whether the watch worked.
    pub(super) fn ended(&mut self, open: Duration, events: bool, now: Instant) -> bool {
        if open >= LONG {
            *self = Self::default();
            return true;
        }
        if events && open >= BRIEF {
            *self = Self::default();
        }
        self.failed(now);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(pace: &mut Pace) -> Option<Instant> {
        let not_before = pace.not_before();
        pace.started();
        not_before
    }

    /// The pause after each of `failures`.
    fn pauses(pace: &mut Pace, failures: usize, mut fail: impl FnMut(&mut Pace, Instant)) -> Vec<Duration> {
        let now = Instant::now();
        let mut one = || {
            fail(pace, now);
            take(pace).map_or(Duration::ZERO, |at| at - now)
        };
        (0..failures).map(|_| one()).collect()
    }

    #[test]
    fn pauses_grow_up_to_half_a_minute_and_a_random_part() {
        let pauses = pauses(&mut Pace::default(), 10, Pace::failed);
        assert!(pauses[0] >= Duration::from_millis(800) && pauses[0] <= Duration::from_millis(1600), "{pauses:?}");
        assert!(pauses[9] >= Duration::from_secs(30) && pauses[9] <= Duration::from_secs(60), "{pauses:?}");
    }

    #[test]
    fn several_errors_about_one_request_cause_one_pause() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for _ in 0..100 {
            pace.failed(now);
        }
        assert!(take(&mut pace).is_some_and(|at| at <= now + Duration::from_millis(1600)));
        assert_eq!(take(&mut pace), None, "the watch after a list starts at once");
    }

    #[test]
    fn a_watch_that_worked_needs_no_pause_and_ends_the_growth() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pauses(&mut pace, 10, Pace::failed);
        assert!(pace.ended(LONG, false, now));
        assert_eq!(take(&mut pace), None);
        pace.failed(now);
        assert!(take(&mut pace).is_some_and(|at| at <= now + Duration::from_millis(1600)));
    }

    #[test]
    fn pauses_grow_unless_a_watch_with_an_event_stays_open_for_a_second() {
        let last = |open: Duration, events: bool| {
            let mut pace = Pace::default();
            let pauses = pauses(&mut pace, 10, |pace, now| assert!(!pace.ended(open, events, now)));
            *pauses.last().unwrap()
        };
        let growing = Duration::from_secs(30);
        assert!(last(Duration::ZERO, false) >= growing);
        assert!(last(Duration::from_millis(100), true) >= growing);
        assert!(last(Duration::from_secs(9), false) >= growing);
        assert!(last(BRIEF, true) <= Duration::from_millis(1600));
    }

    #[test]
    fn after_an_outage_the_required_list_starts_at_once_but_not_twice() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pauses(&mut pace, 10, Pace::failed);
        pace.failed(now);
        pace.expired(now);
        assert_eq!(take(&mut pace), None);
        pace.expired(now);
        assert!(take(&mut pace).is_some_and(|at| at >= now + Duration::from_secs(30)));
        assert!(pace.ended(LONG, true, now));
        pace.expired(now);
        assert_eq!(take(&mut pace), None, "after a watch that worked, a list may start at once again");
    }
}
