//! The known state of the cluster. The watches write it, and the workers read it.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crd_types::{Output, OutputFormat};
use detectors::ServiceKey;
use tokio::{sync::Notify, time::Instant};
use toolset::{
    index::{Change, Index, Recognised},
    status::{Input, required_inputs},
};

use super::{
    config_maps::ConfigMaps,
    flapping::{Concerned, Flapping, Part},
    needs::Scope,
    pods::PodReads,
    probes::Probes,
    toolset_configs::ToolsetConfigs,
    triggers::Triggers,
    watch_health::{WatchHealth, WatchId, Watches},
};
use crate::api::{NamespacedName, restores::Restores};

/// The known state of the cluster. Locks are held briefly and never across an await.
pub(crate) struct Cluster {
    pub(crate) scope: Scope,
    index: RwLock<Index>,
    pub(crate) watches: Watches,
    pub(crate) toolset_configs: ToolsetConfigs,
    pub(crate) config_maps: ConfigMaps,
    /// Which Pods are read, and which answers are still missing.
    pub(crate) pods: PodReads,
    /// What is probed, and what the probes show.
    pub(crate) probes: Probes,
    /// Reports that etcd was restored from a backup.
    pub(crate) restores: Restores,
    flapping: Arc<Flapping>,
    /// Notified when the set of ToolsetConfigs changed, because other watches may be needed.
    pub(super) needs_changed: Notify,
}

impl Cluster {
    /// An empty state.
    pub(crate) fn new(scope: Scope, toolset_configs: ToolsetConfigs) -> Self {
        Self {
            scope,
            index: RwLock::default(),
            watches: Watches::default(),
            toolset_configs,
            config_maps: ConfigMaps::default(),
            pods: PodReads::default(),
            probes: Probes::default(),
            restores: Restores::default(),
            flapping: Arc::default(),
            needs_changed: Notify::new(),
        }
    }

    /// Services, EndpointSlices and Namespaces, to plan with. Readers do not block each other.
    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the EndpointSlices of a namespace have not been listed, and may still be.
    pub(crate) fn slices_are_pending(&self, namespace: &str) -> bool {
        let health = self.watches.health_of(Instant::now(), &[self.slices_watch(namespace)]);
        !health.listed && health.health == WatchHealth::Pending
    }

    /// Whether the EndpointSlices of a namespace are as the API server has them.
    pub(super) fn slices_are_synced(&self, namespace: &str) -> bool {
        self.watches.health_of(Instant::now(), &[self.slices_watch(namespace)]).health == WatchHealth::Synced
    }

    fn slices_watch(&self, namespace: &str) -> WatchId {
        if self.scope.watch_namespaces.is_empty() {
            WatchId::all(Input::EndpointSlice)
        } else {
            WatchId::within(Input::EndpointSlice, namespace)
        }
    }

    /// Tells the reader of Pods and the prober that many Services may have changed.
    pub(super) fn note_all(&self) {
        self.pods.all_changed();
        self.probes.all_changed();
    }

    /// Tells the reader of Pods and the prober that a Service changed.
    pub(super) fn note_service(&self, change: &Change) {
        let Change::Service { key, before } = change else { return };
        self.probes.service_changed(key);
        let index = self.index();
        match index.service(key).filter(|service| service.is_interesting()) {
            Some(service) => self.pods.service_changed(&service.view),
            None if before.as_deref().is_some_and(Recognised::is_interesting) => self.pods.changed(key),
            None => {}
        }
    }

    /// Tells the reader of Pods and the prober that the EndpointSlices of a Service changed.
    pub(super) fn note_slices(&self, key: &ServiceKey) {
        self.probes.slices_changed(key);
        let index = self.index();
        if let Some(service) = index.service(key).filter(|service| service.is_interesting()) {
            self.pods.changed(&service.view.key);
        }
    }

