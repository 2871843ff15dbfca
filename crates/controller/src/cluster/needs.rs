//! Which watches the ToolsetConfigs need.

use std::{collections::BTreeSet, sync::Arc};

use crd_types::ToolsetConfig;
use toolset::status::{Input, required_inputs};

use super::watch_health::WatchId;

/// Which namespaces the operator is restricted to. An empty list means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// For Services, EndpointSlices and Namespaces.
    pub(crate) watch_namespaces: Vec<String>,
    /// For ToolsetConfigs.
    pub(crate) config_namespaces: Vec<String>,
}

impl Scope {
    /// Whether the Services and the EndpointSlices of a namespace are watched.
    pub(crate) fn watches(&self, namespace: &str) -> bool {
        self.watch_namespaces.is_empty() || self.watch_namespaces.iter().any(|watched| watched == namespace)
    }

    /// The watches that always run. `/ready` waits for them.
    pub(crate) fn always(&self) -> BTreeSet<WatchId> {
        let mut needed = BTreeSet::new();
        needed.extend(by_namespace(Input::Service, &self.watch_namespaces));
        needed.extend(by_namespace(Input::EndpointSlice, &self.watch_namespaces));
        needed.extend(by_namespace(Input::ToolsetConfig, &self.config_namespaces));
        needed
    }
}

fn by_namespace(input: Input, namespaces: &[String]) -> Vec<WatchId> {
    if namespaces.is_empty() {
        return vec![WatchId::all(input)];
    }
    namespaces.iter().map(|namespace| WatchId::within(input, namespace)).collect()
}

/// Every watch that these ToolsetConfigs need.
///
/// Namespaces are watched only if a source selects by their labels. Otherwise an installation without cluster-wide
/// permissions would send requests that the API server refuses.
pub(super) fn needed(scope: &Scope, configs: &[Arc<ToolsetConfig>]) -> BTreeSet<WatchId> {
    let mut needed = scope.always();
    if configs.iter().any(|config| required_inputs(config).contains(&Input::Namespace)) {
        if scope.watch_namespaces.is_empty() {
            needed.insert(WatchId::all(Input::Namespace));
        }
        // By name, so that `resourceNames` in a ClusterRole is enough.
        needed.extend(scope.watch_namespaces.iter().map(|name| WatchId::one(Input::Namespace, None, name)));
    }
    needed.extend(configs.iter().flat_map(|config| config_maps(config)));
    needed
}

/// The watches of the ConfigMap that a ToolsetConfig writes and of the base that it uses, if there is one.
pub(crate) fn config_maps(config: &ToolsetConfig) -> impl Iterator<Item = WatchId> {
    let namespace = config.metadata.namespace.as_deref();
    config.spec.output.config_map_names().map(move |name| WatchId::one(Input::ConfigMap, namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sources: &serde_json::Value, output: &serde_json::Value) -> Arc<ToolsetConfig> {
        Arc::new(
            serde_json::from_value(serde_json::json!({
                "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig",
                "metadata": {"name": "c", "namespace": "n"},
                "spec": {"sources": sources, "output": output}
            }))
            .unwrap(),
        )
    }

    fn source(namespaces: &serde_json::Value) -> serde_json::Value {
        serde_json::json!([{"name": "s", "trust": "Trusted", "namespaces": namespaces}])
    }

    #[test]
    fn namespaces_are_watched_only_if_a_source_selects_by_their_labels() {
        let (all, out) = (source(&serde_json::json!({"from": "All"})), serde_json::json!({}));
        let ids = needed(&Scope::default(), &[config(&all, &out)]);
        assert!(!ids.iter().any(|id| id.input == Input::Namespace));
        let by_label = source(&serde_json::json!({"from": "Selector", "selector": {}}));
        assert!(needed(&Scope::default(), &[config(&by_label, &out)]).contains(&WatchId::all(Input::Namespace)));
    }

    #[test]
    fn a_restricted_scope_has_one_watch_for_each_namespace() {
        let scope = Scope { watch_namespaces: vec!["a".into(), "b".into()], config_namespaces: vec!["n".into()] };
        let by_label = source(&serde_json::json!({"from": "Selector", "selector": {}}));
        let ids = needed(&scope, &[config(&by_label, &serde_json::json!({}))]);
        for id in [
            WatchId::within(Input::Service, "a"),
            WatchId::within(Input::EndpointSlice, "b"),
            WatchId::within(Input::ToolsetConfig, "n"),
            WatchId::one(Input::Namespace, None, "a"),
            WatchId::one(Input::ConfigMap, Some("n"), "kubernaut-toolset-config"),
        ] {
            assert!(ids.contains(&id), "{id}");
        }
    }

    #[test]
    fn the_output_and_its_base_are_watched_by_name() {
        let output = serde_json::json!({"configMapName": "out", "base": {"configMapName": "base"}});
        let ids = needed(&Scope::default(), &[config(&source(&serde_json::json!({"from": "Same"})), &output)]);
        assert!(ids.contains(&WatchId::one(Input::ConfigMap, Some("n"), "out")));
        assert!(ids.contains(&WatchId::one(Input::ConfigMap, Some("n"), "base")));
    }

    #[test]
    fn a_base_is_watched_only_where_the_file_for_holmesgpt_is_written() {
        let base = WatchId::one(Input::ConfigMap, Some("n"), "base");
        let all = source(&serde_json::json!({"from": "All"}));
        for (formats, watched) in [
            (serde_json::json!(["ToolsetJSON"]), false),
            (serde_json::json!(["HolmesGPT"]), true),
            (serde_json::json!(["ToolsetJSON", "HolmesGPT"]), true),
        ] {
            let output = serde_json::json!({"formats": formats, "base": {"configMapName": "base"}});
            let config = config(&all, &output);
            assert_eq!(needed(&Scope::default(), std::slice::from_ref(&config)).contains(&base), watched, "{formats}");
            assert_eq!(config_maps(&config).any(|id| id == base), watched, "{formats}");
        }
    }
}
