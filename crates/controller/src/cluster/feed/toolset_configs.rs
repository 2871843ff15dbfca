//! ToolsetConfigs, of one namespace or of all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    api::{
        NamespacedName,
        thin::{ThinToolsetConfig, version},
    },
    cluster::{state::Cluster, toolset_configs::News, triggers::Triggers, watch::Feed},
    metrics::Metrics,
};

/// Feeds a watch of ToolsetConfigs into the cluster's state.
pub(in crate::cluster) struct ToolsetConfigFeed {
    cluster: Arc<Cluster>,
    triggers: Arc<Triggers>,
    metrics: Arc<Metrics>,
    known: BTreeSet<NamespacedName>,
    list: Vec<ThinToolsetConfig>,
    /// The versions that were known when the list began.
    seen: BTreeMap<NamespacedName, u64>,
}

impl ToolsetConfigFeed {
    pub(in crate::cluster) fn new(cluster: Arc<Cluster>, triggers: Arc<Triggers>, metrics: Arc<Metrics>) -> Self {
        Self { cluster, triggers, metrics, known: BTreeSet::new(), list: Vec::new(), seen: BTreeMap::new() }
    }

    fn apply(&mut self, object: &ThinToolsetConfig, received: Instant) {
        let name = NamespacedName::of(object);
        self.known.insert(name.clone());
        let rivals_before = self.cluster.rivals(&name);
        match self.cluster.toolset_configs.apply(&name, object) {
            Ok(News::Nothing) => return,
            Ok(News::Status) => return self.triggers.of(&name).status_changed(),
            Ok(news) => {
                self.cluster.note_all();
                if news == News::Arrived {
                    info!(namespace = %name.namespace, name = %name.name, "ToolsetConfig found");
                }
                // The Controller triggers the worker, and starts it first if it does not run.
                self.triggers.of(&name).note(Some(received));
            }
            Err(unreadable) => {
                let (namespace, error) = (&name.namespace, &unreadable.error);
                warn!(%namespace, name = %name.name, %error, "cannot read the ToolsetConfig; its ConfigMap is not changed");
                self.triggers.one(&name, None);
                self.metrics.forget(&name);
            }
        }
        self.rivals_reconcile(rivals_before, &name);
        self.cluster.needs_changed.notify_one();
    }

    fn delete(&mut self, name: &NamespacedName) {
        self.known.remove(name);
        let rivals = self.cluster.rivals(name);
        if self.cluster.toolset_configs.delete(name) {
            self.cluster.note_all();
            info!(namespace = %name.namespace, name = %name.name, "ToolsetConfig deleted");
        }
        self.triggers.one(name, None);
        self.metrics.forget(name);
        self.rivals_reconcile(rivals, name);
        self.cluster.needs_changed.notify_one();
    }

    /// If several ToolsetConfigs name the same ConfigMap, the oldest one writes it. So the others may have to start or
    /// stop writing it. What one of them keeps in Grafana, the others do not delete.
    fn rivals_reconcile(&self, mut rivals: BTreeSet<NamespacedName>, name: &NamespacedName) {
        rivals.append(&mut self.cluster.rivals(name));
        for rival in &rivals {
            self.triggers.one(rival, None);
        }
    }
}

impl Feed for ToolsetConfigFeed {
    type Object = ThinToolsetConfig;

    fn begin(&mut self) {
        self.list = Vec::new();
        let version = |name: &NamespacedName| (name.clone(), self.cluster.toolset_configs.newest_version(name));
        self.seen = self.known.iter().map(version).collect();
    }

    fn collect(&mut self, object: Self::Object) {
        self.list.push(object);
    }

    fn complete(&mut self, received: Instant) {
        let (list, seen) = (std::mem::take(&mut self.list), std::mem::take(&mut self.seen));
        let is_older = |object: &ThinToolsetConfig| {
            let seen = seen.get(&NamespacedName::of(object)).copied().unwrap_or_default();
            let listed = version(object.metadata.resource_version.as_deref());
            self.cluster.restores.compare("ToolsetConfig", seen, listed)
        };
        // The versions and generations that are known say nothing about these objects.
        if list.iter().any(is_older) {
            self.restored();
        }
        let listed: BTreeSet<_> = list.iter().map(NamespacedName::of).collect();
        for gone in self.known.difference(&listed).cloned().collect::<Vec<_>>() {
            self.delete(&gone);
        }
        for object in &list {
            self.apply(object, received);
        }
    }

    fn applied(&mut self, object: Self::Object, received: Instant) {
        self.apply(&object, received);
    }

    fn deleted(&mut self, object: Self::Object, _: Instant) {
        self.delete(&NamespacedName::of(&object));
    }

    fn restored(&mut self) {
        self.cluster.toolset_configs.restored(&self.known);
    }
}
