//! All ToolsetConfigs, with those that cannot be read.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crd_types::{ToolsetConfig, ToolsetConfigStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    core::{PartialObjectMeta, PartialObjectMetaExt as _},
    runtime::{
        reflector::{Store, store::Writer},
        watcher::Event,
    },
};
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};
use toolset::{Interest, status};

use crate::api::{
    NamespacedName,
    thin::{ThinToolsetConfig, version},
};

/// The metadata of a ToolsetConfig, for the Controller. The workers read the rest from [`ToolsetConfigs`].
pub(crate) type Root = PartialObjectMeta<ToolsetConfig>;

/// A stored object that cannot be read, for example because an older schema accepted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) uid: String,
    pub(crate) generation: Option<i64>,
    /// What is wrong with it.
    pub(crate) error: String,
}

/// A status that the operator wrote or is about to write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Written {
    /// The resource version of the object after the write. `None` until the API server has answered, and after an event
    /// that is newer although the versions do not show it.
    pub(crate) version: Option<u64>,
    pub(crate) status: Arc<ToolsetConfigStatus>,
}

#[derive(Debug)]
struct Known {
    config: Arc<ToolsetConfig>,
    interest: Arc<Interest>,
    written: Option<Written>,
    /// etcd was restored since it was read, so its generation and its versions cannot be compared with the next state.
    outdated: bool,
}

/// All ToolsetConfigs that were seen.
pub(crate) struct ToolsetConfigs {
    known: Mutex<BTreeMap<NamespacedName, Known>>,
    unreadable: Mutex<BTreeMap<NamespacedName, Unreadable>>,
    /// Notified when the set of unreadable ones changed.
    pub(crate) unreadable_changed: Notify,
    controller: Mutex<Writer<Root>>,
    store: Store<Root>,
    changed: mpsc::UnboundedSender<Root>,
}

/// What changed in a ToolsetConfig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing, or only what the operator wrote itself.
    Nothing,
    /// It is new, or it is another object of the same name.
    Arrived,
    /// Its spec changed, or its deletion began.
    Changed,
    /// Somebody else changed what the operator wrote into its status.
    Status,
}

