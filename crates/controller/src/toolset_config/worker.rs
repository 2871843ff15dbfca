//! The worker of one ToolsetConfig. It waits for a trigger and reconciles. Between reconciles it keeps only timers and
//! the memory of what was written, so a reconcile can be skipped, repeated or lost.

use std::{future::pending, sync::Arc, time::Duration};

use crd_types::{Mode, ToolsetConfig};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use toolset::{
    config_map::Manifest,
    hold::{Reduced, reduce},
    in_output,
    status::{InputState, OutputState},
};

use super::{
    decide::{self, Decision, Situation},
    gate::{self, Gate, GateDecision},
    memory::Memory,
    outcome::{Outcome, Snapshot},
    plan::{self, services_in_output},
    write::Output,
};
use crate::{
    api::{NamespacedName, Writer, fence::Leadership},
    cluster::{Cluster, ConfigMapState, Trigger},
    metrics::{Metrics, Operation, ReconcileResult},
};

/// How long a ToolsetConfig may wait for its inputs before its status reports it. A normal start takes less time.
const QUIET_WAIT: Duration = Duration::from_secs(2);

/// Reconciles one ToolsetConfig when it is triggered.
pub(super) struct Worker {
    pub(super) name: NamespacedName,
    pub(super) trigger: Arc<Trigger>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) cluster_domain: Arc<str>,
    pub(super) writer: Writer,
    pub(super) leadership: Leadership,
    pub(super) metrics: Arc<Metrics>,
    pub(super) snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    /// True once the program is about to end.
    pub(super) stop: watch::Receiver<bool>,
}

impl Worker {
    /// Returns when the ToolsetConfig is deleted, or when the program is about to end and no write is in progress.
    pub(super) async fn run(mut self) {
        let mut memory: Option<Memory> = None;
        let mut requeue_at = None;
        loop {
            let refused = memory.as_ref().is_some_and(|memory| memory.refused);
            tokio::select! {
                biased;
                // First, so that no reconcile starts after it.
                () = stopped(&mut self.stop) => return,
                () = self.trigger.reconcile_needed() => {}
                () = moment(requeue_at) => {}
                () = self.leadership.changed_or(refused) => {}
            }
            requeue_at = None;
            let Some(config) = self.cluster.toolset_configs.get(&self.name) else {
                // A deleted ToolsetConfig has no status to report.
                self.snapshots.send_replace(None);
                return;
            };
            let Some(term) = self.leadership.term() else {
                // Another replica may write, so the memory of this replica becomes outdated.
                (memory, _) = (None, self.trigger.take());
                continue;
            };
            // Nothing is written for a ToolsetConfig that is being deleted, because the garbage collector deletes the
            // ConfigMap.
            if config.metadata.deletion_timestamp.is_some() {
                (memory, _) = (None, self.trigger.take());
                continue;
            }
            let (now, uid) = (Instant::now(), config.metadata.uid.as_deref().unwrap_or_default());
            let memory = match &mut memory {
                Some(memory) if memory.term == term && memory.uid == uid => memory,
                old => old.insert(Memory::new(term, uid.to_owned(), now)),
            };
            requeue_at = match memory.collects_until(now) {
                Some(until) => Some(until),
                // Boxed, so that a task at rest is small.
                None => Box::pin(self.reconcile(&config, memory)).await,
            };
        }
    }

    /// Reconciles once. Returns when the next reconcile is due if no trigger comes first.
    async fn reconcile(&self, config: &Arc<ToolsetConfig>, memory: &mut Memory) -> Option<Instant> {
        let (began, received) = (Instant::now(), self.trigger.take());
        memory.refused = false;
        let target = self.name.sibling(&config.spec.output.config_map_name);
        let existing = self.cluster.config_maps.get(&target);
        if let Some(existing) = &existing {
            memory.recognise(existing);
        }
        let gate = self.gate(config, memory, existing.as_ref(), began);
        let outcome = self.output(config, memory, (&target, existing), &gate, received, began).await;
        if memory.refused || outcome.result == ReconcileResult::Failed {
            // The event has not reached the ConfigMap yet.
            self.trigger.note(received);
        }
        // Metrics and the status come after the write.
        let requeue_at = outcome.requeue_at;
        self.inform(config, memory, gate, outcome, began);
        requeue_at
    }

    fn gate(
        &self,
        config: &ToolsetConfig,
        memory: &Memory,
        existing: Option<&ConfigMapState>,
        now: Instant,
    ) -> GateDecision {
        let known = gate::Known {
            watches: &self.cluster.watches,
            watch_namespaces: &self.cluster.scope.watch_namespaces,
            labels: &|namespace| self.cluster.index().namespace_labels(namespace).cloned(),
            namespaces_in_output: &|| {
                let services = existing
                    .map(|existing| services_in_output(existing, memory.applied.as_ref(), &self.cluster_domain));
                services.into_iter().flatten().map(|key| key.namespace.to_string()).collect()
            },
        };
        gate::decide(config, &known, now)
    }

