//! A candidate: a Service inside a source that something recognises, and what becomes of it.

use crd_types::{ServiceReason, Trust};
use detectors::{Confidence, Product, ServiceKey, Standing};

use super::claim::Origin;
use crate::endpoint::Endpoint;

/// What becomes of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidateOutcome {
    /// It becomes a tool if health and overrides agree.
    Chosen(Endpoint),
    /// It does not.
    Rejected {
        /// The stable reason.
        reason: ServiceReason,
        /// What was found and what would change it.
        message: String,
    },
}

/// A Service inside a selected source that a detector, a signature or an annotation recognises.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The Service.
    pub key: ServiceKey,
    /// What it was recognised as; `None` where a malformed annotation is all there is.
    pub product: Option<Product>,
    /// The user's name for a `Custom` one.
    pub custom: Option<String>,
    /// The source that selects it, by name.
    pub source: String,
    /// How far that source is trusted.
    pub trust: Trust,
    /// How sure the recognition is.
    pub confidence: Confidence,
    /// What recognised it.
    pub origin: Origin,
    /// Its place among the instances of its product.
    pub standing: Standing,
    /// Seconds since 1970; decides admission under the caps.
    pub created: i64,
    /// `toolset-name`.
    pub tool_name: Option<String>,
    /// A path to probe, where somebody named one.
    pub health_path: Option<String>,
    /// What the agent should know, from the signature that matched.
    pub instructions: Option<String>,
    /// What becomes of it.
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
    /// The Services whose health decides whether they are in the output.
    pub fn awaiting_health(&self) -> impl Iterator<Item = &ServiceKey> {
        self.candidates.iter().filter(|candidate| candidate.endpoint().is_some()).map(|candidate| &candidate.key)
    }
}
