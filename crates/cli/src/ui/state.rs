//! What the pages show: the objects as last read, and what follows from them for each ToolsetConfig.
//!
//! ```text
//! files, watches ──► Known (objects, version) ──► Review, once per version and ToolsetConfig ──► pages
//! ```

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crd_types::{NamespacesFrom, ToolsetConfig};
use detectors::{PortView, ServiceKey, StringMap};
use kube::{Client, ResourceExt as _};
use tokio::{
    sync::{self, Mutex, OwnedMutexGuard},
    task,
};
use toolset::{
    SliceView,
    pods::{PodRef, Representative},
};

use super::{review::Review, watch};
use crate::{
    failure::Failure,
    live::Failed,
    pods::{Workload, of_input},
    snapshot::{Snapshot, default_config},
};

/// The state that all pages share. A clone is the same state.
#[derive(Clone)]
pub(super) struct State {
    known: Arc<Mutex<Known>>,
    validating: Arc<Mutex<()>>,
    cluster_domain: Arc<str>,
    /// `None` for files.
    client: Option<Client>,
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
    changes: sync::watch::Sender<u64>,
    reviews: HashMap<String, Arc<Review>>,
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
            changes: sync::watch::Sender::new(1),
            reviews: HashMap::new(),
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
        let matters = |(kind, _): &(&String, &String)| needs_namespaces || *kind != watch::NAMESPACES;
        let others = self.problems.iter().filter(matters).map(|(_, text)| text.clone());
        self.limits().into_iter().chain(others).collect()
    }

    /// Whether everything was read once, or is known to be unreadable.
    pub(super) fn is_complete(&self) -> bool {
        self.waiting.is_empty() && (!self.snapshot.live || watch::config_maps_are_read(self))
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
        self.reviews.clear();
        self.changes.send_modify(|version| *version += 1);
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

    /// What follows for a ToolsetConfig.
    pub(super) fn review(&mut self, wanted: &str, cluster_domain: &str) -> Arc<Review> {
        let name = self.select(wanted);
        if let Some(review) = self.reviews.get(&name) {
            return Arc::clone(review);
        }
        let review = Arc::new(Review::new(self, cluster_domain));
        self.reviews.insert(name, Arc::clone(&review));
        review
    }
}

impl State {
    pub(super) fn new(known: Known, cluster_domain: &str, client: Option<Client>) -> Self {
        let (known, validating) = (Arc::new(Mutex::new(known)), Arc::default());
        Self { known, validating, cluster_domain: cluster_domain.into(), client }
    }

    /// The client of the cluster, if the objects come from one.
    pub(super) fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// The state, for somebody who reads or changes it without a long computation.
    pub(super) async fn known(&self) -> OwnedMutexGuard<Known> {
        Arc::clone(&self.known).lock_owned().await
    }

    /// Waits until no other text is validated.
    pub(super) async fn turn_to_validate(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.validating).lock_owned().await
    }

    /// Tells about changes.
    pub(super) async fn changes(&self) -> sync::watch::Receiver<u64> {
        self.known().await.changes.subscribe()
    }

    /// What follows for a ToolsetConfig. It is computed once per change.
    pub(super) async fn review(&self, config: &str) -> Result<Arc<Review>, Failure> {
        let config = config.to_owned();
        self.compute(move |known, cluster_domain| known.review(&config, cluster_domain)).await
    }

    /// Runs a computation that may take long. There is one at a time, and it does not delay the server.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        make: impl FnOnce(&mut Known, &str) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let mut known = self.known().await;
        let cluster_domain = Arc::clone(&self.cluster_domain);
        task::spawn_blocking(move || make(&mut known, &cluster_domain))
            .await
            .map_err(|_| Failure::input("error: cannot compute the tools, because of a bug in this plugin"))
    }
}
