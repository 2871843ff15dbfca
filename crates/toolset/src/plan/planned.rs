//! A tool on its way into the plan, from the candidate that was chosen.

use crd_types::{ServiceReason, ToolsetConfig, Trust};
use detectors::ServiceKey;

use crate::{
    health::Health,
    select::candidate::{Candidate, CandidateOutcome},
    tool::{Precedence, Rejection, Tool},
};

/// A tool on its way into the plan.
#[derive(Clone, Debug)]
pub(super) struct PlannedTool {
    /// The tool so far.
    pub tool: Tool,
    /// The override that last switched it off, for messages.
    pub off: Option<String>,
    /// Whether the endpoint is already as the overrides state it.
    pub is_overridden: bool,
    /// Whether an override decides its state. Then the predecessor's overrides do not.
    pub state_decided: bool,
}

impl PlannedTool {
    /// The tool that a candidate becomes, or why it becomes none.
    pub(super) fn of(config: &ToolsetConfig, candidate: Candidate) -> Result<Self, Rejection> {
        let (endpoint, product, reason, message) = match (candidate.outcome, candidate.product) {
            (CandidateOutcome::Chosen(endpoint), Some(product)) => {
                let reason =
                    if candidate.ambiguous_pods { ServiceReason::AmbiguousPods } else { ServiceReason::Selected };
                (Some(endpoint), Some(product), reason, String::new())
            }
            (CandidateOutcome::Rejected { reason, message }, product) => (None, product, reason, message),
            // This does not happen, because an endpoint comes from a claim, which has a product.
            (CandidateOutcome::Chosen(_), None) => {
                (None, None, ServiceReason::NotEnoughEvidence, "The product of this Service is unknown.".to_owned())
            }
        };
        let (Some(endpoint), Some(product)) = (endpoint, product) else {
            let Candidate { key, custom, trust, by_port_alone, .. } = candidate;
            let is_untold = by_port_alone && reason == ServiceReason::NotEnoughEvidence;
            return Err(Rejection { key, product, custom, trust, reason, message, is_untold });
        };
        let precedence = Precedence {
            tenant: candidate.trust == Trust::Tenant,
            preferred: preferred(config, product, &candidate.key),
            rank: candidate.rank,
        };
        let tool = Tool {
            created: candidate.created,
            name: String::new(),
            chosen_name: candidate.tool_name,
            stated_name: None,
            product,
            custom: candidate.custom,
            trust: candidate.trust,
            source: candidate.source,
            origin: Some(candidate.origin),
            endpoint,
            confidence: candidate.confidence,
            decided_by: candidate.decided_by,
            auth: candidate.auth,
            assumed: candidate.assumed,
            from_pods: candidate.from_pods,
            from_identity: candidate.from_identity,
            identity: candidate.identity,
            precedence,
            health: Health::Unknown,
            reason,
            probe: String::new(),
            health_path: candidate.health_path,
            description: None,
            instructions: candidate.instructions,
            credentials: None,
            tenant_id: None,
            settings: crd_types::Settings::default(),
            key: Some(candidate.key),
        };
        Ok(Self { tool, off: None, is_overridden: candidate.is_overridden, state_decided: false })
    }
}

/// The place of a Service under `preferred`; the greatest number if it is not there.
fn preferred(config: &ToolsetConfig, product: detectors::Product, key: &ServiceKey) -> usize {
    let detector = config.spec.detectors.iter().find(|detector| detector.type_ == product);
    let place = detector.and_then(|detector| {
        detector.preferred.iter().position(|one| *one.namespace == *key.namespace && *one.name == *key.name)
    });
    place.unwrap_or(usize::MAX)
}
