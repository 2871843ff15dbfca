//! `spec.signatures`: recognition rules that the user wrote. They override annotations and built-in rules.

use crd_types::{ServiceReason, Signature};
use detectors::{Confidence, Finding, Product, ServiceView, Target};

use super::{
    annotation,
    claim::{self, Claim, ClaimOutcome, Known, Origin},
    selector,
};
use crate::{checked, index::Recognised, pods::Pods};

/// The claim of the first signature that matches a Service.
pub fn claim(signatures: &[Signature], service: &Recognised, pods: Pods) -> Option<Claim> {
    signatures
        .iter()
        .find(|signature| matches(signature, &service.view))
        .map(|first| by_signature(first, service, pods))
}

/// Whether a signature's selector and all its annotations match. A signature without either matches nothing.
pub fn matches(signature: &Signature, view: &ServiceView) -> bool {
    let selector = signature.selector.as_ref().is_none_or(|selector| selector::matches(selector, &view.labels));
    let annotations = signature.annotations.iter().all(|(key, value)| view.annotations.get(key) == Some(value));
    (signature.selector.is_some() || !signature.annotations.is_empty()) && selector && annotations
}

fn by_signature(signature: &Signature, service: &Recognised, pods: Pods) -> Claim {
    let view = &service.view;
    let product = signature.type_;
    let findings = service.findings(pods);
    let mut known = Known::default();
    let outcome = match signature_target(signature, product, view, findings, pods) {
        Ok((target, of_it)) => {
            known = of_it;
            ClaimOutcome::Target(target)
        }
        Err((reason, why)) => {
            ClaimOutcome::Rejected { reason, message: format!("Signature {}: {why}.", signature.name) }
        }
    };
    Claim {
        product,
        custom: signature.custom_type.clone(),
        confidence: Confidence::High,
        origin: Origin::Signature(signature.name.clone()),
        rank: claim::rank(product, findings),
        outcome,
        hint: None,
        auth: known.auth,
        assumed: known.assumed,
        decided_by: format!("signature {}", signature.name).into(),
        by_port_alone: false,
        health_path: signature.health_path.clone(),
        instructions: signature.instructions.clone(),
    }
}

fn signature_target(
    signature: &Signature,
    product: Product,
    view: &ServiceView,
    findings: &[Finding],
    pods: Pods,
) -> Result<(Target, Known), (ServiceReason, String)> {
    let (mut target, mut known) = match &signature.port {
        Some(port) => {
            let declared = annotation::declared_port(view, &port.to_string());
            claim::target_at(
                product,
                view,
                findings,
                declared.map_err(|why| (ServiceReason::NoUsablePort, format!("port {why}")))?,
                pods,
            )
        }
        None => claim::target_of(product, view, findings, pods).ok_or_else(|| {
            let ports = annotation::ports_in_words(view);
            (
                ServiceReason::NoUsablePort,
                format!("the type does not determine which port to call. Set port to one of the ports that the Service declares: {ports}"),
            )
        })?,
    };
    if let Some(scheme) = signature.scheme {
        target.scheme = scheme;
        known.assumed.scheme = false;
    }
    if let Some(path) = &signature.path {
        let path = checked::path(path).map_err(|why| (ServiceReason::EndpointNotAllowed, format!("path {why}")))?;
        target.path = path.into();
        known.assumed.path = false;
    }
    Ok((target, known))
}
