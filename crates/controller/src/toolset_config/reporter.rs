//! Writes the status of one ToolsetConfig, and sends Events about what changed in it.
//!
//! The status is not written for each reconcile. The first change after a quiet second is written at once. After that,
//! one write per second contains the newest snapshot. Transition times and Events are computed from the status that was
//! last *written*, so changes in a skipped snapshot are still reported.

use std::{sync::Arc, time::Duration};

use crd_types::{ConditionType, Mode, Reason, ToolsetConfigStatus};
use tokio::{sync::watch, time::Instant};
use toolset::status::{Observed, ReloadState, status};
use tracing::warn;

use super::{
    brake::{Brake, retry_after},
    events::{LastAgent, ReportedRejections, condition_events, service_events},
    observer::AgentState,
    outcome::Snapshot,
};
use crate::{
    api::{
        Cause, Error, NamespacedName, Writer,
        events::Events,
        fence::{Leadership, Term},
        status as api,
    },
    cluster::{Cluster, Trigger, Written, moment, same_status},
    metrics::Metrics,
};

/// The shortest time between two writes of one status, after the first.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long after a failed write the next attempt is made, at least.
const RETRY: Duration = Duration::from_secs(2);

/// Reports on one ToolsetConfig.
pub(super) struct Reporter {
    pub(super) name: NamespacedName,
    pub(super) trigger: Arc<Trigger>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) writer: Writer,
    pub(super) events: Events,
    pub(super) leadership: Leadership,
    pub(super) metrics: Arc<Metrics>,
    pub(super) snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    pub(super) reload: watch::Receiver<Option<ReloadState>>,
    pub(super) agent: watch::Receiver<Option<AgentState>>,
}

/// What is remembered of one object during one term.
struct Memory {
    term: Term,
    uid: String,
    /// The status as this process last wrote it and the API server acknowledged it.
    written: Option<Arc<ToolsetConfigStatus>>,
    /// The rejections that were reported on the Services, so that each is reported once.
    reported: ReportedRejections,
    agent: LastAgent,
    /// Slows down repairs of the status in a conflict.
    brake: Brake,
    failures: u32,
    /// When the next write may start.
    not_before: Option<Instant>,
    /// The last write was refused because the lease was not held. It is made after the next renewal.
    refused: bool,
}

impl Reporter {
    /// Returns when no further snapshot can come and the last one is written.
    pub(super) async fn run(mut self) {
        let mut memory: Option<Memory> = None;
        let mut requeue_at = None;
        loop {
            let refused = memory.as_ref().is_some_and(|memory| memory.refused);
            let last = tokio::select! {
                changed = self.snapshots.changed() => changed.is_err(),
                Ok(()) = self.reload.changed() => false,
                Ok(()) = self.agent.changed() => false,
                () = self.trigger.status_changed_by_others() => false,
                () = moment(requeue_at) => false,
                () = self.leadership.changed_or(refused) => false,
            };
            if last {
                // The last report waits for what the reloader has under way.
                while self.reload.changed().await.is_ok() {}
            }
            // Boxed, so that a task at rest is small.
            requeue_at = Box::pin(self.report(&mut memory, last)).await;
            if last {
                return;
            }
        }
    }

