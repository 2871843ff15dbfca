//! How many probes in a row change the health of a tool. Pure.

use crd_types::HealthProbe;
use toolset::{Probed, health::ProbeFailure};

/// What the other Services show about a Service that cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Witnesses {
    /// Enough of them were reached since its last failure, so the fault is its own.
    Confirm,
    /// Too few of them were reached since, so the fault may be the operator's.
    Doubt,
    /// It is the first failure, so no other Service was probed since.
    Unasked,
}

/// The health of one tool of one `ToolsetConfig`, as its probes show it.
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
            state: Probed::Pending,
        }
    }

    /// Whether it has these thresholds.
    pub(super) fn has(&self, settings: &HealthProbe) -> bool {
        (self.failure_threshold, self.success_threshold) == (settings.failure_threshold, settings.success_threshold)
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
            return self.become_(Probed::Up);
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
        match witnesses {
            _ if !failure.is_unreachable => self.become_(Probed::Down(failure)),
            Witnesses::Confirm => self.become_(Probed::Down(failure)),
            Witnesses::Doubt => self.become_(Probed::Suspect(failure)),
            Witnesses::Unasked => self.undecided(Some(failure)),
        }
    }

    /// Records that the Service is not probed. Returns whether the health changed.
    pub(super) fn not_allowed(&mut self, why: &str) -> bool {
        (self.failures, self.successes) = (0, 0);
        self.become_(Probed::NotAllowed { why: why.to_owned().into() })
    }

    /// Records that the Service has no endpoint to probe. Returns whether the health changed.
    pub(super) fn reset(&mut self) -> bool {
        (self.failures, self.successes) = (0, 0);
        self.become_(Probed::Pending)
    }

    /// Before a threshold is reached, a tool whose health was decided keeps it.
    fn undecided(&mut self, failure: Option<ProbeFailure>) -> bool {
        match self.state {
            Probed::Pending | Probed::Undecided { .. } | Probed::NotAllowed { .. } => {
                self.become_(Probed::Undecided { failure })
            }
            Probed::Up | Probed::Down(_) | Probed::Suspect(_) => false,
        }
    }

    /// A failure of another class is not a change. Otherwise a Service that fails in many ways would change the status
    /// each time.
    fn become_(&mut self, state: Probed) -> bool {
        let is_same = match (&self.state, &state) {
            (Probed::Down(a), Probed::Down(b)) => a.is_unreachable == b.is_unreachable,
            (Probed::Suspect(_), Probed::Suspect(_)) => true,
            (Probed::Undecided { failure: a }, Probed::Undecided { failure: b }) => a.is_some() == b.is_some(),
            (a, b) => a == b,
        };
        if !is_same {
            self.state = state;
        }
        !is_same
    }
}
