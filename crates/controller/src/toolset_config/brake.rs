//! Slows down repairs in a conflict with another field manager, and retries after failures. Pure. The caller passes the
//! time.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// How many repairs within [`WINDOW`] are made without a delay.
const FREE: usize = 5;
/// The time in which repairs are counted. After the same time without a repair, the conflict is over.
const WINDOW: Duration = Duration::from_secs(60);
/// The delay of the first repair that is slowed down.
const FIRST: Duration = Duration::from_secs(1);
/// The longest delay of a repair.
const LONGEST: Duration = Duration::from_secs(300);

/// Slows down the repairs of one object. After 5 repairs in 60 s the next one waits 1 s, and each further one twice as
/// long, up to 5 minutes.
#[derive(Debug, Default)]
pub(super) struct Brake {
    repairs: VecDeque<Instant>,
    /// How long the next repair has to wait. Zero while there is no conflict.
    delay: Duration,
    /// When the waiting repair may be made.
    due: Option<Instant>,
}

impl Brake {
    /// When a repair that is needed now may be made. `None` means at once. Further calls return the same time.
    pub(super) fn wait_until(&mut self, now: Instant) -> Option<Instant> {
        self.forget_old(now);
        if self.delay.is_zero() {
            return None;
        }
        let due = *self.due.get_or_insert(now + self.delay);
        (now < due).then_some(due)
    }

    /// Records a repair.
    pub(super) fn repaired(&mut self, now: Instant) {
        self.due = None;
        self.repairs.push_back(now);
        while self.repairs.len() > FREE {
            self.repairs.pop_front();
        }
        let frequent = self.repairs.len() == FREE
            && self.repairs.front().is_some_and(|first| now.saturating_duration_since(*first) <= WINDOW);
        if !self.delay.is_zero() {
            self.delay = (self.delay * 2).min(LONGEST);
        } else if frequent {
            self.delay = FIRST;
        }
    }

    /// Records that there is nothing to repair.
    pub(super) fn unneeded(&mut self, now: Instant) {
        self.due = None;
        self.forget_old(now);
    }

    /// When the conflict is over if no repair is reverted until then. `None` if there is no conflict.
    pub(super) fn over_at(&self) -> Option<Instant> {
        let last = self.repairs.back().filter(|_| !self.delay.is_zero())?;
        Some(*last + WINDOW)
    }

    /// A revert later than [`WINDOW`] after a repair is an edit and not a conflict. A waiting repair is part of the
    /// conflict, even if it waits longer than that.
    fn forget_old(&mut self, now: Instant) {
        let quiet = self.repairs.back().is_none_or(|last| now.saturating_duration_since(*last) > WINDOW);
        if quiet && self.due.is_none() {
            self.delay = Duration::ZERO;
            self.repairs.clear();
        }
    }
}

/// How long to wait after this number of failures in a row. It starts at 1 s and doubles up to 16 s, so that the
/// operator continues soon after an outage.
pub(super) fn retry_after(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another field manager reverts each repair at once. Returns how long each repair had to wait.
    fn fight(brake: &mut Brake, now: &mut Instant, rounds: usize) -> Vec<u64> {
        let round = |_| {
            let waited = brake.wait_until(*now).map_or(Duration::ZERO, |due| due - *now);
            *now += waited;
            assert_eq!(brake.wait_until(*now), None, "when its time has come the repair may happen");
            brake.repaired(*now);
            *now += Duration::from_millis(10);
            waited.as_secs()
        };
        (0..rounds).map(round).collect()
    }

    #[test]
    fn after_five_repairs_each_waits_twice_as_long_up_to_five_minutes() {
        let (mut brake, mut now) = (Brake::default(), Instant::now());
        assert_eq!(fight(&mut brake, &mut now, 16), [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn asking_again_does_not_move_the_time() {
        let (mut brake, mut now) = (Brake::default(), Instant::now());
        fight(&mut brake, &mut now, 5);
        let due = brake.wait_until(now);
        assert!(due.is_some());
        assert_eq!(brake.wait_until(now + Duration::from_millis(500)), due);
    }

    #[test]
    fn a_fight_is_over_after_a_quiet_minute() {
        let (mut brake, mut now) = (Brake::default(), Instant::now());
        fight(&mut brake, &mut now, 7);
        assert!(brake.over_at().is_some());
        brake.unneeded(now);
        assert!(brake.wait_until(now).is_some(), "still fighting");
        brake.unneeded(now);
        now += Duration::from_secs(61);
        assert_eq!(brake.wait_until(now), None);
        assert_eq!(brake.over_at(), None);
    }

    #[test]
    fn repairs_that_are_far_apart_are_never_braked() {
        let (mut brake, mut now) = (Brake::default(), Instant::now());
        for _ in 0..20 {
            assert_eq!(brake.wait_until(now), None);
            brake.repaired(now);
            now += Duration::from_secs(16);
        }
    }

    #[test]
    fn failures_are_retried_ever_more_slowly() {
        let waits: Vec<_> = (1..=8).map(|failures| retry_after(failures).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 16, 16, 16]);
    }
}