    /// Plans, decides and writes.
    async fn output(
        &self,
        config: &ToolsetConfig,
        memory: &mut Memory,
        (target, existing): (&NamespacedName, Option<ConfigMapState>),
        gate: &GateDecision,
        received: Option<Instant>,
        now: Instant,
    ) -> Outcome {
        if config.spec.mode == Mode::Suspended {
            return Outcome::held(OutputState::Suspended);
        }
        let Some(existing) = existing else { return wait_for_inputs(memory, gate, now) };
        let output = Output {
            cluster: &self.cluster,
            metrics: &self.metrics,
            writer: &self.writer,
            config,
            name: &self.name,
            target,
            existing: &existing,
            received,
            now,
            held: gate.gate != Gate::Open,
        };
        if gate.gate == Gate::Shut {
            return if gate.is_in_trouble() {
                self.without_index(&output, memory).await
            } else {
                wait_for_inputs(memory, gate, now)
            };
        }
        memory.waiting_since = None;
        let planned = plan::plan(&self.cluster, &self.cluster_domain, config, &existing, memory, gate, now);
        let manifest = Manifest::new(config, &planned.rendered);
        let spec_changed = memory.settled != config.metadata.generation;
        let outcome = match self.decide(&output, memory, &manifest, spec_changed) {
            Decision::Leave(state) => Outcome::held(state),
            Decision::AwaitDeletion => Outcome::unreported(),
            Decision::Restore => output.restore(memory).await,
            Decision::Nothing => output.unchanged(memory, manifest),
            Decision::Write(change) => output.write(memory, &planned.rendered, manifest, &change).await,
        };
        let recheck_at = planned.recheck_in.map(|time| now + time);
        Outcome { planned: Some(Arc::new(planned)), ..outcome }.requeue(recheck_at)
    }

    /// An input cannot be listed, so there is no plan. What the spec takes away is removed from what the ConfigMap lists.
    async fn without_index(&self, output: &Output<'_>, memory: &mut Memory) -> Outcome {
        let Some(view) = output.existing.view.as_deref() else { return Outcome::held(never_listed("")) };
        let Reduced { rendered, removed, unjudged } = match reduce(output.config, &self.cluster_domain, &view.data) {
            Ok(reduced) => reduced,
            Err(why) => return Outcome::held(never_listed(&format!("; the ConfigMap cannot be read back: {why}"))),
        };
        let mut note = unjudged.into_iter().collect::<Vec<_>>().join(", ");
        if !note.is_empty() {
            note = format!("; the spec may take away more, because the ConfigMap does not say of which type {note} is");
        }
        let left = in_output(rendered.data.values().map(|text| &**text), &self.cluster_domain);
        let drops_a_format = output.existing.owned.iter().any(|key| !rendered.data.contains_key(key.as_str()));
        let outcome = if removed.is_empty() && !drops_a_format {
            Outcome::held(never_listed(&note))
        } else {
            let manifest = Manifest::new(output.config, &rendered);
            match self.decide(output, memory, &manifest, true) {
                Decision::Leave(state) => Outcome::held(state),
                Decision::Write(change) if change.operation != Operation::Adopt => {
                    output.write(memory, &rendered, manifest, &change).await
                }
                _ => Outcome::held(never_listed(&note)),
            }
        };
        Outcome { left: Some(left), ..outcome }
    }

    fn decide(&self, output: &Output<'_>, memory: &Memory, manifest: &Manifest, spec_changed: bool) -> Decision {
        let all = self.cluster.toolset_configs.all();
        decide::decide(&Situation {
            config: output.config,
            held: output.held,
            older_rival: decide::older_rival(output.config, all.iter().map(AsRef::as_ref)),
            existing: output.existing,
            manifest,
            applied: memory.applied.as_ref(),
            spec_changed,
        })
    }

    /// Metrics, and the snapshot for the status and the agent's restart.
    fn inform(
        &self,
        config: &Arc<ToolsetConfig>,
        memory: &Memory,
        gate: GateDecision,
        outcome: Outcome,
        began: Instant,
    ) {
        // The result of a reconcile in an old term is not reported.
        if self.writer.term() != Some(memory.term) || !self.cluster.toolset_configs.holds(&self.name, &memory.uid) {
            return;
        }
        self.metrics.reconciled(outcome.result, began.elapsed());
        if let Some(planned) = &outcome.planned {
            self.metrics.planned(&self.name, &planned.plan, planned.rendered.bytes, planned.took);
            if gate.gate == Gate::Held {
                self.count_hold(&gate);
            }
        }
        let Some(output) = outcome.output else { return };
        let snapshot = Snapshot {
            term: memory.term,
            config: config.clone(),
            inputs: gate.inputs,
            planned: outcome.planned,
            left: outcome.left,
            output,
        };
        self.snapshots.send_replace(Some(Arc::new(snapshot)));
    }

    fn count_hold(&self, gate: &GateDecision) {
        for (input, state) in &gate.inputs.states {
            match state {
                InputState::Forbidden { .. } => self.metrics.held(*input, true),
                InputState::Stale { .. } => self.metrics.held(*input, false),
                InputState::Pending | InputState::Synced => {}
            }
        }
    }
}

fn wait_for_inputs(memory: &mut Memory, gate: &GateDecision, now: Instant) -> Outcome {
    let since = *memory.waiting_since.get_or_insert(now);
    if gate.is_forbidden() {
        return Outcome::held(never_listed(""));
    }
    if now < since + QUIET_WAIT {
        return Outcome::unreported().requeue(Some(since + QUIET_WAIT));
    }
    Outcome::held(OutputState::Waiting)
}

/// The state of an output that cannot be planned, because an input was never listed.
fn never_listed(note: &str) -> OutputState {
    let message = format!("nothing is added to the ConfigMap before every required input has been listed once{note}");
    OutputState::Held { message, written: false }
}

/// Waits until the program is about to end.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, so the program is about to end, too.
    drop(stop.wait_for(|stop| *stop).await);
}

/// Waits until that instant. Never returns if there is none.
pub(super) async fn moment(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
