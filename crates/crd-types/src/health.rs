//! `spec.health`: when a tool is healthy, and what happens to an unhealthy tool.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::closed::closed;

/// Health specifies when a tool is healthy and what happens to an unhealthy tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// mode specifies how the operator determines the health of a tool. None disables health checks, and the health of
    /// every tool is Unknown. Endpoints considers a tool healthy while at least one endpoint of its Service is serving
    /// and not terminating.
    #[serde(default)]
    pub mode: HealthMode,
    /// effect specifies what happens to an unhealthy tool. Withhold removes the tool from the output. Report keeps the
    /// tool in the output and reports it as unhealthy in the status. The format GrafanaDatasources always uses Report.
    #[serde(default)]
    pub effect: HealthEffect,
    /// withholdAfterSeconds is the number of seconds that a tool in the output can be without a usable endpoint before
    /// the operator removes it.
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
    /// How the operator determines the health of a tool.
    #[derive(Default)]
    pub enum HealthMode {
        /// The operator does not check health.
        None,
        /// The operator reads the readiness of the Service's endpoints.
        #[default]
        Endpoints,
    }
}

closed! {
    /// What happens to an unhealthy tool.
    #[derive(Default)]
    pub enum HealthEffect {
        /// The tool is removed from the output.
        #[default]
        Withhold,
        /// The tool stays in the output, and the status reports it.
        Report,
    }
}
