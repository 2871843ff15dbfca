//! Which source a Service belongs to: the first of `spec.sources` that selects it decides how far it is trusted.

use crd_types::{Allowance, AllowanceKind, NamespacesFrom, Source, ToolsetConfig};
use detectors::{ServiceKey, ServiceView, StringMap};

use super::selector::matches;

/// Why no source selects a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// No source covers its namespace.
    Namespace,
    /// A source covers the namespace, but its `serviceSelector` does not match the Service's labels.
    Selector,
}

/// The sources that cover a namespace, in order. `labels` are the namespace's, `None` if it has not been seen.
pub fn covering<'a>(config: &'a ToolsetConfig, namespace: &str, labels: Option<&StringMap>) -> Vec<&'a Source> {
    let own = config.metadata.namespace.as_deref();
    config.spec.sources.iter().filter(|source| covers(source, own, namespace, labels)).collect()
}

/// Whether a source covers a namespace. `own` is the namespace of its `ToolsetConfig`.
pub fn covers(source: &Source, own: Option<&str>, namespace: &str, labels: Option<&StringMap>) -> bool {
    let selection = &source.namespaces;
    match selection.from {
        NamespacesFrom::All => true,
        NamespacesFrom::Same => own == Some(namespace),
        NamespacesFrom::Names => selection.names.iter().any(|name| name == namespace),
        // A namespace that has not been seen is not selected, whatever the selector says of absent labels.
        NamespacesFrom::Selector => {
            labels.is_some_and(|labels| selection.selector.as_ref().is_some_and(|selector| matches(selector, labels)))
        }
    }
}

/// The source of a Service, of those `covering` its namespace.
pub fn select<'a>(covering: &[&'a Source], view: &ServiceView) -> Result<&'a Source, Outside> {
    if covering.is_empty() {
        return Err(Outside::Namespace);
    }
    covering.iter().copied().find(|source| wants(source, view)).ok_or(Outside::Selector)
}

/// Whether a source's `serviceSelector` takes a Service.
pub fn wants(source: &Source, view: &ServiceView) -> bool {
    source.service_selector.as_ref().is_none_or(|selector| matches(selector, &view.labels))
}

/// Whether `source` vouches for this kind of address of this Service.
pub fn allows(source: &Source, key: &ServiceKey, kind: AllowanceKind) -> bool {
    let names_it = |allowance: &Allowance| {
        allowance.kind == kind && *allowance.namespace == *key.namespace && *allowance.name == *key.name
    };
    source.allow.iter().any(names_it)
}
