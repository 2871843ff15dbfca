//! Which Services have something that their Pods can show.

use std::{borrow::Cow, cmp::Reverse};

use crd_types::ToolsetConfig;
use detectors::{Confidence, ServiceKey, ServiceType};
use toolset::{
    Index,
    index::{Pods, Recognised},
    select::{
        annotation,
        claim::{Claim, ClaimOutcome, Origin},
        pods_of, signature, source,
    },
};

/// The Services whose Pods are read, better evidence first: the candidates of Trusted sources for which something is
/// open.
pub(crate) fn wanted(config: &ToolsetConfig, index: &Index) -> Vec<ServiceKey> {
    let mut wanted: Vec<(Reverse<Confidence>, ServiceKey)> = index
        .services()
        .filter(|service| pods_count(config, index, service) && !annotation::is_opted_out(&service.view))
        .filter(|service| !service.view.selector.is_empty() && service.view.service_type != ServiceType::ExternalName)
        .filter_map(|service| {
            let claim = claim(config, service, Pods::Ignored).filter(|claim| is_open(claim))?;
            Some((Reverse(claim.confidence), service.view.key.clone()))
        })
        .collect();
    wanted.sort();
    wanted.into_iter().map(|(_, key)| key).collect()
}

/// Whether what Pods say counts for a Service.
pub(crate) fn pods_count(config: &ToolsetConfig, index: &Index, service: &Recognised) -> bool {
    let namespace = &service.view.key.namespace;
    let covering = source::covering(config, namespace, index.namespace_labels(namespace));
    source::select(&covering, &service.view).is_ok_and(|source| pods_of(config, source.trust) == Pods::Count)
}

/// What a Service is, with or without what its Pods say.
pub(crate) fn claim<'a>(config: &ToolsetConfig, service: &'a Recognised, pods: Pods) -> Option<Cow<'a, Claim>> {
    let by_signature = signature::claim(&config.spec.signatures, service, pods).map(Cow::Owned);
    by_signature.or_else(|| service.claim(pods).map(Cow::Borrowed))
}

/// Whether Pods can add something to a claim.
pub(crate) fn is_open(claim: &Claim) -> bool {
    match &claim.outcome {
        ClaimOutcome::Target(_) => claim.confidence < Confidence::High || claim.assumed.is_any(),
        // A stated type without a port is rejected until the Pods show the port.
        ClaimOutcome::Rejected { .. } => claim.confidence < Confidence::High || claim.origin != Origin::Rules,
    }
}
