//! The objects of files or of a cluster, as last read.

use std::collections::{BTreeMap, BTreeSet};

use crd_types::{NamespacesFrom, ToolsetConfig};
use detectors::{PortView, ServiceKey, StringMap};
use kube::ResourceExt as _;
use tokio::sync::watch;
use toolset::{
    SliceView,
    pods::{PodRef, Representative},
};

use crate::{
    live::Failed,
    pods::{Workload, of_input},
    snapshot::{Snapshot, default_config},
};

/// The name of the problem with Namespaces.
pub(super) const NAMESPACES: &str = "Namespaces";

/// The name of the problem with a ConfigMap.
pub(super) fn config_map_problem((namespace, name): &(String, String)) -> String {
    format!("ConfigMap {namespace}/{name}")
}

/// The objects as last read.
pub(super) struct Known {
    /// The objects. Its ToolsetConfig is the one of the last page.
    pub snapshot: Snapshot,
    /// The Pods and Pod templates of files.
    workloads: Vec<Workload>,
    /// All ToolsetConfigs, by `NAMESPACE/NAME`.
    pub configs: BTreeMap<String, ToolsetConfig>,
    /// What cannot be read now, by its kind.
    pub problems: BTreeMap<String, String>,
    /// The kinds of which only the objects of one namespace can be read, and the namespace.
    pub limited: BTreeMap<&'static str, String>,
    /// The kinds that were not read yet.
    pub waiting: BTreeSet<&'static str>,
    /// The EndpointSlices of a cluster, by namespace and name.
    pub slices: BTreeMap<(String, String), SlicePods>,
    /// Which Pods were read last for each Service.
    pub pods_read: BTreeMap<ServiceKey, PodsRead>,
    /// The Services of which a Pod could not be read.
    pub pods_failed: BTreeMap<ServiceKey, Failed>,
    /// The ConfigMaps of a cluster that were read, or that do not exist, by namespace and name.
    pub maps_read: BTreeSet<(String, String)>,
    changes: watch::Sender<u64>,
}

/// An EndpointSlice, and the Pods that it names.
pub(super) struct SlicePods {
    pub view: SliceView,
    pub pods: Vec<PodRef>,
}

/// What decides which Pods stand for a Service, and what they can say.
#[derive(PartialEq)]
pub(super) struct PodsRead {
    pub pods: Vec<Representative>,
    pub selector: StringMap,
    pub ports: Box<[PortView]>,
}

