//! Carries out the decision to write. The brake may delay the write, and its result is remembered.

use crd_types::{DeletionPolicy, ToolsetConfig};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::{Api, Resource, ResourceExt, core::PartialObjectMeta};
use tokio::time::{Duration, Instant};
use toolset::{
    Rendered,
    config_map::{ConfigMapView, Drift, Manifest},
    status::OutputState,
};
use tracing::{debug, info, warn};

use super::{
    brake::retry_after,
    decide::{Change, Decision, held},
    memory::Memory,
    outcome::Outcome,
};
use crate::{
    api::{Cause, Error, NamespacedName, Writer, client::within_timeout, config_map, fence::Term, thin::Answer},
    cluster::{Cluster, ConfigMapState, Expected},
    metrics::{Metrics, Operation, ReconcileResult},
};

/// How long the garbage collector may delay the deletion of a ConfigMap. A longer delay is reported.
const SOON_GONE: Duration = Duration::from_secs(5);

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
    /// Why no Service may be added to the output. `None` if the inputs allow it.
    pub(super) held: Option<String>,
    /// Whether what is written was planned from the index, and not read back from the ConfigMap.
    pub(super) from_index: bool,
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
    /// Carries out a decision about the ConfigMap, which is to hold what was rendered.
    pub(super) async fn carry_out(
        &self,
        memory: &mut Memory,
        rendered: &Rendered,
        manifest: Manifest,
        decision: Decision,
    ) -> Outcome {
        match decision {
            Decision::Leave(state) => Outcome::held(state),
            Decision::AwaitDeletion => self.await_deletion(memory),
            Decision::Restore => {
                let found = self.lost(memory);
                let change = Change { operation: Operation::Repair, found, reverts: true, plan_changed: false };
                self.restore(memory).await.wrote(change)
            }
            Decision::Nothing => self.unchanged(memory, manifest),
            Decision::Write(change) => self.write(memory, rendered, manifest, &change).await.wrote(change),
        }
    }

    /// No write is needed, because the ConfigMap is as planned.
    fn unchanged(&self, memory: &mut Memory, manifest: Manifest) -> Outcome {
        memory.brake.unneeded(self.now);
        memory.failures = 0;
        // After a restart, the ConfigMap may be as planned although this process did not write it. A later difference
        // is drift.
        memory.acknowledged(manifest);
        self.settled(memory, ReconcileResult::Unchanged)
    }

    /// Writes what was planned, unless the brake is on.
    async fn write(&self, memory: &mut Memory, rendered: &Rendered, manifest: Manifest, change: &Change) -> Outcome {
        let onto = self.existing.view.as_deref();
        if change.reverts {
            memory.rival = rival(onto);
            let due = memory.brake.wait_until(self.now).filter(|_| !change.plan_changed);
            if let Some(due) = due {
                return Outcome::held(self.contested(memory)).requeue(Some(due));
            }
        }
        // The ConfigMap may be deleted together with its ToolsetConfig.
        let deleted = change.reverts && onto.is_none() || onto.is_some_and(|view| view.terminating);
        if deleted && !self.is_still_wanted().await {
            return Outcome::unreported();
        }
        let adopts = (change.operation == Operation::Adopt).then_some(&manifest);
        if let Some(view) = onto.filter(|_| adopts.is_some() || self.existing.updated_by_us)
            && let Err(error) = config_map::own_alone(self.writer, memory.term, self.target, &view.uid, adopts).await
        {
            return self.failed(memory, &error);
        }
        let sent = match self.send(memory, manifest, change.operation, change.reverts, onto).await {
            Ok(sent) => sent,
            Err(outcome) => return outcome,
        };
        let (namespace, name, config_map) = (&self.name.namespace, &self.name.name, &self.target.name);
        let (tools, bytes, hash) = (rendered.entries, rendered.bytes, &rendered.hash);
        let (operation, drift) = (change.operation.as_str(), &change.found);
        let in_process_us = sent.in_process.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        info!(
            %namespace, %name, %config_map, operation, %drift, tools, bytes, %hash, in_process_us, "ConfigMap applied"
        );
        sent.requeue(self.settled(memory, ReconcileResult::Applied))
    }

    /// The ConfigMap has the planned content. A conflict is reported until it is over.
    fn settled(&self, memory: &mut Memory, result: ReconcileResult) -> Outcome {
        let generation = self.config.metadata.generation;
        memory.reduced = generation;
        if self.from_index {
            memory.settled = generation;
        }
        if let Some(over) = memory.brake.over_at() {
            return Outcome::new(self.contested(memory), result).requeue(Some(over));
        }
        let state = self.existing.view.as_deref().and_then(|view| terminating(self.target, view, true));
        let as_planned = match &self.held {
            Some(message) => OutputState::Held { message: message.clone(), written: true },
            None => OutputState::Applied,
        };
        Outcome::new(state.unwrap_or(as_planned), result)
    }

    /// The output is held, and the ConfigMap is left as it is.
    pub(super) fn left(&self) -> OutputState {
        match &self.held {
            Some(message) => OutputState::Held { message: message.clone(), written: false },
            None => held(),
        }
    }

    /// Waits for the deletion of the ConfigMap. If it takes long, it is reported.
    fn await_deletion(&self, memory: &mut Memory) -> Outcome {
        let due = *memory.leaving_since.get_or_insert(self.now) + SOON_GONE;
        let state = self.existing.view.as_deref().and_then(|view| terminating(self.target, view, false));
        match state.filter(|_| self.now >= due) {
            Some(state) => Outcome::held(state),
            None => Outcome::unreported().requeue(Some(due).filter(|due| self.now < *due)),
        }
    }

    /// What the ConfigMap lacks of what was last applied.
    fn lost(&self, memory: &Memory) -> Drift {
        let (view, owned) = (self.existing.view.as_deref(), &self.existing.owned);
        let applied = memory.applied.as_ref();
        applied.zip(view).and_then(|(applied, view)| applied.drift(view, owned)).unwrap_or(Drift::Missing)
    }

    /// Restores a ConfigMap that was deleted or changed during a hold, as it was last applied.
    async fn restore(&self, memory: &mut Memory) -> Outcome {
        let Some(applied) = memory.applied.clone() else { return Outcome::held(self.left()) };
        let onto = self.existing.view.as_deref();
        memory.rival = rival(onto);
        if let Some(due) = memory.brake.wait_until(self.now) {
            return Outcome::held(self.contested(memory)).requeue(Some(due));
        }
        if !self.is_still_wanted().await {
            return Outcome::unreported();
        }
        match self.send(memory, applied, Operation::Repair, true, onto).await {
            Ok(sent) => sent.requeue(Outcome::new(self.left(), ReconcileResult::Applied)),
            Err(outcome) => outcome,
        }
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
        let uid = onto.map_or("", |view| view.uid.as_str());
        config_maps.expect(
            self.target,
            Expected { view: manifest.applied_onto(onto, uid, &self.existing.owned), owned: manifest.owned_fields() },
        );
        let (term, mut created) = (memory.term, None);
        let (answer, sent) = if onto.is_some() {
            let (answer, sent) = config_map::apply(self.writer, term, self.target, &manifest, uid).await;
            (answer.map(|answer| (answer.uid().to_owned(), answer.version())), sent)
        } else {
            let (answer, sent) = config_map::create(self.writer, term, self.target, &manifest).await;
            (answer.map(|answer| (answer.uid().to_owned(), created.insert(answer).version())), sent)
        };
        match answer {
            Ok((uid, version)) => {
                let now = Instant::now();
                self.cluster.restores.compare("ConfigMap", self.existing.version(), version);
                let as_expected = config_maps.acknowledged(self.target, &uid, version);
                self.metrics.applied(operation, self.received.map(|received| now - received));
                if reverts {
                    memory.brake.repaired(now);
                    self.metrics.drifted();
                }
                memory.acknowledged(manifest);
                memory.failures = 0;
                if let Some(created) = created {
                    self.own_by_apply(term, &created).await;
                }
                let in_process = self.received.zip(sent).map(|(from, to)| to.saturating_duration_since(from));
                Ok(Sent { as_expected, in_process })
            }
            Err(error) => {
                config_maps.failed(self.target);
                // Without the lease, nothing was sent.
                if error.cause() != Cause::NotLeading {
                    memory.unanswered(manifest);
                }
                Err(self.failed(memory, &error))
            }
        }
    }

    /// Completes a create. If this fails, the watch shows it, and it is repeated before the next apply.
    async fn own_by_apply(&self, term: Term, created: &Answer<Vec<ManagedFieldsEntry>>) {
        if let Err(error) = config_map::own_by_apply(self.writer, term, self.target, created).await {
            let (namespace, config_map, reason) = (&self.target.namespace, &self.target.name, error.cause());
            debug!(%namespace, %config_map, %reason, %error, "cannot change the managed fields yet");
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
        let message = format!("The operator cannot write ConfigMap {}: {error}. It tries again.", self.target.name);
        let failed = Outcome::new(OutputState::Failed { message }, ReconcileResult::Failed);
        Outcome { cause: Some(cause), ..failed }.requeue(retry_at)
    }

    /// The state of an output that another field manager keeps reverting.
    fn contested(&self, memory: &Memory) -> OutputState {
        let (name, rival) = (&self.target.name, &memory.rival);
        let message =
            format!("ConfigMap {name} {rival}. The operator delays repairs by up to 5 minutes until this stops.");
        OutputState::Contested { message }
    }
}

/// Names the other side of the conflict, from the current ConfigMap.
fn rival(existing: Option<&ConfigMapView>) -> String {
    match existing {
        None => "is deleted repeatedly".to_owned(),
        Some(view) if view.other_managers.is_empty() => "is repeatedly changed by another field manager".to_owned(),
        Some(view) => format!("is repeatedly changed by field manager {}", view.other_managers.join(", ")),
    }
}

/// The state of an output whose deletion is delayed. `written` is whether it is kept up to date, which it is not if
/// only the garbage collector delays the deletion.
fn terminating(name: &NamespacedName, view: &ConfigMapView, written: bool) -> Option<OutputState> {
    let finalizers = if written { view.foreign_finalizers().join(", ") } else { view.finalizers.join(", ") };
    let meanwhile = if written { "keeps it up to date until then, and " } else { "" };
    (view.terminating && !finalizers.is_empty()).then(|| OutputState::Terminating {
        message: format!(
            "ConfigMap {} is being deleted, and finalizer {finalizers} delays the deletion. The operator {meanwhile}creates \
             it again afterwards. If no controller removes the finalizer, remove it from metadata.finalizers.",
            name.name
        ),
        written,
    })
}
