//! What a Service keeps of its entry while its Pods are not known.

use crd_types::ServiceReason;
use detectors::{Confidence, Product, Protocol, ServiceKey, ServiceView, Target};

use super::claim::{Claim, ClaimOutcome, Origin};
use crate::endpoint::Endpoint;

/// How a Service is in the output.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// The product.
    pub product: Product,
    /// Where it is called.
    pub endpoint: Endpoint,
    /// How sure the recognition was.
    pub confidence: Confidence,
}

/// Reads how a Service is in the output.
pub type Memory<'a> = &'a dyn Fn(&ServiceKey) -> Option<Remembered>;

/// The claim with what only Pods can show, as the output has it. Everything that the Service shows or somebody states
/// stays.
pub(super) fn applied(mut claim: Claim, view: &ServiceView, remembered: &Remembered) -> Claim {
    if claim.product != remembered.product {
        return claim;
    }
    let Endpoint { scheme, port, path, .. } = &remembered.endpoint;
    match &mut claim.outcome {
        ClaimOutcome::Target(target) if target.port == *port => {
            if claim.assumed.scheme {
                target.scheme = *scheme;
            }
            if claim.assumed.path {
                target.path = path.clone().into();
            }
        }
        ClaimOutcome::Target(_) => {}
        ClaimOutcome::Rejected { reason: ServiceReason::NotAnEndpoint | ServiceReason::NoUsablePort, .. }
            if claim.origin == Origin::Rules
                && claim.confidence < Confidence::High
                && view.ports.iter().any(|one| one.port == *port && one.protocol == Protocol::Tcp) =>
        {
            let target = Target { port: *port, scheme: *scheme, path: path.clone().into() };
            claim.outcome = ClaimOutcome::Target(target);
        }
        ClaimOutcome::Rejected { .. } => return claim,
    }
    claim.confidence = claim.confidence.max(remembered.confidence);
    claim
}
