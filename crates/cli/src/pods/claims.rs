//! Which Services have something that their Pods can show, and what each is with and without it.

use std::{borrow::Cow, cmp::Reverse, collections::BTreeMap};

use crd_types::ToolsetConfig;
use detectors::{Confidence, ServiceKey};
use toolset::{
    Index,
    index::Recognised,
    pods::Pods,
    select::{claim::Claim, evidence, pods_of, signature, source},
};

/// The Services whose Pods are read, better evidence first, as in the operator.
pub(crate) fn wanted(config: &ToolsetConfig, index: &Index) -> Vec<ServiceKey> {
    wanted_by_any(std::slice::from_ref(config), index)
}

/// The Services whose Pods any of the ToolsetConfigs reads, better evidence first.
pub(crate) fn wanted_by_any(configs: &[ToolsetConfig], index: &Index) -> Vec<ServiceKey> {
    let mut wanted: BTreeMap<ServiceKey, Reverse<Confidence>> = BTreeMap::new();
    for config in configs {
        evidence::each_wanted(config, index, |service, confidence| {
            let best = wanted.entry(service.view.key.clone()).or_insert(Reverse(confidence));
            *best = (*best).min(Reverse(confidence));
        });
    }
    let mut wanted: Vec<(Reverse<Confidence>, ServiceKey)> =
        wanted.into_iter().map(|(key, best)| (best, key)).collect();
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
