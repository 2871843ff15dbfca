//! Starts and stops the watches as the ToolsetConfigs need them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube::{Api, Client};
use tokio::{task::JoinHandle, time::Instant};
use toolset::status::Input;
use tracing::debug;

use super::{
    feed::{EndpointSlices, Namespaces, OneConfigMap, Services, ToolsetConfigFeed},
    needs::needed,
    state::Cluster,
    triggers::Triggers,
    watch::Watch,
    watch_health::{WatchHealth, WatchId},
};
use crate::{api::NamespacedName, metrics::Metrics};

/// Owns the watch tasks.
pub(crate) struct Supervisor {
    cluster: Arc<Cluster>,
    triggers: Arc<Triggers>,
    metrics: Arc<Metrics>,
    client: Client,
    running: BTreeMap<WatchId, JoinHandle<()>>,
}

impl Supervisor {
    /// A supervisor that runs no watch yet.
    pub(crate) fn new(cluster: Arc<Cluster>, triggers: Arc<Triggers>, metrics: Arc<Metrics>, client: Client) -> Self {
        Self { cluster, triggers, metrics, client, running: BTreeMap::new() }
    }

    /// Keeps the needed watches running. It never returns, and dropping it stops all watches.
    pub(crate) async fn run(mut self) {
        loop {
            self.adjust(&needed(&self.cluster.scope, &self.cluster.toolset_configs.all()));
            self.cluster.needs_changed.notified().await;
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
                self.cluster.watches.started(id, Instant::now());
                self.metrics.watch_synced(id.input, false);
                self.running.insert(id.clone(), self.start(id));
            }
        }
    }

    fn start(&self, id: &WatchId) -> JoinHandle<()> {
        let (cluster, triggers, metrics) = (self.cluster.clone(), self.triggers.clone(), self.metrics.clone());
        let watch =
            Watch { id: id.clone(), cluster: cluster.clone(), triggers: triggers.clone(), metrics: metrics.clone() };
        let (client, namespace) = (self.client.clone(), id.namespace.clone());
        match id.input {
            Input::Service => {
                let feed = Services::new(cluster, triggers, metrics, namespace.clone());
                tokio::spawn(watch.run(client, move |client| namespaced(client, namespace), feed))
            }
            Input::EndpointSlice => {
                let feed = EndpointSlices::new(cluster, triggers, namespace.clone());
                tokio::spawn(watch.run(client, move |client| namespaced(client, namespace), feed))
            }
            Input::ToolsetConfig => {
                let feed = ToolsetConfigFeed::new(cluster, triggers, metrics);
                tokio::spawn(watch.run(client, move |client| namespaced(client, namespace), feed))
            }
            Input::Namespace => {
                let feed = Namespaces::new(cluster, triggers, id.name.clone());
                tokio::spawn(watch.run(client, Api::all, feed))
            }
            Input::ConfigMap => {
                let feed =
                    OneConfigMap { cluster, triggers, name: config_map_name(id), listed: None, seen: 0, uid: None };
                tokio::spawn(watch.run(client, move |client| namespaced(client, namespace), feed))
            }
        }
    }

    fn stop(&mut self, id: &WatchId) {
        if let Some(task) = self.running.remove(id) {
            debug!(watch = %id, "no longer watching");
            task.abort();
        }
        self.cluster.watches.stopped(id);
        if self.running.keys().any(|other| other.input == id.input) {
            let health = self.cluster.watches.input_health(id.input, Instant::now()).health;
            self.metrics.watch_synced(id.input, health == WatchHealth::Synced);
        } else {
            self.metrics.watch_unneeded(id.input);
        }
        if id.input == Input::ConfigMap {
            self.cluster.config_maps.forget(&config_map_name(id));
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.running.values().for_each(JoinHandle::abort);
    }
}

fn config_map_name(id: &WatchId) -> NamespacedName {
    NamespacedName::new(id.namespace.as_deref().unwrap_or_default(), id.name.as_deref().unwrap_or_default())
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