impl ToolsetConfigs {
    /// An empty set. The receiver yields the ToolsetConfigs that the Controller has to reconcile.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Root>) {
        let mut controller = Writer::new(());
        // The store is ready from the start, because the workers wait for their inputs themselves. Several watches may
        // write into it, one per namespace, so the list of one of them never replaces it as a whole.
        controller.apply_watcher_event(&Event::InitDone);
        let (changed, receiver) = mpsc::unbounded_channel();
        let configs = Self {
            known: Mutex::default(),
            unreadable: Mutex::default(),
            unreadable_changed: Notify::new(),
            store: controller.as_reader(),
            controller: Mutex::new(controller),
            changed,
        };
        (configs, receiver)
    }

    /// The store that the Controller reads.
    pub(crate) fn store(&self) -> Store<Root> {
        self.store.clone()
    }

    /// A ToolsetConfig, if it exists and can be read.
    pub(crate) fn get(&self, name: &NamespacedName) -> Option<Arc<ToolsetConfig>> {
        lock(&self.known).get(name).map(|known| known.config.clone())
    }

    /// Whether the object with that uid still exists and can be read.
    pub(crate) fn holds(&self, name: &NamespacedName, uid: &str) -> bool {
        lock(&self.known).get(name).is_some_and(|known| known.config.metadata.uid.as_deref() == Some(uid))
    }

    /// All that can be read, by namespace and name.
    pub(crate) fn all(&self) -> Vec<Arc<ToolsetConfig>> {
        lock(&self.known).values().map(|known| known.config.clone()).collect()
    }

    /// Calls `visit` for each that can be read.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&NamespacedName, &ToolsetConfig, &Interest)) {
        lock(&self.known).iter().for_each(|(name, known)| visit(name, &known.config, &known.interest));
    }

    /// Those that cannot be read.
    pub(crate) fn unreadable(&self) -> BTreeMap<NamespacedName, Unreadable> {
        lock(&self.unreadable).clone()
    }

    /// Records a status that was written or is about to be. Its echo on the watch causes no reconcile.
    pub(crate) fn wrote_status(&self, name: &NamespacedName, uid: &str, written: Written) {
        if let Some(known) = lock(&self.known).get_mut(name)
            && known.config.metadata.uid.as_deref() == Some(uid)
        {
            known.written = Some(written);
        }
    }

    /// The newest known version of an object. Zero if it is not known or cannot be compared.
    pub(crate) fn newest_version(&self, name: &NamespacedName) -> u64 {
        let known = lock(&self.known);
        let Some(known) = known.get(name).filter(|known| !known.outdated) else { return 0 };
        let written = known.written.as_ref().and_then(|written| written.version).unwrap_or_default();
        version(known.config.metadata.resource_version.as_deref()).max(written)
    }

    /// Forgets the versions of these objects, because etcd was restored and the next versions are lower. The generation
    /// may be the same although the spec is another one.
    pub(super) fn restored<'a>(&self, names: impl IntoIterator<Item = &'a NamespacedName>) {
        let mut all = lock(&self.known);
        for name in names {
            let Some(known) = all.get_mut(name) else { continue };
            known.outdated = true;
            if let Some(written) = &mut known.written {
                written.version = None;
            }
        }
    }

    /// The newest known status of the object with that uid. It comes from the watch, or from a later write.
    pub(crate) fn newest_status(&self, name: &NamespacedName, uid: &str) -> Option<Arc<ToolsetConfigStatus>> {
        let known = lock(&self.known);
        let known = known.get(name).filter(|known| known.config.metadata.uid.as_deref() == Some(uid))?;
        let seen = version(known.config.metadata.resource_version.as_deref());
        match &known.written {
            // A version that is not a number counts as newer than what came before.
            Some(Written { version: Some(written), status }) if *written == 0 || *written > seen => {
                Some(status.clone())
            }
            _ => known.config.status.clone().map(Arc::new),
        }
    }

    /// Stores a new or changed ToolsetConfig. Its spec is parsed only if it changed. Returns `Err` if it cannot be
    /// read. Its ConfigMap is not changed then.
    pub(super) fn apply(&self, name: &NamespacedName, object: &ThinToolsetConfig) -> Result<News, Unreadable> {
        match self.read(name, object) {
            Ok((config, news)) => {
                self.store_readable(name, config, news);
                Ok(news)
            }
            Err(error) => {
                let metadata = &object.metadata;
                let uid = metadata.uid.clone().unwrap_or_default();
                let unreadable = Unreadable { uid, generation: metadata.generation, error: error.to_string() };
                self.forget(name);
                lock(&self.unreadable).insert(name.clone(), unreadable.clone());
                self.unreadable_changed.notify_one();
                Err(unreadable)
            }
        }
    }

    /// Removes a deleted ToolsetConfig. Returns true if it could be read.
    pub(super) fn delete(&self, name: &NamespacedName) -> bool {
        if lock(&self.unreadable).remove(name).is_some() {
            self.unreadable_changed.notify_one();
        }
        self.forget(name)
    }

    fn read(&self, name: &NamespacedName, object: &ThinToolsetConfig) -> serde_json::Result<(ToolsetConfig, News)> {
        let metadata = object.metadata.clone();
        let status: Option<ToolsetConfigStatus> =
            object.status.as_deref().map(|raw| serde_json::from_str(raw.get())).transpose()?.flatten();
        let known = lock(&self.known);
        let Some(old) = known.get(name).filter(|old| old.config.metadata.uid == metadata.uid) else {
            let spec = serde_json::from_str(object.spec.as_deref().map_or("null", RawValue::get))?;
            return Ok((ToolsetConfig { metadata, spec, status }, News::Arrived));
        };
        if old.outdated || !asks_for_the_same(&old.config.metadata, &metadata) {
            let spec = serde_json::from_str(object.spec.as_deref().map_or("null", RawValue::get))?;
            return Ok((ToolsetConfig { metadata, spec, status }, News::Changed));
        }
        let ours = |status: Option<&ToolsetConfigStatus>| same_status(status, old.written.as_ref().map(|w| &*w.status));
        let seen_before = same_status(old.config.status.as_ref(), status.as_ref());
        let news = if seen_before || ours(status.as_ref()) { News::Nothing } else { News::Status };
        Ok((ToolsetConfig { metadata, spec: old.config.spec.clone(), status }, news))
    }

    fn store_readable(&self, name: &NamespacedName, config: ToolsetConfig, news: News) {
        let mut known = lock(&self.known);
        let mut old = known.remove(name);
        let seen = version(config.metadata.resource_version.as_deref());
        // Without two numbers, what comes later is newer.
        if let Some(written) = old.as_mut().and_then(|old| old.written.as_mut())
            && written.version.is_some_and(|written| written == 0 || seen == 0)
        {
            written.version = None;
        }
        let same_object = news != News::Arrived;
        let (interest, written) = match old {
            Some(old) if same_object && news != News::Changed => (old.interest, old.written),
            Some(old) if same_object => (Arc::new(Interest::of(&config)), old.written),
            _ => (Arc::new(Interest::of(&config)), None),
        };
        let root = matches!(news, News::Arrived | News::Changed).then(|| root(&config.metadata));
        known.insert(name.clone(), Known { config: Arc::new(config), interest, written, outdated: false });
        drop(known);
        if lock(&self.unreadable).remove(name).is_some() {
            self.unreadable_changed.notify_one();
        }
        if let Some(root) = root {
            lock(&self.controller).apply_watcher_event(&Event::Apply(root.clone()));
            // The receiver is gone only when the program is about to end.
            let _ended = self.changed.send(root);
        }
    }

    fn forget(&self, name: &NamespacedName) -> bool {
        let Some(old) = lock(&self.known).remove(name) else { return false };
        lock(&self.controller).apply_watcher_event(&Event::Delete(root(&old.config.metadata)));
        true
    }
}

