//! The circuit breaker: a provider that failed several times in a row is left alone for a while.
//!
//! This is code of our own, because the crate failsafe lets all callers through at once when it tries again.

use std::time::{Duration, Instant};

/// So many failures in a row open it.
const FAILURES: u32 = 5;
/// How long it stays open.
const OPEN: Duration = Duration::from_secs(30);

/// The state. All methods get the time, so that tests need no clock.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    /// When the next caller may try. None while it is closed.
    open_until: Option<Instant>,
    /// Whether a caller tries now.
    trial: bool,
}

/// Why a caller may not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) failures: u32,
    pub(crate) retry_after: Duration,
}

impl Breaker {
    /// How long callers must wait. Zero if the next one may ask.
    pub(crate) fn rest(&self, now: Instant) -> Duration {
        match self.open_until {
            None => Duration::ZERO,
            // The one who tries will know soon.
            Some(until) => until.saturating_duration_since(now).max(Duration::from_secs(self.trial.into())),
        }
    }

    /// Lets a caller ask, who must say how it went with one of the other methods.
    pub(crate) fn ask(&mut self, now: Instant) -> Result<(), Refusal> {
        let retry_after = self.rest(now);
        if !retry_after.is_zero() {
            return Err(Refusal { failures: self.failures, retry_after });
        }
        self.trial = self.open_until.is_some();
        Ok(())
    }

    /// The provider answered.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// The provider failed.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        // Of those who asked before it opened, some may fail later. They keep nobody waiting for longer.
        let opens = self.failures >= FAILURES && (self.open_until.is_none() || self.trial);
        if opens {
            self.open_until = Some(now + OPEN);
        }
        self.trial = false;
    }

    /// The caller went away before the provider answered, so the next one may ask.
    pub(crate) fn abandoned(&mut self) {
        self.trial = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            breaker.ask(now).unwrap();
            breaker.failed(now);
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_for_thirty_seconds() {
        let now = Instant::now();
        let mut breaker = open(now);
        let refusal = Refusal { failures: 5, retry_after: OPEN };
        assert_eq!(breaker.ask(now), Err(refusal));
        assert!(breaker.ask(now + OPEN.mul_f64(0.99)).is_err());
        assert!(breaker.ask(now + OPEN).is_ok());
    }

    #[test]
    fn a_success_between_failures_starts_the_count_again() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 0..FAILURES - 1 {
                breaker.failed(now);
            }
            breaker.succeeded();
        }
        assert!(breaker.ask(now).is_ok());
    }

    #[test]
    fn only_one_caller_tries_again() {
        let now = Instant::now();
        let mut breaker = open(now);
        let later = now + OPEN;
        assert!(breaker.ask(later).is_ok());
        assert!(breaker.ask(later).is_err());
        breaker.succeeded();
        assert!(breaker.ask(later).is_ok());
    }

    #[test]
    fn a_failed_trial_opens_it_again() {
        let now = Instant::now();
        let mut breaker = open(now);
        let later = now + OPEN;
        breaker.ask(later).unwrap();
        breaker.failed(later);
        assert_eq!(breaker.rest(later), OPEN);
    }

    #[test]
    fn an_abandoned_trial_lets_the_next_caller_try() {
        let now = Instant::now();
        let mut breaker = open(now);
        let later = now + OPEN;
        breaker.ask(later).unwrap();
        breaker.abandoned();
        assert!(breaker.ask(later).is_ok());
    }

    #[test]
    fn a_late_failure_does_not_extend_the_open_breaker() {
        let now = Instant::now();
        let mut breaker = open(now);
        breaker.failed(now + OPEN / 2);
        assert!(breaker.ask(now + OPEN).is_ok());
    }
}
