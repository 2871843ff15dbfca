//! The state of a target, and the pause before its next probe. Pure.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use crd_types::Trust;
use detectors::{Product, ServiceKey, probe::Class};
use tokio::time::Instant;
use toolset::{
    Probed,
    health::{HealthAsk, ProbeFailure, ProbeFailureReason},
};

use super::{hysteresis::Hysteresis, pinned::Pinned, queue::Place};
use crate::api::NamespacedName;

/// The longest pause between two probes of a Service that is unhealthy.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// The identity of a target: the Service, the requests, and how often they are sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ProbeId {
    pub(super) key: ServiceKey,
    pub(super) trust: Trust,
    pub(super) ask: HealthAsk,
    pub(super) product: Product,
    /// In seconds.
    pub(super) timeout: i32,
    /// In seconds.
    pub(super) period: i32,
}

/// Whether a program responded, although the probe failed. A refused connection does not show this, because a
/// `NetworkPolicy` can cause it.
pub(super) fn has_responded(failure: &ProbeFailure) -> bool {
    matches!(failure.why, ProbeFailureReason::Answer(Class::Answered(_) | Class::Unreadable | Class::NoTls))
}

#[derive(Debug)]
pub(super) struct Target {
    pub(super) subscribers: BTreeMap<NamespacedName, Hysteresis>,
    /// When the next probe is due.
    pub(super) place: Option<Place>,
    /// The number and the start of the probe under way.
    pub(super) running: Option<(u64, Instant)>,
    /// The start of the last probe that has ended, and whether a program responded.
    pub(super) last: Option<(Instant, bool)>,
    /// The time since which probes of other Services count as witnesses of the failures of this Service.
    pub(super) witnesses_since: Option<Instant>,
    /// Whether the last probe found no endpoint with the port.
    pub(super) lacks_port: bool,
    /// The number of failures in a row.
    pub(super) failures: u32,
    /// The number of probes that have ended.
    pub(super) probes: u64,
    pub(super) pinned: Option<Pinned>,
    /// The index of the path that responded last.
    pub(super) path: usize,
    /// Whether the Service has endpoints that may be called. True until a probe shows the opposite.
    pub(super) has_endpoints: bool,
    /// Whether the EndpointSlices changed while a probe was under way.
    pub(super) slices_changed_meanwhile: bool,
    /// The number of the last change of the EndpointSlices that a probe has seen. `None` if no probe has seen one.
    pub(super) seen: Option<u64>,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            subscribers: BTreeMap::new(),
            place: None,
            running: None,
            last: None,
            witnesses_since: None,
            lacks_port: false,
            failures: 0,
            probes: 0,
            pinned: None,
            path: 0,
            has_endpoints: true,
            slices_changed_meanwhile: false,
            seen: None,
        }
    }
}

impl Target {
    /// Records that the Service must not be probed, or that it has no endpoint to probe.
    pub(super) fn forget_responses(&mut self) {
        (self.failures, self.last, self.witnesses_since, self.has_endpoints) = (0, None, None, false);
    }

    /// Changes the health for each `ToolsetConfig`. Returns those for which it changed.
    pub(super) fn each(&mut self, mut change: impl FnMut(&mut Hysteresis) -> bool) -> Vec<NamespacedName> {
        self.subscribers.iter_mut().filter_map(|(config, one)| change(one).then(|| config.clone())).collect()
    }

    /// The pause before the next probe. It grows only while the Service is unhealthy for every subscriber.
    pub(super) fn pause(&self, period: Duration) -> Duration {
        let is_down = |one: &Hysteresis| matches!(one.state(), Probed::Down(_));
        if !self.subscribers.values().all(is_down) {
            return period;
        }
        let threshold = self.subscribers.values().map(Hysteresis::failure_threshold).max().unwrap_or_default();
        let doublings = self.failures.saturating_sub(threshold).min(16);
        (period * (1 << doublings)).min(LONGEST_PAUSE.max(period))
    }
}

/// The pause, made up to a tenth shorter or longer, so that probes that start at the same time do not stay together.
pub(super) fn jittered(pause: Duration, id: &ProbeId, number: u64) -> Duration {
    let mut hasher = DefaultHasher::new();
    (id, number).hash(&mut hasher);
    let tenth = pause / 10;
    let part = u32::try_from(hasher.finish() % 201).unwrap_or_default();
    pause.saturating_sub(tenth) + tenth * part / 100
}
