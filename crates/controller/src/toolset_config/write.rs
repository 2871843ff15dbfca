//! Carries out the decision to write. The brake may delay the write, and its result is remembered.

use crd_types::{DeletionPolicy, ToolsetConfig};
use kube::{Api, Resource, ResourceExt, core::PartialObjectMeta};
use tokio::time::{Duration, Instant};
use toolset::{
    config_map::{ConfigMapView, Drift, Manifest},
    status::OutputState,
};
use tracing::{info, warn};

use super::{
    brake::retry_after,
    decide::{Change, held},
    memory::Memory,
    outcome::Outcome,
    plan::Planned,
};
use crate::{
    api::{Cause, Error, NamespacedName, Writer, client::within_timeout, config_map},
    cluster::{Cluster, ConfigMapState},
    metrics::{Metrics, Operation, ReconcileResult},
};

/// The output of one ToolsetConfig during one reconcile.
pub(super) struct Output<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) metrics: &'a Metrics,
    pub(super) writer: &'a Writer,
    pub(super) config: &'a ToolsetConfig,
    /// The ToolsetConfig's name.
    pub(super) name: &'a NamespacedName,
    /// The ConfigMap's name.
    pub(super) target: &'a NamespacedName,
    /// The ConfigMap that the decision was made for.
    pub(super) existing: &'a ConfigMapState,
    /// When the event arrived that caused this reconcile.
    pub(super) received: Option<Instant>,
    /// When the reconcile began.
    pub(super) now: Instant,
}

/// A write that the API server acknowledged.
struct Sent {
    /// Whether the ConfigMap is as expected after it, as far as the watch has shown.
    as_expected: bool,
    /// The time from the arrival of the event to the request. `None` if no event caused the write.
    in_process: Option<Duration>,
}

impl Sent {
    /// Reconciles again at once if the ConfigMap is not as expected, because no event may follow.
    fn requeue(&self, outcome: Outcome) -> Outcome {
        outcome.requeue((!self.as_expected).then(Instant::now))
    }
}

