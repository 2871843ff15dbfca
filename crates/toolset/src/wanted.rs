//! Whether a Service that was a tool is still wanted, by what is known for certain.

use crd_types::{NamespacesFrom, Source, State, ToolsetConfig, Trust};
use detectors::{Product, ServiceKey};

use crate::{
    index::Index,
    select::{
        annotation,
        overridden::override_matches,
        source::{self, covers},
    },
};

/// What is known of a Service that was a tool of a Trusted source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It does not exist any more.
    Gone,
    /// It exists or may exist, but the spec does not select it from a Trusted source, or the spec or its owner switches
    /// it off.
    Unwanted,
    /// Nothing says that it is not wanted. It may have a fault, or nobody can see it.
    Open,
}

/// What the index and the spec say of a Service. `unseen` says in which namespaces the index may lack Services.
pub(crate) fn fate(config: &ToolsetConfig, index: &Index, unseen: &dyn Fn(&str) -> bool, key: &ServiceKey) -> Fate {
    if !unseen(&key.namespace) {
        let Some(service) = index.service(key) else { return Fate::Gone };
        let labels = index.namespace_labels(&key.namespace);
        let covering = source::covering(config, &key.namespace, labels);
        let selected = source::select(&covering, &service.view).is_ok_and(|source| source.trust == Trust::Trusted);
        // A namespace whose labels have not been seen may be one that a source selects.
        let by_label = |source: &Source| source.namespaces.from == NamespacesFrom::Selector;
        let is_sure = labels.is_some() || !config.spec.sources.iter().any(by_label);
        if annotation::is_opted_out(&service.view) || (!selected && is_sure) {
            return Fate::Unwanted;
        }
    }
    if excludes(config, key) { Fate::Unwanted } else { Fate::Open }
}

/// Whether the spec excludes a Service, whatever its labels and its type are.
pub(crate) fn excludes(config: &ToolsetConfig, key: &ServiceKey) -> bool {
    let is_off = |product: &Product| {
        config.spec.detector(*product).state == State::Disabled || is_switched_off(config, key, *product, None)
    };
    possible_source(config, key, Trust::Trusted).is_none() || Product::ALL.iter().all(is_off)
}

/// The first source that can select a Service and does not trust it less than `trust`. A source that selects by labels
/// may do so, because the labels have not been seen. A source that trusts it less cannot keep its tool, because a
/// Tenant's Service has to opt in, and nothing says that this one does.
pub(crate) fn possible_source<'a>(config: &'a ToolsetConfig, key: &ServiceKey, trust: Trust) -> Option<&'a Source> {
    let own = config.metadata.namespace.as_deref();
    for source in &config.spec.sources {
        let by_namespace_labels = source.namespaces.from == NamespacesFrom::Selector;
        if !by_namespace_labels && !covers(source, own, &key.namespace, None) {
            continue;
        }
        let trusts_less = source.trust == Trust::Tenant && trust == Trust::Trusted;
        let by_labels = by_namespace_labels || source.service_selector.is_some();
        match (trusts_less, by_labels) {
            (false, _) => return Some(source),
            // If the labels match, the spec excludes the tool. The labels have never been seen, so the next source
            // decides.
            (true, true) => {}
            (true, false) => return None,
        }
    }
    None
}

/// Whether the overrides switch a tool of this type off. A later one wins.
pub(crate) fn is_switched_off(
    config: &ToolsetConfig,
    key: &ServiceKey,
    product: Product,
    custom: Option<&str>,
) -> bool {
    let mut states = config.spec.overrides.iter().filter_map(|rule| Some((rule, rule.state?)));
    let deciding = states.rfind(|(rule, _)| override_matches(rule, key, Some(product), custom));
    deciding.is_some_and(|(_, state)| state == State::Disabled)
}