    /// Writes the status if it differs. Returns when to try again. The `last` snapshot is written at once.
    async fn report(&mut self, memory: &mut Option<Memory>, last: bool) -> Option<Instant> {
        let term = self.leadership.term();
        let snapshot = self.snapshots.borrow_and_update().clone();
        let reload = self.reload.borrow_and_update().clone();
        let agent = self.agent.borrow_and_update().clone();
        let current = |snapshot: &Arc<Snapshot>| {
            Some(snapshot.term) == term && self.cluster.toolset_configs.holds(&self.name, snapshot.uid())
        };
        let Some(snapshot) = snapshot.filter(current) else {
            *memory = None;
            return None;
        };
        let memory = match memory {
            Some(memory) if memory.term == snapshot.term && memory.uid == snapshot.uid() => memory,
            old => old.insert(Memory::new(&snapshot)),
        };
        // Without the states of the reload and of the agent there is no report yet. They are sent soon and trigger this
        // again.
        let (reload, agent) = (reload?, agent?);
        let now = Instant::now();
        if let Some(not_before) = memory.not_before.filter(|at| !last && now < *at) {
            return Some(not_before);
        }
        memory.not_before = None;

        let live = self.cluster.toolset_configs.newest_status(&self.name, &memory.uid);
        let old = memory.written.clone().or_else(|| live.clone());
        let planned = snapshot.planned.as_deref();
        let new = status(
            &snapshot.config,
            old.as_deref(),
            &Observed {
                now: api::now(),
                plan: planned.map(|planned| &planned.plan),
                rendered: snapshot.rendered(),
                left: snapshot.reduced.as_ref().map(|reduced| &reduced.left),
                inputs: &snapshot.inputs,
                output: snapshot.output.clone(),
                reload,
                agent: agent.report(),
            },
        );
        if let Some(reason) = ready_reason(&new) {
            self.metrics.ready(&self.name, reason);
        }
        let requeue_at = if same_status(live.as_deref(), Some(&new)) {
            memory.brake.unneeded(now);
            memory.refused = false;
            // A write that was not acknowledged may have been carried out. Its transitions are reported now.
            if let Some(written) = memory.written.clone().filter(|written| !same_status(Some(&**written), Some(&new))) {
                self.report_transitions(memory, Some(&written), &new);
                memory.written = Some(Arc::new(new));
            }
            None
        } else {
            let reverted = memory.written.is_some() && !same_status(live.as_deref(), memory.written.as_deref());
            if reverted && let Some(due) = memory.brake.wait_until(now) {
                memory.refused = false;
                return Some(due);
            }
            self.write(memory, &snapshot, old.as_deref(), new, reverted).await
        };
        if let Some(planned) = planned.filter(|_| snapshot.config.spec.mode != Mode::Suspended) {
            for event in service_events(memory.term, &mut memory.reported, &planned.plan) {
                self.events.send(event);
            }
        }
        requeue_at
    }

    async fn write(
        &self,
        memory: &mut Memory,
        snapshot: &Snapshot,
        old: Option<&ToolsetConfigStatus>,
        new: ToolsetConfigStatus,
        reverted: bool,
    ) -> Option<Instant> {
        let (began, new) = (Instant::now(), Arc::new(new));
        let wrote = |version: Option<u64>| {
            let written = Written { version, status: new.clone() };
            self.cluster.toolset_configs.wrote_status(&self.name, &memory.uid, written);
        };
        wrote(None);
        let seen = self.cluster.toolset_configs.newest_version(&self.name);
        match api::apply(&self.writer, memory.term, &self.name, &memory.uid, &new).await {
            Ok(version) => {
                self.cluster.restores.compare("ToolsetConfig", seen, version);
                wrote(Some(version));
                self.report_transitions(memory, old, &new);
                if reverted {
                    memory.brake.repaired(Instant::now());
                }
                memory.written = Some(new);
                memory.failures = 0;
                memory.refused = false;
                memory.not_before = Some(began + INTERVAL);
                None
            }
            Err(error) => self.failed(memory, snapshot, &error),
        }
    }

    fn report_transitions(&self, memory: &mut Memory, old: Option<&ToolsetConfigStatus>, new: &ToolsetConfigStatus) {
        let about = (memory.term, &self.name, &*memory.uid);
        for event in condition_events(about, &mut memory.agent, old, new) {
            self.events.send(event);
        }
    }

    fn failed(&self, memory: &mut Memory, snapshot: &Snapshot, error: &Error) -> Option<Instant> {
        let reason = error.cause();
        memory.refused = reason == Cause::NotLeading;
        // A write without the lease waits for a renewal. A ToolsetConfig that is deleted needs no status.
        if matches!(reason, Cause::NotLeading | Cause::NotFound | Cause::Terminating) {
            return None;
        }
        memory.failures = memory.failures.saturating_add(1);
        let (namespace, name, generation) =
            (&self.name.namespace, &self.name.name, snapshot.config.metadata.generation);
        warn!(%namespace, %name, generation, %reason, %error, "cannot write the status, trying again");
        memory.not_before = Some(Instant::now() + RETRY.max(retry_after(memory.failures)));
        memory.not_before
    }
}

impl Memory {
    fn new(snapshot: &Snapshot) -> Self {
        Self {
            term: snapshot.term,
            uid: snapshot.uid().to_owned(),
            written: None,
            reported: ReportedRejections::default(),
            agent: LastAgent::default(),
            brake: Brake::default(),
            failures: 0,
            not_before: None,
            refused: false,
        }
    }
}

fn ready_reason(status: &ToolsetConfigStatus) -> Option<Reason> {
    let ready = status.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str())?;
    Reason::ALL.iter().copied().find(|reason| reason.as_str() == ready.reason)
}
