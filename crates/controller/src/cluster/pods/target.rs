//! One Service whose Pods are read, and what a round of it begins and ends with.

use std::cmp::Reverse;

use detectors::{Confidence, ServiceKey, ServiceView};
use tokio::time::Instant;
use toolset::pods::PodEvidence;

use super::round::Pods;

/// A Service whose Pods are read.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Target {
    /// What decides which Pods it has and what they say.
    pub(super) selects: u64,
    pub(super) confidence: Confidence,
    /// The number of the last change of its slices that a round has seen.
    pub(super) slices: Option<u64>,
    pub(super) has_pods: bool,
    pub(super) pods: Pods,
    /// Whether there was an answer or a refusal in this term.
    pub(super) is_answered: bool,
    pub(super) refusal: Refusal,
    pub(super) failures: u32,
    pub(super) last: Option<Instant>,
    pub(super) due: Option<(Instant, Reverse<Confidence>)>,
    /// The number of the round under way, and the room for its Pods.
    pub(super) round: Option<(u64, usize)>,
    /// It selects something else since the round under way has begun.
    pub(super) is_outdated: bool,
    /// Its slices changed since the round under way has begun.
    pub(super) slices_changed_meanwhile: bool,
}

/// Whether a Service is not asked because its namespace is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is asked.
    #[default]
    No,
    /// Another Service of the namespace was refused.
    OfAnother,
    /// Its own round was refused, so it has Pods to read.
    Own,
    /// It asks whether Pods may be read again.
    Asks,
}

/// A Service as it is now, to be compared with what is known.
pub(super) struct Seen<'a> {
    pub(super) view: &'a ServiceView,
    /// How sure its recognition is without Pods.
    pub(super) confidence: Confidence,
    pub(super) slices: SeenSlices,
    /// Whether the index knows what its Pods say.
    pub(super) has_evidence: bool,
}

/// The EndpointSlices of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeenSlices {
    /// They have not been listed yet.
    Pending,
    /// They lead to no Pods, or they cannot be read.
    NoPods,
    /// They lead to Pods. The number is that of their last change.
    At(u64),
}

/// A round that starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) key: ServiceKey,
    /// The number of the round.
    pub(super) number: u64,
    pub(super) known: Pods,
    pub(super) room: usize,
}

/// What follows from the end of a round.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// What the Pods say now. `None` if that is as before.
    pub(super) evidence: Option<PodEvidence>,
    /// Whether it is known only now that this namespace is refused, or that it is not.
    pub(super) refusal_changed: bool,
}

impl Target {
    pub(super) fn new(selects: u64, confidence: Confidence) -> Self {
        Self {
            selects,
            confidence,
            slices: None,
            has_pods: false,
            pods: Pods::new(),
            is_answered: false,
            refusal: Refusal::No,
            failures: 0,
            last: None,
            due: None,
            round: None,
            is_outdated: false,
            slices_changed_meanwhile: false,
        }
    }
}
