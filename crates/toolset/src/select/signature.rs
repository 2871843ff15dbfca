//! `spec.signatures`: recognition rules that the user wrote. They rank above annotations and built-in rules.

use crd_types::{ServiceReason, Signature};
use detectors::{Confidence, Product, ServiceView, Target};

use super::{
    annotation,
    claim::{self, Claim, ClaimOutcome, Origin},
    selector,
};
use crate::{checked, index::Recognised, spelling};

/// The claim of the first signature that matches a Service.
pub fn claim(signatures: &[Signature], service: &Recognised) -> Option<Claim> {
    signatures.iter().find(|signature| matches(signature, &service.view)).map(|first| by_signature(first, service))
}

/// Whether a signature matches: its selector and all its annotations. One without either matches nothing.
pub fn matches(signature: &Signature, view: &ServiceView) -> bool {
    let selector = signature.selector.as_ref().is_none_or(|selector| selector::matches(selector, &view.labels));
    let annotations = signature.annotations.iter().all(|(key, value)| view.annotations.get(key) == Some(value));
    (signature.selector.is_some() || !signature.annotations.is_empty()) && selector && annotations
}

fn by_signature(signature: &Signature, service: &Recognised) -> Claim {
    let view = &service.view;
    let product = spelling::product(signature.type_);
    let outcome = match signature_target(signature, product, view) {
        Ok(target) => ClaimOutcome::Target(target),
        Err((reason, why)) => {
            ClaimOutcome::Rejected { reason, message: format!("signature {}: {why}", signature.name) }
        }
    };
    Claim {
        product,
        custom: signature.custom_type.clone(),
        confidence: Confidence::High,
        origin: Origin::Signature(signature.name.clone()),
        standing: claim::standing(product, service.findings()),
        outcome,
        hint: None,
        health_path: signature.health_path.clone(),
        instructions: signature.instructions.clone(),
    }
}

fn signature_target(
    signature: &Signature,
    product: Product,
    view: &ServiceView,
) -> Result<Target, (ServiceReason, String)> {
    let mut target = match &signature.port {
        Some(port) => {
            let declared = annotation::declared_port(view, &port.to_string());
            claim::target_at(
                product,
                view,
                declared.map_err(|why| (ServiceReason::NoUsablePort, format!("its port {why}")))?,
            )
        }
        None => detectors::target_of(product, view).ok_or_else(|| {
            let ports = annotation::ports_in_words(view);
            (
                ServiceReason::NoUsablePort,
                format!("which port to call does not follow from the type; give one of {ports} as port"),
            )
        })?,
    };
    if let Some(scheme) = signature.scheme {
        target.scheme = spelling::scheme(scheme);
    }
    if let Some(path) = &signature.path {
        let path = checked::path(path).map_err(|why| (ServiceReason::EndpointNotAllowed, format!("its path {why}")))?;
        target.path = path.into();
    }
    Ok(target)
}
