//! Starts and stops the watches as the ToolsetConfigs need them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crd_types::{NamespacesFrom, ToolsetConfig};
use kube::{Api, Client};
use tokio::{task::JoinHandle, time::Instant};
use tracing::debug;

use super::{
    Input, Standing, WatchId,
    cluster::{EndpointSlices, Namespaces, Services},
    config_maps::OneConfigMap,
    configs::ToolsetConfigs,
    watch,
};
use crate::{object::ObjectName, world::World};

/// Which namespaces are looked at. An empty list means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// For Services, EndpointSlices and Namespaces.
    pub watch_namespaces: Vec<String>,
    /// For ToolsetConfigs.
    pub config_namespaces: Vec<String>,
}

impl Scope {
    /// The watches that run whatever the ToolsetConfigs say: those that `/ready` waits for.
    pub fn always(&self) -> BTreeSet<WatchId> {
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

/// Whether a ToolsetConfig asks for namespaces by their labels.
fn needs_namespaces(config: &ToolsetConfig) -> bool {
    config.spec.sources.iter().any(|source| source.namespaces.from == NamespacesFrom::Selector)
}

/// Every watch that is needed for these ToolsetConfigs.
///
/// Namespaces are watched only when somebody selects by their labels: an install without cluster-wide rights works as long
/// as nobody does, and makes no request that would be refused.
pub fn needed(scope: &Scope, configs: &[Arc<ToolsetConfig>]) -> BTreeSet<WatchId> {
    let mut needed = scope.always();
    if configs.iter().any(|config| needs_namespaces(config)) {
        if scope.watch_namespaces.is_empty() {
            needed.insert(WatchId::all(Input::Namespace));
        }
        // By name, so that `resourceNames` in a ClusterRole is enough.
        needed.extend(scope.watch_namespaces.iter().map(|name| WatchId::one(Input::Namespace, None, name)));
    }
    for config in configs {
        let namespace = config.metadata.namespace.as_deref();
        let output = &config.spec.output;
        needed.insert(WatchId::one(Input::ConfigMap, namespace, &output.config_map_name));
        if let Some(base) = &output.base {
            needed.insert(WatchId::one(Input::ConfigMap, namespace, &base.config_map_name));
        }
    }
    needed
}

/// Owns the watch tasks.
pub struct Supervisor {
    world: Arc<World>,
    client: Client,
    running: BTreeMap<WatchId, JoinHandle<()>>,
}

impl Supervisor {
    /// No watch runs yet.
    pub fn new(world: Arc<World>, client: Client) -> Self {
        Self { world, client, running: BTreeMap::new() }
    }

    /// Keeps the right watches running. Never returns; dropping it stops them all.
    pub async fn run(mut self) {
        loop {
            self.adjust(&needed(&self.world.scope, &self.world.configs.all()));
            self.world.needs.notified().await;
        }
    }

    fn adjust(&mut self, needed: &BTreeSet<WatchId>) {
        let superfluous: Vec<_> = self.running.keys().filter(|id| !needed.contains(id)).cloned().collect();
        for id in superfluous {
            self.stop(&id);
        }
        for id in needed {
            if !self.running.contains_key(id) {
                debug!(watch = %id, "watching");
                self.world.inputs.started(id, Instant::now());
                self.world.metrics.standing(id.input, Standing::Pending);
                self.running.insert(id.clone(), self.start(id));
            }
        }
    }

    fn start(&self, id: &WatchId) -> JoinHandle<()> {
        let (world, client, watch) = (self.world.clone(), self.client.clone(), id.clone());
        let namespace = id.namespace.clone();
        match id.input {
            Input::Service => {
                let sink = Services::new(world.clone(), namespace.clone());
                tokio::spawn(watch::run(world, client, watch, move |client| namespaced(client, namespace), sink))
            }
            Input::EndpointSlice => {
                let sink = EndpointSlices::new(world.clone(), namespace.clone());
                tokio::spawn(watch::run(world, client, watch, move |client| namespaced(client, namespace), sink))
            }
            Input::ToolsetConfig => {
                let sink = ToolsetConfigs::new(world.clone());
                tokio::spawn(watch::run(world, client, watch, move |client| namespaced(client, namespace), sink))
            }
            Input::Namespace => {
                let sink = Namespaces::new(world.clone(), id.name.clone());
                tokio::spawn(watch::run(world, client, watch, Api::all, sink))
            }
            Input::ConfigMap => {
                let sink = OneConfigMap::new(world.clone(), config_map_name(id));
                tokio::spawn(watch::run(world, client, watch, move |client| namespaced(client, namespace), sink))
            }
        }
    }

    fn stop(&mut self, id: &WatchId) {
        if let Some(task) = self.running.remove(id) {
            debug!(watch = %id, "no longer watching");
            task.abort();
        }
        self.world.inputs.stopped(id);
        if !self.running.keys().any(|other| other.input == id.input) {
            self.world.metrics.unneeded(id.input);
        }
        if id.input == Input::ConfigMap {
            self.world.config_maps.forget(&config_map_name(id));
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.running.values().for_each(JoinHandle::abort);
    }
}

fn config_map_name(id: &WatchId) -> ObjectName {
    ObjectName::new(id.namespace.as_deref().unwrap_or_default(), id.name.as_deref().unwrap_or_default())
}

fn namespaced<K>(client: Client, namespace: Option<String>) -> Api<K>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client, &namespace),
        None => Api::all(client),
    }
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
    fn namespaces_are_watched_only_when_somebody_selects_by_their_labels() {
        let (all, out) = (source(&serde_json::json!({"from": "All"})), serde_json::json!({}));
        let ids = needed(&Scope::default(), &[config(&all, &out)]);
        assert!(!ids.iter().any(|id| id.input == Input::Namespace));
        let by_label = source(&serde_json::json!({"from": "Selector", "selector": {}}));
        assert!(needed(&Scope::default(), &[config(&by_label, &out)]).contains(&WatchId::all(Input::Namespace)));
    }

    #[test]
    fn a_restricted_scope_watches_each_namespace_for_itself() {
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
}