    /// Triggers the ToolsetConfigs whose plan may differ because of these changes, and no others.
    pub(super) fn trigger(&self, triggers: &Triggers, changes: &[Change], received: Instant) {
        if changes.is_empty() {
            return;
        }
        let index = self.index();
        self.toolset_configs.for_each(|name, _, interest| {
            if changes.iter().any(|change| interest.concerns(change, &index)) {
                triggers.one(name, Some(received));
            }
        });
    }

    /// The same for the changes of one event. A Service that changes again and again triggers once a second, except
    /// where it is taken away.
    pub(super) fn trigger_limited(&self, triggers: &Arc<Triggers>, changes: &[Change], received: Instant) {
        let index = self.index();
        for change in changes {
            let subject = match change {
                Change::Service { key, .. } => Some((key.clone(), Part::Object)),
                Change::Readiness { key, .. } if index.readiness(key).serving => Some((key.clone(), Part::Ready)),
                Change::Readiness { key, .. } => Some((key.clone(), Part::NotReady)),
                Change::Pods { .. } | Change::Identity { .. } | Change::Namespace { .. } => None,
            };
            let mut concerned = Concerned::default();
            self.toolset_configs.for_each(|name, _, interest| {
                if interest.concerns(change, &index) {
                    let waits = subject.is_some() && !interest.withdraws(change, &index);
                    let names = if waits { &mut concerned.limited } else { &mut concerned.at_once };
                    names.push(name.clone());
                }
            });
            match subject {
                Some(subject) => self.flapping.trigger(triggers, subject, concerned, received),
                None => triggers.each(&concerned.at_once, received),
            }
        }
    }

    /// Triggers the ToolsetConfigs that need this watch, because its health changed.
    pub(super) fn trigger_dependents(&self, triggers: &Triggers, id: &WatchId) {
        if let (Input::ConfigMap, Some(namespace), Some(name)) = (id.input, &id.namespace, &id.name) {
            let config_map = NamespacedName::new(namespace.as_str(), name.as_str());
            return self.trigger_users_of(triggers, &config_map, None);
        }
        self.toolset_configs.for_each(|name, config, _| {
            if required_inputs(config).contains(&id.input) {
                triggers.one(name, None);
            }
        });
    }

    /// Triggers the ToolsetConfigs that write this ConfigMap or read their base from it.
    pub(super) fn trigger_users_of(&self, triggers: &Triggers, config_map: &NamespacedName, received: Option<Instant>) {
        self.toolset_configs.for_each(|name, config, _| {
            let mut names = config.spec.output.config_map_names();
            if name.namespace == config_map.namespace && names.any(|name| **name == *config_map.name) {
                triggers.one(name, received);
            }
        });
    }

    /// Triggers the ToolsetConfigs that read their base from this ConfigMap.
    pub(super) fn trigger_readers_of(&self, triggers: &Triggers, config_map: &NamespacedName, received: Instant) {
        self.toolset_configs.for_each(|name, config, _| {
            let base = config.spec.output.used_base().filter(|base| *base.config_map_name == *config_map.name);
            if name.namespace == config_map.namespace && base.is_some() {
                triggers.one(name, Some(received));
            }
        });
    }

    /// Triggers the ToolsetConfigs whose files for Grafana depend on this ConfigMap, because it has another such file.
    pub(super) fn trigger_beside(&self, triggers: &Triggers, config_map: &NamespacedName) {
        let (mut writers, mut others) = (0, Vec::new());
        self.toolset_configs.for_each(|name, config, _| {
            let output = &config.spec.output;
            if !output.writes(OutputFormat::GrafanaDatasources) {
                return;
            }
            if name.namespace == config_map.namespace && *output.config_map_name == *config_map.name {
                writers += 1;
            } else {
                others.push(name.clone());
            }
        });
        for name in others.iter().filter(|_| writers > 0) {
            triggers.one(name, None);
        }
    }

