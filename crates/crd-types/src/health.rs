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
    /// and not terminating. Probe also requires that a Pod of the Service responds to an HTTP request of the operator.
    #[serde(default)]
    pub mode: HealthMode,
    /// effect specifies what happens to an unhealthy tool. Withhold removes the tool from the output. Report keeps the
    /// tool in the output and reports it as unhealthy in the status. The format GrafanaDatasources always uses Report.
    #[serde(default)]
    pub effect: HealthEffect,
    /// withholdAfterSeconds is the number of seconds that a tool in the output can be unhealthy before the operator
    /// removes it.
    #[serde(default = "withhold_after")]
    #[schemars(range(min = 0, max = 3600))]
    pub withhold_after_seconds: i32,
    /// probe configures the HTTP requests of mode Probe. The other modes ignore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<HealthProbe>,
}

/// HealthProbe configures the HTTP requests that check the health of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthProbe {
    /// timeoutSeconds is the number of seconds after which a request fails if no response has begun. A request also
    /// fails if it takes longer than one second to open the connection.
    #[serde(default = "timeout")]
    #[schemars(range(min = 1, max = 10))]
    pub timeout_seconds: i32,
    /// periodSeconds is the number of seconds between two probes of a Service. The operator sends at most 10 requests
    /// per second in total and one per second to the Pods of a namespace, so the time between two probes can be longer.
    /// While a Service is unhealthy, the time doubles after each failed probe, up to 10 minutes, until its
    /// EndpointSlices change.
    #[serde(default = "period")]
    #[schemars(range(min = 1, max = 3600))]
    pub period_seconds: i32,
    /// failureThreshold is the number of failed probes in a row after which a tool is unhealthy.
    #[serde(default = "failures")]
    #[schemars(range(min = 1, max = 10))]
    pub failure_threshold: i32,
    /// successThreshold is the number of successful probes in a row after which a tool is healthy.
    #[serde(default = "successes")]
    #[schemars(range(min = 1, max = 10))]
    pub success_threshold: i32,
}

impl Default for HealthProbe {
    fn default() -> Self {
        Self {
            timeout_seconds: timeout(),
            period_seconds: period(),
            failure_threshold: failures(),
            success_threshold: successes(),
        }
    }
}

fn timeout() -> i32 {
    2
}

fn period() -> i32 {
    60
}

fn failures() -> i32 {
    3
}

fn successes() -> i32 {
    1
}

impl Default for Health {
    fn default() -> Self {
        Self {
            mode: HealthMode::default(),
            effect: HealthEffect::default(),
            withhold_after_seconds: withhold_after(),
            probe: None,
        }
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
        /// The operator also sends HTTP requests to the Pods of the Service.
        Probe,
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
