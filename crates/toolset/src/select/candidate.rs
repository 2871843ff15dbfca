//! A candidate is a Service in a source that something recognises.

use crd_types::{ServiceReason, Trust};
use detectors::{Assumed, Auth, Confidence, Product, Rank, ServiceKey};

use super::{claim::Origin, remembered::Parts};
use crate::endpoint::Endpoint;

/// Whether a candidate is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidateOutcome {
    /// It becomes a tool unless health or an override prevents it.
    Chosen(Endpoint),
    /// It does not.
    Rejected {
        /// The stable reason.
        reason: ServiceReason,
        /// Why, and what would change it.
        message: String,
    },
}

/// A Service in a source that a detector, a signature or an annotation recognises.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The Service.
    pub key: ServiceKey,
    /// What it was recognised as. `None` if only a malformed annotation is known.
    pub product: Option<Product>,
    /// The user's name for a `Custom` one.
    pub custom: Option<String>,
    /// The source that selects it, by name.
    pub source: String,
    /// How far that source is trusted.
    pub trust: Trust,
    /// How sure the recognition is.
    pub confidence: Confidence,
    /// The evidence that decided, as text for people.
    pub decided_by: String,
    /// Whether only a port suggests the product.
    pub by_port_alone: bool,
    /// What the endpoint asks of its clients, as far as it is known or usual.
    pub auth: Auth,
    /// Which parts of the endpoint are assumed.
    pub assumed: Assumed,
    /// Whether the endpoint is already as the overrides state it.
    pub is_overridden: bool,
    /// Whether its Pods belong to several controllers and differ.
    pub ambiguous_pods: bool,
    /// Which parts of it come from its Pods.
    pub from_pods: Parts,
    /// Which parts of it come from an identity probe.
    pub from_identity: Parts,
    /// What was asked about its identity and the class of the answer, for people. Empty if nothing was asked.
    pub identity: String,
    /// What recognised it.
    pub origin: Origin,
    /// Its place among the instances of its product.
    pub rank: Rank,
    /// When it was created, in seconds since 1970. Older Services keep their places.
    pub created: i64,
    /// `toolset-name`.
    pub tool_name: Option<String>,
    /// A path to probe, if somebody named one.
    pub health_path: Option<String>,
    /// The uid that its EndpointSlices must have as their owner, see [`ServiceView::uid`](detectors::ServiceView::uid).
    /// `None` if they are not compared.
    pub needs_slices_of: Option<u64>,
    /// What the agent should know, from the signature that matched.
    pub instructions: Option<String>,
    /// Whether it is chosen.
    pub outcome: CandidateOutcome,
}

impl Candidate {
    /// The endpoint, if it is chosen.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match &self.outcome {
            CandidateOutcome::Chosen(endpoint) => Some(endpoint),
            CandidateOutcome::Rejected { .. } => None,
        }
    }

    pub(super) fn reject(&mut self, reason: ServiceReason, message: impl Into<String>) {
        self.outcome = CandidateOutcome::Rejected { reason, message: message.into() };
    }
}

/// All candidates of one `ToolsetConfig`, by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Sorted by key, unique.
    pub candidates: Vec<Candidate>,
}

impl Selection {
    /// Drops every chosen candidate that is not admitted. What is rejected stays, because its reason is known.
    pub(crate) fn admit(&mut self, admits: &dyn Fn(&ServiceKey) -> bool) {
        self.candidates.retain(|candidate| candidate.endpoint().is_none() || admits(&candidate.key));
    }

    /// The candidates whose health and EndpointSlices decide whether they are in the output.
    pub fn chosen(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|candidate| candidate.endpoint().is_some())
    }
}
