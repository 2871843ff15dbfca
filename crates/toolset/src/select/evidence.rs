//! Which Services have Pods or answers that can add something to a plan.

use std::borrow::Cow;

use crd_types::{Mode, ServiceReason, State, ToolsetConfig, Trust};
use detectors::{Confidence, ServiceType};

use super::{
    annotation,
    claim::{Claim, ClaimOutcome},
    each_possible, identified, overridden, pods_of, signature, source, trust,
};
use crate::{
    identity::{self, IdentityQuestion},
    index::{Index, Recognised},
    pods::Pods,
};

/// Whether the Pods of a Service are read for a `ToolsetConfig`. `Some` says how sure its recognition is without them.
///
/// Pods are read if the source is Trusted, if the Service selects them, and if the product is not certain or a part of
/// the endpoint is assumed. A Service whose owner opted out, or which the spec or the rules of trust refuse, is not read.
/// Neither is one that only a signature recognises.
pub fn wanted(config: &ToolsetConfig, index: &Index, service: &Recognised) -> Option<Confidence> {
    if pods_of(config, Trust::Trusted) == Pods::Ignored || !service.is_interesting() {
        return None;
    }
    let claim = trusted_claim(config, index, service, Pods::Ignored)?;
    is_open(&claim).then_some(claim.confidence)
}

/// What a Service is asked about its identity for a `ToolsetConfig`.
///
/// A Service of a Trusted source that selects Pods is asked if its product is not certain or its scheme is assumed, after
/// its Pods have been read. This includes one that only a signature recognises. The question is about the endpoint that
/// the overrides state. A Service whose owner opted out, or which the spec or the rules of trust refuse, is not asked.
pub fn question(config: &ToolsetConfig, index: &Index, service: &Recognised) -> Option<IdentityQuestion> {
    if !identity::counts(config, Trust::Trusted) || service.annotations_are_malformed() {
        return None;
    }
    let claim = trusted_claim(config, index, service, pods_of(config, Trust::Trusted))?;
    let overridden = overridden::overridden(config, &service.view, &claim);
    identified::question(&service.view, overridden.as_ref().unwrap_or(&claim))
}

/// Calls `each` for what the Services are asked for a `ToolsetConfig`, by namespace and name.
pub fn each_question(config: &ToolsetConfig, index: &Index, mut each: impl FnMut(IdentityQuestion)) {
    if identity::counts(config, Trust::Trusted) {
        each_possible(config, index, |service| question(config, index, service).into_iter().for_each(&mut each));
    }
}

/// The claim of a Service of a Trusted source that selects Pods, unless somebody refuses it.
fn trusted_claim<'i>(
    config: &ToolsetConfig,
    index: &Index,
    service: &'i Recognised,
    pods: Pods,
) -> Option<Cow<'i, Claim>> {
    let view = &service.view;
    let selects = !view.selector.is_empty() && view.service_type != ServiceType::ExternalName;
    if config.spec.mode == Mode::Suspended || !selects || annotation::is_opted_out(view) {
        return None;
    }
    let covering = source::covering(config, &view.key.namespace, index.namespace_labels(&view.key.namespace));
    let source = source::select(&covering, view).ok().filter(|source| source.trust == Trust::Trusted)?;
    let by_signature = signature::claim(&config.spec.signatures, service, pods).map(Cow::Owned);
    let claim = by_signature.or_else(|| service.claim(pods).map(Cow::Borrowed))?;
    let refused = config.spec.detector(claim.product).state == State::Disabled
        || trust::refusal(view, index.readiness(&view.key), source, claim.product, false).is_some();
    (!refused).then_some(claim)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        SliceView,
        fixtures::{annotated, config, grafana, index, service, slice, trusting_monitoring},
    };

    fn is_wanted(config: &ToolsetConfig, index: &Index) -> bool {
        let mut wanted = Vec::new();
        each_wanted(config, index, |service, _| wanted.push(service.view.key.clone()));
        !wanted.is_empty()
    }

    #[test]
    fn pods_are_wanted_where_a_trusted_service_leaves_something_open() {
        let config = trusting_monitoring();
        assert!(is_wanted(&config, &index([grafana("monitoring", "g")])), "its path is assumed");
        assert!(!is_wanted(&config, &index([grafana("elsewhere", "g")])));
        assert!(!is_wanted(&config, &index([service("monitoring", "shop", &[("http", 80)])])));
    }

    #[test]
    fn pods_of_tenants_are_not_wanted() {
        let view = annotated(
            grafana("monitoring", "g"),
            &[("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", "grafana")],
        );
        let tenants = config(json!({"sources": [{"name": "t", "trust": "Tenant", "namespaces": {"from": "All"}}]}));
        assert!(!is_wanted(&tenants, &index([view.clone()])));
        assert!(is_wanted(&trusting_monitoring(), &index([view])));
    }

    #[test]
    fn the_spec_and_the_owner_can_refuse() {
        let known = index([grafana("monitoring", "g")]);
        let with = |more: serde_json::Value| {
            let mut spec = json!({"sources": [{"name": "p", "trust": "Trusted", "namespaces": {"from": "All"}}]});
            for (key, value) in more.as_object().unwrap() {
                spec[key] = value.clone();
            }
            config(spec)
        };
        assert!(is_wanted(&with(json!({})), &known));
        assert!(!is_wanted(&with(json!({"evidence": {"pods": "Disabled"}})), &known));
        assert!(!is_wanted(&with(json!({"mode": "Suspended"})), &known));
        assert!(!is_wanted(&with(json!({"detectors": [{"type": "Grafana", "state": "Disabled"}]})), &known));
        let out = annotated(grafana("monitoring", "g"), &[("kubernaut.io/toolset", "disabled")]);
        assert!(!is_wanted(&with(json!({})), &index([out])));
    }

    #[test]
    fn what_the_rules_of_trust_refuse_is_not_read() {
        let view = grafana("monitoring", "g");
        let mut by_hand = index([view.clone()]);
        by_hand.apply_slice(SliceView { managed: false, ..slice(&view, true) });
        assert!(!is_wanted(&trusting_monitoring(), &by_hand));
        let mut without_selector = view.clone();
        without_selector.selector = detectors::StringMap::default();
        assert!(!is_wanted(&trusting_monitoring(), &index([without_selector])));
        let mut alias = view;
        alias.service_type = ServiceType::ExternalName;
        assert!(!is_wanted(&trusting_monitoring(), &index([alias])));
    }
}
