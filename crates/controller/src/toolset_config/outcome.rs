//! What one reconcile found and did: the outcome for the worker, and the snapshot for those that report it.

use std::{collections::BTreeMap, sync::Arc};

use crd_types::ToolsetConfig;
use tokio::time::Instant;
use toolset::status::{Input, InputState, OutputState};

use super::plan::Planned;
use crate::{api::fence::Term, metrics::ReconcileResult};

/// What one reconcile found and did.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What was planned, if anything could be.
    pub(super) planned: Option<Arc<Planned>>,
    /// What became of the output; `None` if there is nothing to report.
    pub(super) output: Option<OutputState>,
    pub(super) result: ReconcileResult,
    /// When to reconcile again if nothing triggers it before.
    pub(super) requeue_at: Option<Instant>,
}

impl Outcome {
    pub(super) fn new(output: OutputState, result: ReconcileResult) -> Self {
        Self { planned: None, output: Some(output), result, requeue_at: None }
    }

    /// Nothing was to be written, or nothing may be.
    pub(super) fn held(output: OutputState) -> Self {
        Self::new(output, ReconcileResult::Held)
    }

    /// Nothing came of it, and the status does not change.
    pub(super) fn unreported() -> Self {
        Self { planned: None, output: None, result: ReconcileResult::Held, requeue_at: None }
    }

    /// Reconciles again at that time, too.
    pub(super) fn requeue(mut self, at: Option<Instant>) -> Self {
        self.requeue_at = earliest(self.requeue_at, at);
        self
    }
}

/// What a reconcile found and did. The worker takes it after the output's result, so it never reports what has not happened.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) term: Term,
    /// The ToolsetConfig that was reconciled, with its uid and generation.
    pub(super) config: Arc<ToolsetConfig>,
    /// The state of the required inputs.
    pub(super) inputs: BTreeMap<Input, InputState>,
    /// What was planned; `None` if nothing could be.
    pub(super) planned: Option<Arc<Planned>>,
    /// What became of the output.
    pub(super) output: OutputState,
}

impl Snapshot {
    pub(super) fn uid(&self) -> &str {
        self.config.metadata.uid.as_deref().unwrap_or_default()
    }
}

/// The earlier of two moments that may not be.
pub(super) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
