//! Changes the health of a tool after enough equal probes in a row. Pure.

use crd_types::HealthProbe;
use toolset::{Probed, health::ProbeFailure};

/// What the probes of other Services show about a failure that the operator's network can cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Witnesses {
    /// Enough other Services responded, so the Service is at fault. This is also the value for a failure that the
    /// operator's network cannot cause.
    Confirm,
    /// Too few other Services responded, so the operator's network may be at fault.
    Doubt,
    /// Too few other Services have been probed since the failures of the Service began.
    TooFew,
}

/// The health of one tool of one `ToolsetConfig`, according to its probes.
#[derive(Clone, Debug)]
pub(super) struct Hysteresis {
    failure_threshold: i32,
    success_threshold: i32,
    failures: i32,
    successes: i32,
    state: Probed,
}

impl Hysteresis {
    pub(super) fn new(settings: &HealthProbe) -> Self {
        Self {
            failure_threshold: settings.failure_threshold,
            success_threshold: settings.success_threshold,
            failures: 0,
            successes: 0,
            state: Probed::PENDING,
        }
    }

    /// Changes the thresholds. The current health stays. The new thresholds apply from the next probe on.
    pub(super) fn use_thresholds(&mut self, settings: &HealthProbe) {
        (self.failure_threshold, self.success_threshold) = (settings.failure_threshold, settings.success_threshold);
    }

    pub(super) fn failure_threshold(&self) -> u32 {
        self.failure_threshold.unsigned_abs()
    }

    /// The health now.
    pub(super) fn state(&self) -> &Probed {
        &self.state
    }

    /// Records a probe that succeeded. Returns whether the health changed.
    pub(super) fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        if self.successes >= self.success_threshold {
            return self.change_to(Probed::Up);
        }
        self.undecided(None)
    }

    /// Records a probe that failed. Returns whether the health changed.
    pub(super) fn failed(&mut self, failure: ProbeFailure, witnesses: Witnesses) -> bool {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        if self.failures < self.failure_threshold {
            return self.undecided(Some(failure));
        }
        match (witnesses, &self.state) {
            (Witnesses::Confirm, _) => self.change_to(Probed::Down(failure)),
            // Failures of other Services do not show that this Service works again.
            (Witnesses::Doubt, Probed::Down(_)) => false,
            (Witnesses::Doubt, _) => self.change_to(Probed::Suspect(failure)),
            (Witnesses::TooFew, _) => self.undecided(Some(failure)),
        }
    }

    /// Records that a probe could not be sent for the moment. Returns whether the health changed.
    pub(super) fn not_probed(&mut self, why: &str) -> bool {
        match self.state {
            Probed::Pending { .. } | Probed::NotAllowed { .. } => {
                self.change_to(Probed::Pending { why: Some(why.to_owned().into()) })
            }
            Probed::Undecided { .. } | Probed::Up | Probed::Down(_) | Probed::Suspect(_) => false,
        }
    }

    /// Records that the Service is not probed. Returns whether the health changed.
    pub(super) fn not_allowed(&mut self, why: &str) -> bool {
        (self.failures, self.successes) = (0, 0);
        self.change_to(Probed::NotAllowed { why: why.to_owned().into() })
    }

    /// Records that the Service has no endpoint to probe. Returns whether the health changed.
    pub(super) fn reset(&mut self) -> bool {
        (self.failures, self.successes) = (0, 0);
        self.change_to(Probed::PENDING)
    }

    /// Records a probe that reached no threshold. A health that was decided before stays.
    fn undecided(&mut self, failure: Option<ProbeFailure>) -> bool {
        match self.state {
            Probed::Pending { .. } | Probed::Undecided { failure: None } | Probed::NotAllowed { .. } => {
                self.change_to(Probed::Undecided { failure })
            }
            // Otherwise a Service that responds only sometimes would change the status with each probe.
            Probed::Undecided { failure: Some(_) } | Probed::Up | Probed::Down(_) | Probed::Suspect(_) => false,
        }
    }

    /// Sets the health. Returns whether it changed.
    ///
    /// A failure of another class is not a change. Otherwise a Service that fails in many ways would change the status
    /// with each probe.
    fn change_to(&mut self, state: Probed) -> bool {
        let is_same = match (&self.state, &state) {
            (Probed::Down(a), Probed::Down(b)) => a.is_unreachable() == b.is_unreachable(),
            (Probed::Suspect(_), Probed::Suspect(_)) => true,
            (a, b) => a == b,
        };
        if !is_same {
            self.state = state;
        }
        !is_same
    }
}
