//! What a reconcile found and did, for those that report it.

use std::{collections::BTreeMap, sync::Arc};

use crd_types::ToolsetConfig;
use toolset::status::{Input, InputState, OutputState};

use super::plan::Planned;
use crate::api::fence::Term;

/// What a reconcile found and did. It is taken after the output's result, so it never reports what has not happened.
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
