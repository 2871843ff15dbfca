//! A pause between attempts to connect, so that many clients do not all knock at a database that is away.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Closed for a while after a failed attempt: 1 s, doubled with each further failure up to 30 s.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    closed_until: Option<Instant>,
    reason: String,
}

impl Gate {
    /// How long the gate stays closed and why; none if it is open.
    pub(super) fn closed(&self, now: Instant) -> Option<(Duration, String)> {
        let state = self.lock();
        let rest = state.closed_until?.checked_duration_since(now).filter(|rest| !rest.is_zero())?;
        Some((rest, state.reason.clone()))
    }

    /// An attempt failed. `jitter` is between 0 and 1. Attempts that were under way together count once.
    pub(super) fn failed(&self, now: Instant, jitter: f64, reason: &str) -> Duration {
        let mut state = self.lock();
        if let Some(rest) = state.closed_until.and_then(|until| until.checked_duration_since(now))
            && !rest.is_zero()
        {
            return rest;
        }
        let longest = SHORTEST.saturating_mul(1 << state.failures.min(8)).min(LONGEST);
        // Between half and the whole of it, so that replicas do not come back together.
        let pause = longest.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0).max(SHORTEST);
        state.failures += 1;
        state.closed_until = Some(now + pause);
        reason.clone_into(&mut state.reason);
        pause
    }

    /// An attempt succeeded.
    pub(super) fn succeeded(&self) {
        *self.lock() = State::default();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_from_one_second_to_thirty_and_ends_with_a_success() {
        let gate = Gate::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let pause = gate.failed(now, 1.0, "refused");
            pauses.push(pause.as_secs());
            assert_eq!(gate.closed(now), Some((pause, "refused".to_owned())));
            now += pause;
            assert_eq!(gate.closed(now), None);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        gate.succeeded();
        assert_eq!(gate.failed(now, 0.0, "refused"), Duration::from_secs(1));
    }

    #[test]
    fn attempts_that_fail_together_count_once() {
        let gate = Gate::default();
        let now = Instant::now();
        for _ in 0..50 {
            assert_eq!(gate.failed(now, 1.0, "refused"), Duration::from_secs(1));
        }
    }

    #[test]
    fn jitter_spreads_the_pauses_over_half_of_their_length() {
        let gate = Gate::default();
        let mut now = Instant::now();
        for _ in 0..5 {
            now += gate.failed(now, 0.0, "refused");
        }
        assert_eq!(gate.failed(now, 0.0, "refused"), Duration::from_secs(15));
    }
}
