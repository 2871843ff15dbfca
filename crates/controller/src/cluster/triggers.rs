//! Which ToolsetConfigs have to reconcile, and since when the event that caused it has been waiting.
//!
//! A trigger wakes the worker of its ToolsetConfig directly. It does not go through kube's `Controller`, whose scheduler puts
//! every request through a `DelayQueue`: deadlines are rounded up to whole milliseconds there, and again by the timer, so an
//! event would wait 2.0 to 3.2 ms of the 2.7 to 3.9 ms from its arrival to the apply.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::FutureExt as _;
use tokio::{sync::Notify, time::Instant};

use crate::api::NamespacedName;

/// The triggers of all ToolsetConfigs.
#[derive(Debug, Default)]
pub(crate) struct Triggers(Mutex<BTreeMap<NamespacedName, Arc<Trigger>>>);

/// What wakes the tasks of one ToolsetConfig. A signal that nobody waits for is kept until somebody does.
#[derive(Debug, Default)]
pub(crate) struct Trigger {
    reconcile: Notify,
    status: Notify,
    received: Mutex<Option<Instant>>,
}

impl Triggers {
    /// The trigger of a ToolsetConfig, which it has from now on.
    pub(crate) fn of(&self, name: &NamespacedName) -> Arc<Trigger> {
        self.lock().entry(name.clone()).or_default().clone()
    }

    /// The tasks of a ToolsetConfig have ended. Until then they keep the trigger, even if another object of that name appears.
    pub(crate) fn remove(&self, name: &NamespacedName) {
        self.lock().remove(name);
    }

    /// One ToolsetConfig has to reconcile, because of an event that was received at that time.
    pub(crate) fn one(&self, name: &NamespacedName, received: Option<Instant>) {
        if let Some(trigger) = self.lock().get(name) {
            trigger.reconcile(received);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NamespacedName, Arc<Trigger>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trigger {
    /// The ToolsetConfig has to reconcile.
    pub(crate) fn reconcile(&self, received: Option<Instant>) {
        self.note(received);
        self.reconcile.notify_one();
    }

    /// Somebody else changed what the operator wrote into the status.
    pub(super) fn status_changed(&self) {
        self.status.notify_one();
    }

    /// Waits until the ToolsetConfig has to reconcile.
    pub(crate) async fn reconcile_needed(&self) {
        self.reconcile.notified().await;
    }

    /// Waits until somebody else changed the status.
    pub(crate) async fn status_changed_by_others(&self) {
        self.status.notified().await;
    }

    /// An event waits for a reconcile. Also used if a reconcile could not complete, so that the event waits on.
    pub(crate) fn note(&self, received: Option<Instant>) {
        let mut since = self.received();
        *since = since.into_iter().chain(received).min();
    }

    /// The caller's reconcile answers everything that has been asked for so far. Returns when the earliest event arrived that
    /// no reconcile has answered yet.
    pub(crate) fn take(&self) -> Option<Instant> {
        let _asked = self.reconcile.notified().now_or_never();
        self.received().take()
    }

    fn received(&self) -> MutexGuard<'_, Option<Instant>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_trigger_that_nobody_waits_for_is_kept_and_several_are_merged() {
        let (triggers, name) = (Triggers::default(), NamespacedName::new("n", "c"));
        let trigger = triggers.of(&name);
        triggers.one(&name, None);
        triggers.one(&name, None);
        assert!(trigger.reconcile_needed().now_or_never().is_some());
        assert!(trigger.reconcile_needed().now_or_never().is_none());
    }

    #[test]
    fn freshness_counts_from_the_earliest_event_that_no_reconcile_has_taken() {
        let (triggers, name, first) = (Triggers::default(), NamespacedName::new("n", "c"), Instant::now());
        let trigger = triggers.of(&name);
        triggers.one(&name, Some(first));
        triggers.one(&name, Some(first + Duration::from_millis(5)));
        assert_eq!(trigger.take(), Some(first));
        assert_eq!(trigger.take(), None);
    }
}