impl Known {
    /// The objects of files, or of a cluster of which these kinds are not read yet.
    pub(super) fn new(snapshot: Snapshot, waiting: &[&'static str]) -> Self {
        let mut known = Self {
            configs: BTreeMap::new(),
            problems: BTreeMap::new(),
            limited: BTreeMap::new(),
            waiting: waiting.iter().copied().collect(),
            slices: BTreeMap::new(),
            pods_read: BTreeMap::new(),
            pods_failed: BTreeMap::new(),
            workloads: Vec::new(),
            maps_read: BTreeSet::new(),
            changes: watch::Sender::new(1),
            snapshot,
        };
        known.take_config();
        known
    }

    /// The objects of files, with their Pods and Pod templates.
    pub(super) fn of_files((snapshot, workloads): (Snapshot, Vec<Workload>)) -> Self {
        Self { workloads, ..Self::new(snapshot, &[]) }
    }

    /// Replaces all objects by those of files.
    pub(super) fn replace(&mut self, (snapshot, workloads): (Snapshot, Vec<Workload>)) {
        self.snapshot = snapshot;
        self.workloads = workloads;
        self.configs.clear();
        self.take_config();
    }

    /// What cannot be read now and matters.
    pub(super) fn relevant_problems(&self) -> Vec<String> {
        let selects_by_labels = |config: &ToolsetConfig| {
            config.spec.sources.iter().any(|source| source.namespaces.from == NamespacesFrom::Selector)
        };
        // The labels of namespaces are for nothing else. The ToolsetConfig of the snapshot can be an edited one.
        let needs_namespaces = self.configs.values().chain([&self.snapshot.config]).any(selects_by_labels);
        let matters = |(kind, _): &(&String, &String)| needs_namespaces || *kind != NAMESPACES;
        let others = self.problems.iter().filter(matters).map(|(_, text)| text.clone());
        self.limits().into_iter().chain(others).collect()
    }

    /// Whether everything was read once, or is known to be unreadable.
    pub(super) fn is_complete(&self) -> bool {
        self.waiting.is_empty() && (!self.snapshot.live || self.config_maps_are_read())
    }

    /// The ConfigMaps that the ToolsetConfigs name, by namespace and name.
    pub(super) fn config_map_names(&self) -> Vec<(String, String)> {
        let of = |config: &ToolsetConfig| {
            let namespace = config.namespace().unwrap_or_default();
            let names = config.spec.output.config_map_names().map(|name| (namespace.clone(), name.clone()));
            names.collect::<Vec<_>>()
        };
        self.configs.values().flat_map(of).collect()
    }

    /// Whether each of the ConfigMaps was read, or cannot be read.
    fn config_maps_are_read(&self) -> bool {
        let read = |name| self.maps_read.contains(name) || self.problems.contains_key(&config_map_problem(name));
        self.config_map_names().iter().all(read)
    }

    /// The namespaces in which the user may not read Pods, and the messages.
    pub(super) fn refused_pods(&self) -> BTreeMap<String, String> {
        let refused = self.pods_failed.iter().filter_map(|(key, failed)| match failed {
            Failed::Forbidden(message) => Some((key.namespace.to_string(), message.clone())),
            Failed::Other => None,
        });
        refused.collect()
    }

    /// Has the next round read the Pods again that could not be read.
    pub(super) fn read_failed_pods_again(&mut self) {
        for key in self.pods_failed.keys() {
            self.pods_read.remove(key);
        }
    }

    /// Runs a function with a ToolsetConfig that the input does not have, and with what Pods of files say for it.
    pub(super) fn with<T>(&mut self, config: ToolsetConfig, run: impl FnOnce(&Self) -> T) -> T {
        let config = std::mem::replace(&mut self.snapshot.config, config);
        let given = std::mem::replace(&mut self.snapshot.config_given, true);
        self.take_pods_of_files();
        let result = run(self);
        self.snapshot.config = config;
        self.snapshot.config_given = given;
        self.take_pods_of_files();
        result
    }

    /// Takes what the Pods and templates of files say for the ToolsetConfig of the snapshot, and nothing else of them.
    fn take_pods_of_files(&mut self) {
        if self.workloads.is_empty() {
            return;
        }
        let Snapshot { index, config, pods, .. } = &mut self.snapshot;
        let keys: Vec<ServiceKey> = index.interesting().map(|service| service.view.key.clone()).collect();
        for key in keys {
            index.apply_pods(&key, None);
        }
        *pods = of_input(&self.workloads, config, index);
    }

    /// What is known of one namespace only.
    fn limits(&self) -> Option<String> {
        let namespace = self.limited.values().next()?;
        let kinds: Vec<&str> = self.limited.keys().copied().collect();
        let kinds = match kinds.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
            _ => kinds.concat(),
        };
        Some(format!(
            "You are not allowed to list {kinds} in all namespaces, so this page shows only those in namespace \
             {namespace}. Use -n to select another namespace."
        ))
    }

    /// Notes that something changed, so that pages are made again.
    pub(super) fn changed(&mut self) {
        self.changes.send_modify(|version| *version += 1);
    }

    /// Tells about changes.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The number of the last change.
    pub(super) fn version(&self) -> u64 {
        *self.changes.borrow()
    }

    /// Takes the ToolsetConfig of the snapshot as the only one.
    fn take_config(&mut self) {
        if self.snapshot.config_given {
            self.configs.insert(self.snapshot.config_name(), self.snapshot.config.clone());
        }
    }

    /// Selects a ToolsetConfig. Without one of this name, it is the one of the default namespace or the first one, and
    /// without any it is the one that trusts every namespace.
    pub(super) fn select(&mut self, wanted: &str) -> String {
        let in_default = || {
            let namespace = &self.snapshot.default_namespace;
            self.configs.values().find(|config| config.namespace().as_ref() == Some(namespace))
        };
        let found = self.configs.get(wanted).or_else(in_default).or_else(|| self.configs.values().next());
        let found = found.cloned();
        self.snapshot.config_given = found.is_some();
        self.snapshot.config = found.unwrap_or_else(default_config);
        self.snapshot.config_name()
    }
}
