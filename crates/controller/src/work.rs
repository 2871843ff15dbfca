//! What the reconciler remembers of one ToolsetConfig between two looks. Losing it costs nothing but a repetition.

use std::collections::BTreeMap;

use crd_types::{ServiceReason, ToolsetConfigStatus};
use detectors::ServiceKey;
use tokio::time::Instant;
use toolset::HealthStage;

use crate::{brake::Brake, coalesce::Coalesce, reload::Reload};

/// What the reconciler remembers of one ToolsetConfig.
#[derive(Debug, Default)]
pub struct Work {
    /// Collects changes that come in quick succession.
    pub coalesce: Coalesce,
    /// Since when tools have been without endpoints.
    pub health: HealthStage,
    /// Slows down a fight.
    pub brake: Brake,
    /// The ConfigMap as it was last applied by this process and acknowledged, without a uid: enough to restore it without
    /// looking at the cluster, and to know what is in the output when it is gone.
    pub applied: Option<serde_json::Value>,
    /// The state of the ConfigMap in which drift was last found, so that each is counted once.
    pub drifted_at: Option<u64>,
    /// The status as last written, with the resourceVersion that came back.
    pub status: Option<(u64, ToolsetConfigStatus)>,
    /// Failures to write in a row.
    pub failures: u32,
    /// The agent's restarts.
    pub reload: Reload,
    /// The rejections that were told on the Services, so that each is told once.
    pub told: BTreeMap<ServiceKey, ServiceReason>,
    /// When this ToolsetConfig began to wait for its inputs.
    pub waiting_since: Option<Instant>,
}
