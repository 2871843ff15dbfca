//! The result of one reconcile. The worker uses the outcome, and the reporter and the reloader use the snapshot.

use std::{sync::Arc, time::Duration};

use crd_types::ToolsetConfig;
use tokio::time::Instant;
use toolset::{
    Plan, Rendered,
    hold::Reduced,
    render::AgentFile,
    status::{Inputs, OutputState},
};

use super::decide::Change;
use crate::{
    api::{Cause, fence::Term},
    metrics::ReconcileResult,
};

/// A plan and its bytes.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// The planned content of the ConfigMap.
    pub(super) rendered: Rendered,
    /// After how long a grace period ends.
    pub(super) recheck_in: Option<Duration>,
    /// How long it took.
    pub(super) took: Duration,
}

/// The result of one reconcile, for the worker.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The plan, if one could be made.
    pub(super) planned: Option<Arc<Planned>>,
    /// What the ConfigMap is to hold, if it was read back and reduced instead of planned.
    pub(super) reduced: Option<Arc<Reduced>>,
    /// The state of the output. `None` if there is nothing to report.
    pub(super) output: Option<OutputState>,
    pub(super) result: ReconcileResult,
    /// The write that the API server acknowledged.
    pub(super) written: Option<Change>,
    /// Why the API server did not take the write.
    pub(super) cause: Option<Cause>,
    /// When to reconcile again if no trigger comes first.
    pub(super) requeue_at: Option<Instant>,
}

impl Outcome {
    pub(super) fn new(output: OutputState, result: ReconcileResult) -> Self {
        Self { output: Some(output), result, ..Self::unreported() }
    }

    /// No write was needed or allowed.
    pub(super) fn held(output: OutputState) -> Self {
        Self::new(output, ReconcileResult::Held)
    }

    /// The reconcile has no result to report, and the status does not change.
    pub(super) fn unreported() -> Self {
        Self {
            planned: None,
            reduced: None,
            output: None,
            result: ReconcileResult::Held,
            written: None,
            cause: None,
            requeue_at: None,
        }
    }

    /// Keeps which write was made, if it was made.
    pub(super) fn wrote(mut self, change: Change) -> Self {
        self.written = (self.result == ReconcileResult::Applied).then_some(change);
        self
    }

    /// Also reconciles again at that time.
    pub(super) fn requeue(mut self, at: Option<Instant>) -> Self {
        self.requeue_at = earliest(self.requeue_at, at);
        self
    }
}

/// The result of one reconcile, for the status and the reload. The worker makes it after the write, so it reports only
/// what has happened.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) term: Term,
    /// The ToolsetConfig that was reconciled, with its uid and generation.
    pub(super) config: Arc<ToolsetConfig>,
    /// The state of the required inputs.
    pub(super) inputs: Inputs,
    /// The plan. `None` if none could be made.
    pub(super) planned: Option<Arc<Planned>>,
    /// What the ConfigMap is to hold, if it was read back and reduced instead of planned.
    pub(super) reduced: Option<Arc<Reduced>>,
    /// The state of the output.
    pub(super) output: OutputState,
    /// The agent's file in the ConfigMap as this term found it, if the spec restarts the agent.
    pub(super) found: Option<Arc<AgentFile>>,
    /// The agent's file as this process last wrote it, or found it written.
    pub(super) agent_file: Option<Arc<AgentFile>>,
}

impl Snapshot {
    /// What the ConfigMap is to hold.
    pub(super) fn rendered(&self) -> Option<&Rendered> {
        let planned = self.planned.as_ref().map(|planned| &planned.rendered);
        planned.or(self.reduced.as_ref().map(|reduced| &reduced.rendered))
    }

    pub(super) fn uid(&self) -> &str {
        self.config.metadata.uid.as_deref().unwrap_or_default()
    }
}

/// The earlier of two optional instants.
pub(super) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