/// The part of the metadata that the Controller needs.
fn root(metadata: &ObjectMeta) -> Root {
    let metadata = ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        ..ObjectMeta::default()
    };
    metadata.into_response_partial()
}

/// Whether two versions of a status are the same in what the operator writes. Other condition types are not compared.
pub(crate) fn same_status(a: Option<&ToolsetConfigStatus>, b: Option<&ToolsetConfigStatus>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => status::same_status(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// Whether two versions of one object have the same spec and deletion. A change of the spec increases the generation.
fn asks_for_the_same(old: &ObjectMeta, new: &ObjectMeta) -> bool {
    old.generation == new.generation && old.deletion_timestamp == new.deletion_timestamp
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> NamespacedName {
        NamespacedName::new("n", "c")
    }

    fn status(generation: i64) -> ToolsetConfigStatus {
        ToolsetConfigStatus { observed_generation: Some(generation), ..ToolsetConfigStatus::default() }
    }

    fn see(configs: &ToolsetConfigs, version: &str, generation: i64) {
        let object = serde_json::json!({
            "metadata": {"name": "c", "namespace": "n", "uid": "u", "resourceVersion": version, "generation": 1},
            "spec": {"sources": []}, "status": status(generation),
        });
        configs.apply(&name(), &serde_json::from_str(&object.to_string()).unwrap()).unwrap();
    }

    fn write(configs: &ToolsetConfigs, version: u64, generation: i64) {
        configs.wrote_status(&name(), "u", Written { version: Some(version), status: Arc::new(status(generation)) });
    }

    fn newest(configs: &ToolsetConfigs) -> Option<i64> {
        configs.newest_status(&name(), "u").and_then(|status| status.observed_generation)
    }

    #[test]
    fn the_newest_status_has_the_higher_version() {
        let (configs, _receiver) = ToolsetConfigs::new();
        see(&configs, "10", 1);
        write(&configs, 12, 2);
        assert_eq!(newest(&configs), Some(2));
        see(&configs, "11", 3);
        assert_eq!(newest(&configs), Some(2), "the event is older");
        see(&configs, "13", 4);
        assert_eq!(newest(&configs), Some(4));
    }

    #[test]
    fn without_numbers_the_newest_status_is_the_one_that_came_last() {
        let (configs, _receiver) = ToolsetConfigs::new();
        see(&configs, "10", 1);
        write(&configs, version(Some("opaque")), 2);
        assert_eq!(newest(&configs), Some(2));
        see(&configs, "11", 3);
        assert_eq!(newest(&configs), Some(3));
        write(&configs, 12, 4);
        see(&configs, "opaque", 5);
        assert_eq!(newest(&configs), Some(5));
        write(&configs, 13, 6);
        assert_eq!(newest(&configs), Some(6));
    }
}
