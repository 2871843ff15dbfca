//! Which Services have Pods that can add something to a plan.

use crd_types::{Mode, ServiceReason, State, ToolsetConfig, Trust};
use detectors::{Confidence, ServiceType};

use super::{
    annotation,
    claim::{Claim, ClaimOutcome},
    each_possible, pods_of, signature, source, trust,
};
use crate::index::{Index, Pods, Recognised};

/// Whether the Pods of a Service are read for a `ToolsetConfig`. `Some` says how sure its recognition is without them.
///
/// Pods are read if the source is Trusted, if the Service selects them, and if the product is not certain or a part of
/// the endpoint is assumed. A Service whose owner opted out, or which the spec or the rules of trust refuse, is not read.
/// Neither is one that only a signature recognises.
pub fn wanted(config: &ToolsetConfig, index: &Index, service: &Recognised) -> Option<Confidence> {
    let view = &service.view;
    let reads = config.spec.mode != Mode::Suspended && pods_of(config, Trust::Trusted) == Pods::Count;
    let selects = !view.selector.is_empty() && view.service_type != ServiceType::ExternalName;
    if !reads || !selects || !service.is_interesting() || annotation::is_opted_out(view) {
        return None;
    }
    let covering = source::covering(config, &view.key.namespace, index.namespace_labels(&view.key.namespace));
    let source = source::select(&covering, view).ok().filter(|source| source.trust == Trust::Trusted)?;
    let by_signature = signature::claim(&config.spec.signatures, service, Pods::Ignored);
    let claim = by_signature.as_ref().or_else(|| service.claim(Pods::Ignored))?;
    let refused = config.spec.detector(claim.product).state == State::Disabled
        || trust::refusal(view, index.readiness(&view.key), source, claim.product, false).is_some();
    (!refused && is_open(claim)).then_some(claim.confidence)
}

/// Calls `each` for the Services whose Pods are read for a `ToolsetConfig`, by namespace and name.
pub fn each_wanted<'i>(config: &ToolsetConfig, index: &'i Index, mut each: impl FnMut(&'i Recognised, Confidence)) {
    if pods_of(config, Trust::Trusted) == Pods::Ignored {
        return;
    }
    each_possible(config, index, |service| {
        if let Some(confidence) = wanted(config, index, service) {
            each(service, confidence);
        }
    });
}

/// Whether Pods can add something to what the Service shows.
pub fn is_open(claim: &Claim) -> bool {
    match &claim.outcome {
        ClaimOutcome::Target(_) => claim.confidence < Confidence::High || claim.assumed.is_any(),
        ClaimOutcome::Rejected { reason, .. } => {
            claim.confidence < Confidence::High || *reason == ServiceReason::NoUsablePort
        }
    }
}