    /// The other ToolsetConfigs that name the same ConfigMap as this one, or that write files for Grafana as this one.
    pub(super) fn rivals(&self, name: &NamespacedName) -> BTreeSet<NamespacedName> {
        let Some(config) = self.toolset_configs.get(name) else { return BTreeSet::new() };
        let mut rivals = BTreeSet::new();
        self.toolset_configs.for_each(|other, its, _| {
            let (mine, its) = (&config.spec.output, &its.spec.output);
            let same = other.namespace == name.namespace && its.config_map_name == mine.config_map_name;
            let for_grafana = |output: &Output| output.writes(OutputFormat::GrafanaDatasources);
            if other != name && (same || for_grafana(mine) && for_grafana(its)) {
                rivals.insert(other.clone());
            }
        });
        rivals
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_file_for_grafana_triggers_the_other_ones_and_they_are_rivals() {
        let cluster = Cluster::new(Scope::default(), ToolsetConfigs::new().0);
        let triggers = Triggers::default();
        let grafana = |name: &str| serde_json::json!({"configMapName": name, "formats": ["GrafanaDatasources"]});
        for (name, output) in [
            ("one", grafana("one")),
            ("two", grafana("two")),
            ("holmes", serde_json::json!({"configMapName": "holmes"})),
        ] {
            let object = serde_json::from_str(&json(name, &output).to_string()).unwrap();
            cluster.toolset_configs.apply(&NamespacedName::new("n", name), &object).unwrap();
        }
        let triggered = |config_map: &str| {
            let all = ["one", "two", "holmes"].map(|name| (name, triggers.of(&NamespacedName::new("n", name))));
            cluster.trigger_beside(&triggers, &NamespacedName::new("n", config_map));
            let triggered = all.iter().filter(|(_, one)| one.reconcile_needed().now_or_never().is_some());
            triggered.map(|(name, _)| *name).collect::<Vec<_>>()
        };
        assert_eq!(triggered("one"), ["two"]);
        assert!(triggered("holmes").is_empty() && triggered("other").is_empty());
        assert_eq!(cluster.rivals(&NamespacedName::new("n", "one")), BTreeSet::from([NamespacedName::new("n", "two")]));
        assert!(cluster.rivals(&NamespacedName::new("n", "holmes")).is_empty());
    }

    fn json(name: &str, output: &serde_json::Value) -> serde_json::Value {
        serde_json::json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig",
            "metadata": {"name": name, "namespace": "n", "uid": name, "generation": 1, "resourceVersion": "1"},
            "spec": {
                "sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}}],
                "output": output,
            },
        })
    }

    #[test]
    fn a_config_map_triggers_those_that_write_it_or_read_their_base_from_it() {
        let cluster = Cluster::new(Scope::default(), ToolsetConfigs::new().0);
        let triggers = Triggers::default();
        let base = serde_json::json!({"configMapName": "base"});
        for (name, output) in [
            ("writes", serde_json::json!({"configMapName": "base"})),
            ("reads", serde_json::json!({"configMapName": "a", "base": base})),
            ("ignores", serde_json::json!({"configMapName": "b", "base": base, "formats": ["ToolsetJSON"]})),
            ("other", serde_json::json!({"configMapName": "c"})),
        ] {
            let object = serde_json::from_str(&json(name, &output).to_string()).unwrap();
            cluster.toolset_configs.apply(&NamespacedName::new("n", name), &object).unwrap();
        }
        let reached = |name: &str| triggers.of(&NamespacedName::new("n", name));
        let all = ["writes", "reads", "ignores", "other"].map(|name| (name, reached(name)));
        cluster.trigger_users_of(&triggers, &NamespacedName::new("n", "base"), Some(Instant::now()));
        let triggered: Vec<&str> = all.iter().filter(|(_, one)| one.take().is_some()).map(|(name, _)| *name).collect();
        assert_eq!(triggered, ["writes", "reads"]);
    }
}
