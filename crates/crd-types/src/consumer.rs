//! `spec.consumer`: how the agent learns about a change of the ConfigMap.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{closed::closed, patterns};

/// Consumer specifies how the agent learns about a change of the ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "self.reload != 'RolloutRestart' || has(self.deploymentRef)",
    "deploymentRef is required when reload is RolloutRestart; set it to the Deployment of the agent"
))]
pub struct Consumer {
    /// reload specifies whether the operator restarts the agent. With None, the operator does not restart it. With
    /// RolloutRestart, the operator restarts the agent's Deployment after the file for HolmesGPT has changed.
    #[serde(default)]
    pub reload: Reload,
    /// deploymentRef refers to the agent's Deployment. The Deployment must be in the namespace of the ToolsetConfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_ref: Option<DeploymentRef>,
    /// minIntervalSeconds is the minimum time between two restarts, in seconds.
    #[serde(default = "min_interval")]
    #[schemars(range(min = 1, max = 86_400))]
    pub min_interval_seconds: i32,
}

impl Default for Consumer {
    fn default() -> Self {
        Self { reload: Reload::default(), deployment_ref: None, min_interval_seconds: min_interval() }
    }
}

fn min_interval() -> i32 {
    300
}

closed! {
    /// Whether the operator restarts the agent after a change.
    #[derive(Default)]
    pub enum Reload {
        /// The operator does not restart the agent.
        #[default]
        None,
        /// The operator restarts the agent's Deployment.
        RolloutRestart,
    }
}

/// DeploymentRef refers to a Deployment in the namespace of the ToolsetConfig.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRef {
    /// name is the name of the Deployment.
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::SUBDOMAIN))]
    pub name: String,
}
