//! When the agent is asked. Pure.
//!
//! A change is followed by a round after a short pause. While something is not as it should be, further rounds follow,
//! each after a longer pause. If all is well, there is no further round until the next change.

use std::time::Duration;

use tokio::time::Instant;

/// The times of one observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// The pause after a change.
    pub(crate) first: Duration,
    /// The longest pause between two rounds.
    pub(crate) longest: Duration,
    /// How long a replica may be behind before that is a problem. The kubelet updates the mounted file within 90 s, the
    /// agent reads it every 300 s, and checking all toolsets takes up to 20 s.
    pub(crate) patience: Duration,
    /// How long one replica may take to answer.
    pub(crate) answer: Duration,
}

impl Timing {
    pub(crate) const STANDARD: Self = Self {
        first: Duration::from_secs(30),
        longest: Duration::from_secs(600),
        patience: Duration::from_secs(900),
        answer: super::client::TOTAL,
    };

    /// The standard times. Tests of a debug build shorten them with four numbers of milliseconds, in the order of the
    /// fields. A release build does not contain this.
    pub(crate) fn of_process() -> Self {
        #[cfg(debug_assertions)]
        if let Some(timing) = std::env::var("TOOLSET_TEST_AGENT_TIMING").ok().and_then(|text| Self::parse(&text)) {
            return timing;
        }
        Self::STANDARD
    }

    #[cfg(debug_assertions)]
    fn parse(text: &str) -> Option<Self> {
        let mut times = text.split(',').map(|number| number.parse().ok().map(Duration::from_millis));
        let mut next = || times.next().flatten();
        Some(Self { first: next()?, longest: next()?, patience: next()?, answer: next()? })
    }
}

/// The rounds of one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    timing: Timing,
    due: Option<Instant>,
    /// The pause after the next round, if something is not well.
    pause: Duration,
}

impl Schedule {
    /// No round is due.
    pub(crate) fn new(timing: Timing) -> Self {
        Self { timing, due: None, pause: timing.first }
    }

    /// When the next round is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Something changed, so what is known is outdated. A round that is due earlier stays, or a ToolsetConfig that changes
    /// all the time would have no round.
    pub(crate) fn changed(&mut self, now: Instant) {
        let at = now + self.timing.first;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
        self.pause = self.timing.first;
    }

    /// A Pod that was asked before is ready again. If this happens again and again, the pauses grow.
    pub(crate) fn returned(&mut self, now: Instant) {
        let at = now + self.pause;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
        self.pause = (self.pause * 2).min(self.timing.longest);
    }

    /// A round begins. A change during the round makes another one due.
    pub(crate) fn started(&mut self) {
        self.due = None;
    }

    /// A round ended. `well` is whether there is nothing to wait for. At `deadline`, a replica that is behind becomes a
    /// problem, so it is asked then. It is asked once more soon after that, because the alert fires if it still is behind.
    pub(crate) fn ended(&mut self, now: Instant, well: bool, deadline: Option<Instant>) {
        if well {
            return;
        }
        self.pause = (self.pause * 2).min(self.timing.longest);
        let next = now + self.pause;
        let checks = deadline.into_iter().flat_map(|deadline| [deadline, deadline + self.timing.first]);
        let next = checks.filter(|at| *at > now).fold(next, Instant::min);
        self.due = Some(self.due.map_or(next, |due| due.min(next)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The seconds after a change at which rounds begin, if each takes no time and finds this.
    fn rounds(well: impl Fn(usize) -> bool, deadline: Option<u64>, most: usize) -> Vec<u64> {
        let start = Instant::now();
        let mut schedule = Schedule::new(Timing::STANDARD);
        schedule.changed(start);
        let mut times = Vec::new();
        while let Some(due) = schedule.due().filter(|_| times.len() < most) {
            schedule.started();
            schedule.ended(due, well(times.len()), deadline.map(|at| start + seconds(at)));
            times.push((due - start).as_secs());
        }
        times
    }

    #[test]
    fn pauses_double_up_to_ten_minutes_while_something_is_not_well() {
        assert_eq!(rounds(|_| false, None, 9), [30, 90, 210, 450, 930, 1530, 2130, 2730, 3330]);
    }

    #[test]
    fn a_replica_that_is_behind_is_asked_when_that_becomes_a_problem_and_before_the_alert_fires() {
        assert_eq!(rounds(|_| false, Some(900), 8), [30, 90, 210, 450, 900, 930, 1530, 2130]);
    }

    #[test]
    fn a_pod_that_is_ready_again_and_again_is_asked_ever_more_rarely() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Timing::STANDARD);
        schedule.changed(start);
        let mut now = start + seconds(30);
        let pauses = (0..7).map(|_| {
            schedule.started();
            schedule.ended(now, true, None);
            schedule.returned(now);
            let pause = schedule.due().unwrap() - now;
            now += pause;
            pause.as_secs()
        });
        assert_eq!(pauses.collect::<Vec<_>>(), [30, 60, 120, 240, 480, 600, 600]);
        schedule.changed(now);
        schedule.started();
        schedule.returned(now);
        assert_eq!(schedule.due(), Some(now + seconds(30)), "a change begins again");
    }

    #[test]
    fn after_a_round_that_finds_all_well_there_is_silence() {
        assert_eq!(rounds(|_| true, None, 9), [30]);
        assert_eq!(rounds(|round| round == 2, Some(900), 9), [30, 90, 210]);
    }

    #[test]
    fn nothing_is_due_before_the_first_change() {
        assert_eq!(Schedule::new(Timing::STANDARD).due(), None);
    }

    #[test]
    fn a_change_begins_again_with_the_short_pause() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Timing::STANDARD);
        for _ in 0..8 {
            schedule.ended(start, false, None);
        }
        let mut later = schedule;
        later.started();
        later.ended(start, false, None);
        assert_eq!(later.due(), Some(start + seconds(600)));
        later.changed(start + seconds(10));
        assert_eq!(later.due(), Some(start + seconds(40)));
        later.started();
        later.ended(start + seconds(40), false, None);
        assert_eq!(later.due(), Some(start + seconds(100)));
    }

    #[test]
    fn changes_that_never_end_do_not_prevent_the_rounds() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Timing::STANDARD);
        (0..100).for_each(|second| schedule.changed(start + seconds(second)));
        assert_eq!(schedule.due(), Some(start + seconds(30)));
    }

    #[test]
    fn a_change_during_a_round_makes_another_one_due() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Timing::STANDARD);
        schedule.changed(start);
        schedule.started();
        schedule.changed(start + seconds(31));
        schedule.ended(start + seconds(32), true, None);
        assert_eq!(schedule.due(), Some(start + seconds(61)));
    }

    proptest! {
        #[test]
        fn a_pause_is_never_shorter_than_the_first_and_never_longer_than_the_longest(results: Vec<bool>) {
            let mut now = Instant::now();
            let mut schedule = Schedule::new(Timing::STANDARD);
            schedule.changed(now);
            for well in results {
                let Some(due) = schedule.due() else { break };
                prop_assert!(due - now >= Timing::STANDARD.first && due - now <= Timing::STANDARD.longest);
                now = due;
                schedule.started();
                schedule.ended(now, well, None);
                prop_assert_eq!(schedule.due().is_none(), well);
            }
        }
    }
}
