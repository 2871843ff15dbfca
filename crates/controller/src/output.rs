//! Carries out the decision to write: the brake before it, what is remembered after it, and what its failure means.

use crd_types::{DeletionPolicy, ToolsetConfig};
use kube::{Api, Resource, ResourceExt, core::PartialObjectMeta};
use serde_json::Value;
use tokio::time::Instant;
use toolset::{ConfigMapView, Drift, Rendered, status::OutputState};
use tracing::{info, warn};

use crate::{
    apply,
    brake::retry_after,
    client::within_timeout,
    decision::held,
    error::{Cause, Error},
    inputs::Cached,
    metrics::{Looked, Operation},
    object::ObjectName,
    reconcile::{Outcome, Reconciler},
    work::Work,
};

/// One ToolsetConfig's output, during one look.
pub struct Output<'a> {
    /// The way to everything else.
    pub reconciler: &'a Reconciler,
    /// The ToolsetConfig.
    pub config: &'a ToolsetConfig,
    /// Its name.
    pub name: &'a ObjectName,
    /// The ConfigMap's name.
    pub target: &'a ObjectName,
    /// When the event was received that led to this look.
    pub received: Option<Instant>,
    /// When the look began.
    pub now: Instant,
}

impl Output<'_> {
    /// Writes what was planned, unless the brake is on.
    pub async fn write(
        &self,
        work: &mut Work,
        existing: &Cached,
        rendered: &Rendered,
        object: Value,
        operation: Operation,
        found: &Drift,
    ) -> Outcome {
        let view = existing.view.as_deref();
        if operation == Operation::Repair {
            if let Some(outcome) = self.hold_back(work, existing) {
                return outcome;
            }
            if *found == Drift::Missing && !self.is_still_wanted().await {
                return Outcome::silent();
            }
        }
        if let (Operation::Adopt, Some(view)) = (operation, view)
            && let Err(error) = apply::disown_others(&self.reconciler.writer, self.target, &view.uid).await
        {
            return self.failed(work, &error);
        }
        let outcome = self.send(work, object, operation, view).await;
        if outcome.looked != Looked::Applied {
            return outcome;
        }
        let (namespace, name, config_map) = (&self.name.namespace, &self.name.name, &self.target.name);
        let (tools, bytes, hash) = (rendered.entries, rendered.bytes, &rendered.hash);
        info!(%namespace, %name, %config_map, operation = operation.as_str(), ?found, tools, bytes, %hash, "ConfigMap applied");
        match work.brake.over_at() {
            // Applied, for the moment; the status tells of the fight until it is over.
            Some(over) => Outcome::new(contested(self.target, view), Looked::Applied).again_at(Some(over)),
            None => outcome,
        }
    }

    /// Puts a ConfigMap back that was deleted during a hold, as it was last applied.
    pub async fn restore(&self, work: &mut Work) -> Outcome {
        let Some(last) = work.applied.clone() else { return Outcome::held(held()) };
        if let Some(due) = work.brake.wait_until(self.now) {
            return Outcome::held(held()).again_at(Some(due));
        }
        if !self.is_still_wanted().await {
            return Outcome::silent();
        }
        self.reconciler.world.metrics.drifted();
        let outcome = self.send(work, last, Operation::Repair, None).await;
        match outcome.looked {
            Looked::Applied => Outcome { output: held(), ..outcome },
            _ => outcome,
        }
    }

    /// The brake: not yet, because somebody keeps reverting us. Counts each drift once, however often it is looked at.
    fn hold_back(&self, work: &mut Work, existing: &Cached) -> Option<Outcome> {
        if work.drifted_at.replace(existing.version()) != Some(existing.version()) {
            self.reconciler.world.metrics.drifted();
        }
        let due = work.brake.wait_until(self.now)?;
        Some(Outcome::held(contested(self.target, existing.view.as_deref())).again_at(Some(due)))
    }

    /// The one place from which the ConfigMap is written.
    async fn send(
        &self,
        work: &mut Work,
        applied: Value,
        operation: Operation,
        onto: Option<&ConfigMapView>,
    ) -> Outcome {
        work.coalesce.writes(Instant::now());
        let mut object = applied.clone();
        if let Some(view) = onto {
            object["metadata"]["uid"] = Value::String(view.uid.clone());
        }
        let world = &self.reconciler.world;
        match apply::apply(&self.reconciler.writer, self.target, &object).await {
            Ok(answer) => {
                let now = Instant::now();
                world.config_maps.offer(self.target, &answer);
                world.metrics.applied(operation, self.received.map(|received| now - received));
                if operation == Operation::Repair {
                    work.brake.repaired(now);
                }
                work.applied = Some(applied);
                work.failures = 0;
                Outcome::new(OutputState::Applied, Looked::Applied)
            }
            Err(error) => {
                world.wakes.put_back(self.name, self.received);
                self.failed(work, &error)
            }
        }
    }

    /// Whether the ToolsetConfig is still there: its ConfigMap may be gone because it is, and two watches tell in any order.
    async fn is_still_wanted(&self) -> bool {
        if self.config.spec.output.deletion_policy == DeletionPolicy::Orphan {
            return true;
        }
        let client = self.reconciler.writer.client();
        let api: Api<PartialObjectMeta<ToolsetConfig>> = Api::namespaced(client, &self.name.namespace);
        match within_timeout(api.get_opt(&self.name.name)).await {
            Ok(Some(live)) => live.uid() == self.config.uid() && live.meta().deletion_timestamp.is_none(),
            Ok(None) => false,
            // Whatever hinders this hinders the write too, and is told there.
            Err(_) => true,
        }
    }

    /// A request failed: say it, and try again later.
    fn failed(&self, work: &mut Work, error: &Error) -> Outcome {
        let cause = error.cause();
        // On its way out with its namespace, or another replica's business: nobody's error.
        if matches!(cause, Cause::Terminating | Cause::NotFound | Cause::NotLeading) {
            return Outcome::silent();
        }
        work.failures = work.failures.saturating_add(1);
        let again = Some(Instant::now() + retry_after(work.failures));
        let (namespace, name, config_map) = (&self.name.namespace, &self.name.name, &self.target.name);
        // Somebody replaced it between our look and our write; the watch is about to say so.
        if cause == Cause::Conflict && work.failures == 1 {
            info!(%namespace, %name, %config_map, reason = %cause, %error, "ConfigMap changed meanwhile, looking again");
            return Outcome { looked: Looked::Failed, ..Outcome::silent() }.again_at(again);
        }
        let failures = work.failures;
        warn!(%namespace, %name, %config_map, reason = %cause, %error, failures, "cannot write the ConfigMap, trying again");
        let message = format!("ConfigMap {} cannot be written: {error}", self.target.name);
        Outcome::new(OutputState::Failed { message }, Looked::Failed).again_at(again)
    }
}

/// Somebody keeps reverting us.
pub fn contested(target: &ObjectName, view: Option<&ConfigMapView>) -> OutputState {
    let who = match view {
        None => "somebody keeps deleting it".to_owned(),
        Some(view) if view.other_managers.is_empty() => "another writer keeps changing it back".to_owned(),
        Some(view) => format!("field manager {} keeps changing it back", view.other_managers.join(", ")),
    };
    let message = format!("ConfigMap {}: {who}; repairs wait longer and longer until it stops", target.name);
    OutputState::Contested { message }
}