impl Output<'_> {
    /// No write is needed, because the ConfigMap is as planned.
    pub(super) fn unchanged(&self, memory: &mut Memory, manifest: Manifest) -> Outcome {
        memory.brake.unneeded(self.now);
        memory.failures = 0;
        // After a restart, the ConfigMap may be as planned although this process did not write it. A later difference
        // is drift.
        memory.applied = Some(manifest);
        match memory.brake.over_at() {
            Some(over) => Outcome::new(self.contested(), ReconcileResult::Unchanged).requeue(Some(over)),
            None => Outcome::new(OutputState::Applied, ReconcileResult::Unchanged),
        }
    }

    /// Writes what was planned, unless the brake is on.
    pub(super) async fn write(
        &self,
        memory: &mut Memory,
        planned: &Planned,
        manifest: Manifest,
        change: &Change,
    ) -> Outcome {
        if change.reverts {
            if let Some(outcome) = self.brake(memory) {
                return outcome;
            }
            if change.found == Drift::Missing && !self.is_still_wanted().await {
                return Outcome::unreported();
            }
        }
        if let (Operation::Adopt, Some(view)) = (change.operation, self.existing.view.as_deref())
            && let Err(error) = config_map::disown_others(self.writer, memory.term, self.target, &view.uid).await
        {
            return self.failed(memory, &error);
        }
        let onto = self.existing.view.as_deref();
        let sent = match self.send(memory, manifest, change.operation, change.reverts, onto).await {
            Ok(sent) => sent,
            Err(outcome) => return outcome,
        };
        let (namespace, name, config_map) = (&self.name.namespace, &self.name.name, &self.target.name);
        let (tools, bytes, hash) = (planned.rendered.entries, planned.rendered.bytes, &planned.rendered.hash);
        let (operation, found) = (change.operation.as_str(), &change.found);
        let in_process_us = sent.in_process.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        info!(
            %namespace, %name, %config_map, operation, ?found, tools, bytes, %hash, in_process_us, "ConfigMap applied"
        );
        sent.requeue(match memory.brake.over_at() {
            // The ConfigMap is applied now, but the status reports the conflict until it is over.
            Some(over) => Outcome::new(self.contested(), ReconcileResult::Applied).requeue(Some(over)),
            None => Outcome::new(OutputState::Applied, ReconcileResult::Applied),
        })
    }

    /// Restores a ConfigMap that was deleted during a hold, as it was last applied.
    pub(super) async fn restore(&self, memory: &mut Memory) -> Outcome {
        let Some(applied) = memory.applied.clone() else { return Outcome::held(held()) };
        if let Some(due) = memory.brake.wait_until(self.now) {
            return Outcome::held(held()).requeue(Some(due));
        }
        if !self.is_still_wanted().await {
            return Outcome::unreported();
        }
        self.metrics.drifted();
        match self.send(memory, applied, Operation::Repair, true, None).await {
            Ok(sent) => sent.requeue(Outcome::new(held(), ReconcileResult::Applied)),
            Err(outcome) => outcome,
        }
    }

    /// Delays a write if another field manager keeps reverting it. Counts each drift once.
    fn brake(&self, memory: &mut Memory) -> Option<Outcome> {
        let version = self.existing.version();
        if memory.drifted_at.replace(version) != Some(version) {
            self.metrics.drifted();
        }
        let due = memory.brake.wait_until(self.now)?;
        Some(Outcome::held(self.contested()).requeue(Some(due)))
    }

    /// Writes the ConfigMap. There is no other place that does.
    async fn send(
        &self,
        memory: &mut Memory,
        manifest: Manifest,
        operation: Operation,
        reverts: bool,
        onto: Option<&ConfigMapView>,
    ) -> Result<Sent, Outcome> {
        memory.write_begins(Instant::now());
        let config_maps = &self.cluster.config_maps;
        let uid = onto.map(|view| view.uid.as_str());
        let owned = |key: &str| self.existing.owned.contains(key);
        config_maps.expect(self.target, manifest.applied_onto(onto, uid.unwrap_or_default(), owned));
        let (answer, sent) = config_map::apply(self.writer, memory.term, self.target, &manifest, uid).await;
        match answer {
            Ok(answer) => {
                let now = Instant::now();
                self.cluster.restores.compare("ConfigMap", self.existing.version(), answer.version());
                let as_expected = config_maps.acknowledged(self.target, answer.uid(), answer.version());
                self.metrics.applied(operation, self.received.map(|received| now - received));
                if reverts {
                    memory.brake.repaired(now);
                }
                memory.applied = Some(manifest);
                memory.failures = 0;
                let in_process = self.received.zip(sent).map(|(from, to)| to.saturating_duration_since(from));
                Ok(Sent { as_expected, in_process })
            }
            Err(error) => {
                config_maps.failed(self.target);
                Err(self.failed(memory, &error))
            }
        }
    }

    /// Whether the ToolsetConfig still exists. The ConfigMap may have been deleted together with it, because the events
    /// of two watches arrive in any order.
    async fn is_still_wanted(&self) -> bool {
        if self.config.spec.output.deletion_policy == DeletionPolicy::Orphan {
            return true;
        }
        let api: Api<PartialObjectMeta<ToolsetConfig>> = Api::namespaced(self.writer.client(), &self.name.namespace);
        match within_timeout(api.get_opt(&self.name.name)).await {
            Ok(Some(live)) => live.uid() == self.config.uid() && live.meta().deletion_timestamp.is_none(),
            Ok(None) => false,
            // The write fails for the same reason and reports it.
            Err(_) => true,
        }
    }

    /// Reports a failed request, and requeues the ToolsetConfig.
    fn failed(&self, memory: &mut Memory, error: &Error) -> Outcome {
        let cause = error.cause();
        match cause {
            Cause::NotLeading => {
                memory.refused = true;
                return Outcome::unreported();
            }
            // The namespace is being deleted, and the ConfigMap with it.
            Cause::Terminating | Cause::NotFound => return Outcome::unreported(),
            _ => {}
        }
        memory.failures = memory.failures.saturating_add(1);
        let retry_at = Some(Instant::now() + retry_after(memory.failures));
        let (namespace, name, config_map) = (&self.name.namespace, &self.name.name, &self.target.name);
        // The ConfigMap was replaced between the decision and the write. The watch will show the new one.
        if cause == Cause::Conflict && memory.failures == 1 {
            info!(%namespace, %name, %config_map, reason = %cause, %error, "the ConfigMap has changed, trying again");
            return Outcome { result: ReconcileResult::Failed, ..Outcome::unreported() }.requeue(retry_at);
        }
        let failures = memory.failures;
        warn!(%namespace, %name, %config_map, reason = %cause, %error, failures, "cannot write the ConfigMap, trying again");
        let message = format!("ConfigMap {} cannot be written: {error}", self.target.name);
        Outcome::new(OutputState::Failed { message }, ReconcileResult::Failed).requeue(retry_at)
    }

    /// The state of an output that another field manager keeps reverting.
    fn contested(&self) -> OutputState {
        let who = match self.existing.view.as_deref() {
            None => "it is deleted again and again".to_owned(),
            Some(view) if view.other_managers.is_empty() => "another field manager keeps changing it back".to_owned(),
            Some(view) => format!("field manager {} keeps changing it back", view.other_managers.join(", ")),
        };
        let message =
            format!("ConfigMap {}: {who}; repairs are delayed by up to 5 minutes until this stops", self.target.name);
        OutputState::Contested { message }
    }
}
