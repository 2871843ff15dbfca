//! What one reconcile found and did.

use std::sync::Arc;

use tokio::time::Instant;
use toolset::status::OutputState;

use super::plan::Planned;
use crate::metrics::ReconcileResult;

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

/// The earlier of two moments that may not be.
pub(super) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
