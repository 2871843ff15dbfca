//! The result of one reconcile. The worker uses the outcome, and the reporter and the reloader use the snapshot.

use std::{collections::BTreeSet, sync::Arc};

use crd_types::ToolsetConfig;
use detectors::ServiceKey;
use tokio::time::Instant;
use toolset::status::{Inputs, OutputState};

use super::plan::Planned;
use crate::{api::fence::Term, metrics::ReconcileResult};

/// The result of one reconcile, for the worker.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The plan, if one could be made.
    pub(super) planned: Option<Arc<Planned>>,
    /// The Services that the ConfigMap lists, if it was reduced without a plan.
    pub(super) left: Option<BTreeSet<ServiceKey>>,
    /// The state of the output. `None` if there is nothing to report.
    pub(super) output: Option<OutputState>,
    pub(super) result: ReconcileResult,
    /// When to reconcile again if no trigger comes first.
    pub(super) requeue_at: Option<Instant>,
}

impl Outcome {
    pub(super) fn new(output: OutputState, result: ReconcileResult) -> Self {
        Self { planned: None, left: None, output: Some(output), result, requeue_at: None }
    }

    /// No write was needed or allowed.
    pub(super) fn held(output: OutputState) -> Self {
        Self::new(output, ReconcileResult::Held)
    }

    /// The reconcile has no result to report, and the status does not change.
    pub(super) fn unreported() -> Self {
        Self { planned: None, left: None, output: None, result: ReconcileResult::Held, requeue_at: None }
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
    /// The Services that the ConfigMap lists, if it was reduced without a plan.
    pub(super) left: Option<BTreeSet<ServiceKey>>,
    /// The state of the output.
    pub(super) output: OutputState,
}

impl Snapshot {
    pub(super) fn uid(&self) -> &str {
        self.config.metadata.uid.as_deref().unwrap_or_default()
    }
}

/// The earlier of two optional instants.
pub(super) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
