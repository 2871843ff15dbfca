//! The worker of one ToolsetConfig. It waits for a trigger and reconciles. Between reconciles it keeps only timers and
//! the memory of what was written, so a reconcile can be skipped, repeated or lost.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use audit_client::Client;
use crd_types::{Mode, Reload, ToolsetConfig};
use tokio::{sync::watch, time::Instant};
use toolset::{
    config_map::Manifest,
    status::{Input, InputState, OutputState},
};

use super::{
    decide::{self, Decision, HELD, Situation, held},
    gate::{self, Gate, GateDecision},
    memory::Memory,
    outcome::{Outcome, Snapshot},
    plan::{self, reduce, services_in_output},
    pods,
    record::{self, Reconciled},
    write::Output,
};
use crate::{
    api::{NamespacedName, Writer, fence::Leadership},
    cluster::{Cluster, ConfigMapState, Trigger, moment},
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
    /// Where records are left. `None` if the operator sends none.
    pub(super) audit: Option<Client>,
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
                self.cluster.probes.forget(&self.name);
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
                self.cluster.probes.forget(&self.name);
                (memory, _) = (None, self.trigger.take());
                continue;
            }
            let (now, uid) = (Instant::now(), config.metadata.uid.as_deref().unwrap_or_default());
            let memory = match &mut memory {
                Some(memory) if memory.term == term && memory.uid == uid => memory,
                old => {
                    let reported = config.status.as_ref().and_then(|status| status.observed_generation);
                    old.insert(Memory::new(term, uid.to_owned(), reported, now))
                }
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
            if config.spec.consumer.reload != Reload::None {
                memory.finds(existing);
            }
        }
        let gate = self.gate(config, memory, existing.as_ref(), began);
        let before = self.audit.as_ref().and(existing.as_ref()).and_then(|existing| existing.view.clone());
        let outcome = self.output(config, memory, (&target, existing), &gate, received, began).await;
        if let Some(audit) = &self.audit {
            let (name, target, before) = (&self.name, &target, before.as_deref());
            let reconciled =
                Reconciled { config, name, target, before, by_event: received.is_some(), outcome: &outcome };
            record::record(audit, memory.recorded.get_or_insert_default(), &reconciled);
        }
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
            unseen_in_output: &|| {
                let Some(existing) = existing else { return BTreeSet::new() };
                // This process has seen everything that it has written.
                if memory.settled.is_some() {
                    return BTreeSet::new();
                }
                let domain = &self.cluster_domain;
                let listed = services_in_output(&self.cluster, domain, config, existing, memory.applied.as_ref());
                let index = self.cluster.index();
                let unseen = listed.into_iter().filter(|key| index.service(key).is_none());
                unseen.map(|key| key.namespace.to_string()).collect()
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
            self.cluster.probes.forget(&self.name);
            return Outcome::held(OutputState::Suspended);
        }
        let Some(existing) = existing else { return wait_for_inputs(memory, gate, now) };
        if !existing.view.as_deref().is_some_and(|view| view.terminating) {
            memory.leaving_since = None;
        }
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
            held: (gate.gate != Gate::Open).then(|| HELD.to_owned()),
            from_index: true,
        };
        // In another term, somebody else may have seen and written what the index lacks.
        let index_may_lack = gate.gate == Gate::Held && memory.settled.is_none();
        if index_may_lack || gate.gate == Gate::Shut && gate.is_in_trouble() {
            return self.without_index(output, memory, gate).await;
        }
        if gate.gate == Gate::Shut {
            return wait_for_inputs(memory, gate, now);
        }
        memory.waiting_since = None;
        let unanswered = pods::unanswered(&self.cluster, memory.term, config);
        if let Some(until) = memory.pods.first_write_waits(&unanswered, now) {
            return Outcome::unreported().requeue(Some(until));
        }
        let inputs = (gate, unanswered);
        let planned = plan::plan(&self.cluster, &self.cluster_domain, config, &existing, memory, inputs, now);
        memory.planned(planned.took, Instant::now());
        let manifest = Manifest::new(config, &planned.rendered);
        let spec_changed = memory.settled != config.metadata.generation;
        let decision = self.decide(&output, memory, &manifest, spec_changed);
        let outcome = output.carry_out(memory, &planned.rendered, manifest, decision).await;
        let (targets, settings) = (&planned.plan.probes, config.spec.health.probe.as_ref());
        // What is never probed can enter at once, and no probe will end that says so.
        let is_news = self.cluster.probes.set(memory.term, &self.name, targets, settings);
        let recheck_at = planned.recheck_in.map(|time| now + time);
        Outcome { planned: Some(Arc::new(planned)), ..outcome }.requeue(recheck_at).requeue(is_news.then_some(now))
    }

    /// The index cannot be relied on, because an input was never listed or another process has written the output. The
    /// tools that the spec excludes are removed from those that the ConfigMap lists.
    async fn without_index(&self, output: Output<'_>, memory: &mut Memory, gate: &GateDecision) -> Outcome {
        let mut output = Output { from_index: false, ..output };
        if matches!(gate.inputs.states.get(&Input::ConfigMap), Some(state) if *state != InputState::Synced) {
            // The base file may be missing only because it has not been listed.
            return Outcome::held(output.left());
        }
        let (config, applied) = (output.config, memory.applied.as_ref());
        let reduced = match reduce(&self.cluster, &self.cluster_domain, config, output.existing, applied) {
            Ok(reduced) => reduced,
            Err(tool) => {
                output.held = Some(format!(
                    "The operator does not change the ConfigMap until the inputs recover, because it cannot read {tool} back from it."
                ));
                return Outcome::held(output.left());
            }
        };
        if !reduced.unsure.is_empty() {
            let unsure = reduced.unsure.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            output.held =
                Some(format!("{HELD} The tools of {unsure} stay, because the ConfigMap does not show their types."));
        }
        let manifest = Manifest::new(config, &reduced.rendered);
        let drops_a_format = output.existing.owned.data.iter().any(|key| !manifest.data().contains_key(key.as_str()));
        let spec_changed =
            memory.reduced != config.metadata.generation || !reduced.removed.is_empty() || drops_a_format;
        let decision = match self.decide(&output, memory, &manifest, spec_changed) {
            // No ConfigMap is adopted before the plan is known.
            Decision::Write(change) if change.operation == Operation::Adopt => Decision::Leave(output.left()),
            Decision::Leave(OutputState::Held { .. }) => Decision::Leave(output.left()),
            other => other,
        };
        let outcome = output.carry_out(memory, &reduced.rendered, manifest, decision).await;
        Outcome { reduced: Some(Arc::new(reduced)), ..outcome }
    }

    fn decide(&self, output: &Output<'_>, memory: &Memory, manifest: &Manifest, spec_changed: bool) -> Decision {
        let all = self.cluster.toolset_configs.all();
        decide::decide(&Situation {
            config: output.config,
            held: output.held.is_some(),
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
        memory: &mut Memory,
        mut gate: GateDecision,
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
            let index = self.cluster.index();
            memory.pods.planned(&planned.plan, |key| index.service(key).is_some());
        }
        let Some(output) = outcome.output else { return };
        gate.inputs.unreadable_pods = pods::unreadable(&self.cluster, config);
        let mut snapshot = Snapshot {
            term: memory.term,
            config: config.clone(),
            inputs: gate.inputs,
            planned: outcome.planned,
            reduced: outcome.reduced,
            output,
            found: memory.found.clone(),
            agent_file: None,
        };
        if snapshot.output.is_written() {
            memory.agent_file = snapshot.rendered().and_then(|rendered| rendered.agent_file.clone());
        }
        snapshot.agent_file.clone_from(&memory.agent_file);
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
        return Outcome::held(held());
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
