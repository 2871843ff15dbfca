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
    status::{InputState, OutputState},
};

use super::{
    decide::{self, Decision, Situation},
    gate::{self, Gate, GateDecision},
    memory::Memory,
    outcome::{Outcome, Snapshot},
    plan,
    write::Output,
};
use crate::{
    api::{NamespacedName, Writer, fence::Leadership},
    cluster::{Cluster, Trigger},
    metrics::{Metrics, ReconcileResult},
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
        let gate = gate::decide(config, &self.cluster.watches, began);
        let outcome = self.output(config, memory, &gate, received, began).await;
        if memory.refused || outcome.result == ReconcileResult::Failed {
            // The event has not reached the ConfigMap yet.
            self.trigger.note(received);
        }
        // Metrics and the status come after the write.
        let requeue_at = outcome.requeue_at;
        self.inform(config, memory, gate, outcome, began);
        requeue_at
    }

    /// Plans, decides and writes.
    async fn output(
        &self,
        config: &ToolsetConfig,
        memory: &mut Memory,
        gate: &GateDecision,
        received: Option<Instant>,
        now: Instant,
    ) -> Outcome {
        if config.spec.mode == Mode::Suspended {
            return Outcome::held(OutputState::Suspended);
        }
        let target = self.name.sibling(&config.spec.output.config_map_name);
        let existing = self.cluster.config_maps.get(&target).filter(|_| gate.gate != Gate::Shut);
        let Some(existing) = existing else { return wait_for_inputs(memory, gate, now) };
        memory.waiting_since = None;

        let frozen_since = gate.health_frozen_since;
        let planned = plan::plan(&self.cluster, &self.cluster_domain, config, &existing, memory, now, frozen_since);
        let manifest = Manifest::new(config, &planned.rendered);
        let all = self.cluster.toolset_configs.all();
        let decision = decide::decide(&Situation {
            config,
            gate: gate.gate,
            older_rival: decide::older_rival(config, all.iter().map(AsRef::as_ref)),
            existing: &existing,
            manifest: &manifest,
            applied: memory.applied.as_ref(),
        });
        let output = Output {
            cluster: &self.cluster,
            metrics: &self.metrics,
            writer: &self.writer,
            config,
            name: &self.name,
            target: &target,
            existing: &existing,
            received,
            now,
        };
        let outcome = match decision {
            Decision::Leave(state) => Outcome::held(state),
            Decision::AwaitDeletion => Outcome::unreported(),
            Decision::Restore => output.restore(memory).await,
            Decision::Nothing => output.unchanged(memory, manifest),
            Decision::Write(change) => output.write(memory, &planned, manifest, &change).await,
        };
        let recheck_at = planned.recheck_at.filter(|_| gate.health_frozen_since.is_none());
        Outcome { planned: Some(Arc::new(planned)), ..outcome }.requeue(recheck_at)
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
            output,
        };
        self.snapshots.send_replace(Some(Arc::new(snapshot)));
    }

    fn count_hold(&self, gate: &GateDecision) {
        for (input, state) in &gate.inputs {
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
        let message = "the ConfigMap is not written before every required input has been listed once".to_owned();
        return Outcome::held(OutputState::Held { message });
    }
    if now < since + QUIET_WAIT {
        return Outcome::unreported().requeue(Some(since + QUIET_WAIT));
    }
    Outcome::held(OutputState::Waiting)
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
