//! `spec.consumer`: how the agent gets to know of a change.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{closed::closed, patterns};

/// How the agent gets to know of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "self.reload != 'RolloutRestart' || has(self.deploymentRef)",
    "reload: RolloutRestart needs deploymentRef, the agent's Deployment"
))]
pub struct Consumer {
    /// None: the agent is left alone. RolloutRestart: its Deployment is restarted when the HolmesGPT file changed.
    #[serde(default)]
    pub reload: Reload,
    /// The agent's Deployment, in the ToolsetConfig's own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_ref: Option<DeploymentRef>,
    /// At least this many seconds between two restarts.
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
    /// How the agent is made to read its file again.
    #[derive(Default)]
    pub enum Reload {
        /// It is left alone.
        #[default]
        None,
        /// Its Deployment is restarted.
        RolloutRestart,
    }
}

/// A Deployment of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::SUBDOMAIN))]
    pub name: String,
}
