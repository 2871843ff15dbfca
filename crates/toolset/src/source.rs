//! Which source a Service belongs to: the first of `spec.sources` that selects it decides how far it is trusted.

use std::collections::BTreeSet;

use crd_types::{Allowance, AllowanceKind, NamespacesFrom, Source, ToolsetConfig};
use detectors::{ServiceKey, ServiceView, StringMap};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;

use crate::index::Index;

/// The sources of one `ToolsetConfig`, ready to be asked about Services.
pub struct Sources<'a> {
    sources: Vec<Compiled<'a>>,
    index: &'a Index,
}

struct Compiled<'a> {
    source: &'a Source,
    names: BTreeSet<&'a str>,
    own_namespace: Option<String>,
}

/// Why no source selects a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// No source covers its namespace.
    Namespace,
    /// A source covers the namespace, but its `serviceSelector` does not match the Service's labels.
    Selector,
}

impl<'a> Sources<'a> {
    /// The sources of `config` over the namespaces in `index`.
    pub fn new(config: &'a ToolsetConfig, index: &'a Index) -> Self {
        let compile = |source: &'a Source| Compiled {
            source,
            names: source.namespaces.names.iter().map(String::as_str).collect(),
            own_namespace: config.namespace(),
        };
        Self { sources: config.spec.sources.iter().map(compile).collect(), index }
    }

    /// The sources that cover a namespace, in order.
    pub fn covering(&self, namespace: &str) -> Vec<&'a Source> {
        let labels = self.index.namespace_labels(namespace);
        self.sources.iter().filter(|source| source.covers(namespace, labels)).map(|source| source.source).collect()
    }

    /// The source of a Service, of those `covering` its namespace.
    pub fn select(covering: &[&'a Source], view: &ServiceView) -> Result<&'a Source, Outside> {
        if covering.is_empty() {
            return Err(Outside::Namespace);
        }
        let fits =
            |source: &&&Source| source.service_selector.as_ref().is_none_or(|selector| matches(selector, &view.labels));
        covering.iter().find(fits).copied().ok_or(Outside::Selector)
    }
}

impl Compiled<'_> {
    fn covers(&self, namespace: &str, labels: Option<&StringMap>) -> bool {
        let selection = &self.source.namespaces;
        match selection.from {
            NamespacesFrom::All => true,
            NamespacesFrom::Same => self.own_namespace.as_deref() == Some(namespace),
            NamespacesFrom::Names => self.names.contains(namespace),
            // A namespace that has not been seen is not selected, whatever the selector says of absent labels.
            NamespacesFrom::Selector => labels
                .is_some_and(|labels| selection.selector.as_ref().is_some_and(|selector| matches(selector, labels))),
        }
    }
}

/// Whether `source` vouches for this kind of address of this Service.
pub fn allows(source: &Source, key: &ServiceKey, kind: AllowanceKind) -> bool {
    let names_it = |allowance: &Allowance| {
        allowance.kind == kind && *allowance.namespace == *key.namespace && *allowance.name == *key.name
    };
    source.allow.iter().any(names_it)
}

/// Kubernetes' label selector semantics; an empty selector matches everything. An operator that the API server would refuse
/// matches nothing.
pub fn matches(selector: &LabelSelector, labels: &StringMap) -> bool {
    let exact = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    exact
        && selector.match_expressions.iter().flatten().all(|expression| {
            let value = labels.get(&expression.key);
            let among = |value: &str| expression.values.iter().flatten().any(|one| one == value);
            match expression.operator.as_str() {
                "In" => value.is_some_and(among),
                "NotIn" => !value.is_some_and(among),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(json: serde_json::Value) -> LabelSelector {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_selector_matches_as_kubernetes_does() {
        let labels: StringMap = [("tier", "gold"), ("team", "a")].into_iter().collect();
        let cases = [
            (serde_json::json!({}), true),
            (serde_json::json!({"matchLabels": {"tier": "gold"}}), true),
            (serde_json::json!({"matchLabels": {"tier": "silver"}}), false),
            (
                serde_json::json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold", "x"]}]}),
                true,
            ),
            (serde_json::json!({"matchExpressions": [{"key": "absent", "operator": "NotIn", "values": ["x"]}]}), true),
            (serde_json::json!({"matchExpressions": [{"key": "absent", "operator": "Exists"}]}), false),
            (serde_json::json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), false),
            (serde_json::json!({"matchExpressions": [{"key": "tier", "operator": "Near"}]}), false),
        ];
        for (json, expected) in cases {
            assert_eq!(matches(&selector(json.clone()), &labels), expected, "{json}");
        }
    }
}
