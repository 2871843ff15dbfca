//! The ToolsetConfigs: those that can be read, and those that cannot.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crd_types::{ToolsetConfig, ToolsetConfigStatus};
use futures::stream;
use kube::{
    ResourceExt,
    runtime::{
        reflector::{Store, store::Writer},
        watcher::Event,
    },
};
use tokio::sync::{Notify, mpsc};

use crate::{object::ObjectName, wake::Signals, work::Work};

/// How many changed ToolsetConfigs may be under way to the controller.
const QUEUE: usize = 256;

/// A stored object that cannot be read, for example because an older schema let it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// What is wrong with it.
    pub error: String,
}

/// All ToolsetConfigs that were seen.
pub struct Configs {
    writer: Mutex<Writer<ToolsetConfig>>,
    store: Store<ToolsetConfig>,
    root: mpsc::Sender<ToolsetConfig>,
    unreadable: Mutex<BTreeMap<ObjectName, Unreadable>>,
    works: Mutex<BTreeMap<ObjectName, Arc<tokio::sync::Mutex<Work>>>>,
    statuses: Mutex<BTreeMap<ObjectName, ToolsetConfigStatus>>,
    /// The unreadable ones changed.
    pub unreadable_changed: Notify,
}

impl Configs {
    /// None yet, and the stream of those that change.
    pub fn new() -> (Self, Signals<ToolsetConfig>) {
        let mut writer = Writer::new(());
        // The store is ready from the start: the controller waits for the inputs by itself. Several watches may write into
        // it, one per namespace, so a list of one of them is never swapped in whole.
        writer.apply_watcher_event(&Event::InitDone);
        let (root, mut receiver) = mpsc::channel(QUEUE);
        let configs = Self {
            store: writer.as_reader(),
            writer: Mutex::new(writer),
            root,
            unreadable: Mutex::default(),
            works: Mutex::default(),
            statuses: Mutex::default(),
            unreadable_changed: Notify::new(),
        };
        (configs, Box::pin(stream::poll_fn(move |context| receiver.poll_recv(context))))
    }

    /// The store that the controller reads.
    pub fn store(&self) -> Store<ToolsetConfig> {
        self.store.clone()
    }

    /// One, if it is there and can be read.
    pub fn get(&self, name: &ObjectName) -> Option<Arc<ToolsetConfig>> {
        self.store.get(&name.to_ref())
    }

    /// All that can be read, in no order.
    pub fn all(&self) -> Vec<Arc<ToolsetConfig>> {
        self.store.state()
    }

    /// Takes a new or changed one. True if the controller has to look at it; then it has been told, unless its queue is full.
    pub fn apply(&self, mut config: ToolsetConfig) -> Applied {
        config.metadata.managed_fields = None;
        let name = ObjectName::of(&config);
        let was_unreadable = lock(&self.unreadable).remove(&name).is_some();
        let old = self.get(&name);
        if old.as_ref().is_some_and(|old| old.uid() != config.uid()) {
            // Another object under the same name, seen without a deletion in between.
            lock(&self.works).remove(&name);
            lock(&self.statuses).remove(&name);
        }
        let news = match &old {
            None => News::Arrived,
            Some(old) if !same_request(old, &config) => News::Changed,
            Some(old) if old.status != config.status && !self.is_our_status(&name, &config) => News::Changed,
            Some(_) => News::Nothing,
        };
        lock(&self.writer).apply_watcher_event(&Event::Apply(config.clone()));
        let told = news == News::Nothing || self.root.try_send(config).is_ok();
        if was_unreadable {
            self.unreadable_changed.notify_one();
        }
        Applied { news, told }
    }

    /// Takes one that cannot be read. What was written for it stays as it is.
    pub fn apply_unreadable(&self, name: &ObjectName, unreadable: Unreadable) {
        if let Some(old) = self.get(name) {
            lock(&self.writer).apply_watcher_event(&Event::Delete((*old).clone()));
        }
        if lock(&self.unreadable).insert(name.clone(), unreadable.clone()) != Some(unreadable) {
            self.unreadable_changed.notify_one();
        }
    }

    /// Forgets one. True if it was there and could be read.
    pub fn delete(&self, name: &ObjectName) -> bool {
        lock(&self.unreadable).remove(name);
        lock(&self.works).remove(name);
        lock(&self.statuses).remove(name);
        let Some(old) = self.get(name) else { return false };
        lock(&self.writer).apply_watcher_event(&Event::Delete((*old).clone()));
        true
    }

    /// Those that cannot be read.
    pub fn unreadable(&self) -> BTreeMap<ObjectName, Unreadable> {
        lock(&self.unreadable).clone()
    }

    /// What the reconciler remembers of one.
    pub fn work(&self, name: &ObjectName) -> Arc<tokio::sync::Mutex<Work>> {
        lock(&self.works).entry(name.clone()).or_default().clone()
    }

    /// Forgets what was written: from now on another replica writes.
    pub fn forget_work(&self) {
        lock(&self.works).clear();
    }

    /// The status that is about to be written: its echo on the watch is no news.
    pub fn expect_status(&self, name: &ObjectName, status: &ToolsetConfigStatus) {
        lock(&self.statuses).insert(name.clone(), status.clone());
    }

    fn is_our_status(&self, name: &ObjectName, config: &ToolsetConfig) -> bool {
        lock(&self.statuses).get(name) == config.status.as_ref()
    }
}

/// What taking a ToolsetConfig came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What is new about it.
    pub news: News,
    /// Whether the controller knows. If not, everybody has to be woken.
    pub told: bool,
}

/// What is new about a ToolsetConfig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing that we did not write ourselves.
    Nothing,
    /// It was not known before.
    Arrived,
    /// Its spec, its deletion, or its status by somebody else's hand.
    Changed,
}

/// Whether two versions ask for the same: same object, same spec, deleted or not. Spec changes move the generation.
fn same_request(old: &ToolsetConfig, new: &ToolsetConfig) -> bool {
    old.uid() == new.uid()
        && old.metadata.generation == new.metadata.generation
        && old.metadata.deletion_timestamp == new.metadata.deletion_timestamp
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
