//! `spec.health`: when a tool counts as healthy, and what follows when it does not.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::closed::closed;

/// When a tool counts as healthy, and what follows when it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// None: nothing is asked. Endpoints: healthy while one endpoint of the Service is serving and not terminating.
    #[serde(default)]
    pub mode: HealthMode,
    /// Withhold: an unhealthy tool leaves the output. Report: it stays, and the status says that it is unhealthy.
    #[serde(default)]
    pub effect: HealthEffect,
    /// How many seconds a tool that is in the output may be without a usable endpoint before it leaves.
    #[serde(default = "withhold_after")]
    #[schemars(range(min = 0, max = 3600))]
    pub withhold_after_seconds: i32,
}

impl Default for Health {
    fn default() -> Self {
        Self { mode: HealthMode::default(), effect: HealthEffect::default(), withhold_after_seconds: withhold_after() }
    }
}

fn withhold_after() -> i32 {
    120
}

closed! {
    /// Where health is read from.
    #[derive(Default)]
    pub enum HealthMode {
        /// Nowhere: no tool is ever unhealthy.
        None,
        /// The readiness of the Service's endpoints.
        #[default]
        Endpoints,
    }
}

closed! {
    /// What becomes of an unhealthy tool.
    #[derive(Default)]
    pub enum HealthEffect {
        /// It leaves the output.
        #[default]
        Withhold,
        /// It stays, and the status says so.
        Report,
    }
}
