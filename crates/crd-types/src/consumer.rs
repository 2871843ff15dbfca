//! `spec.consumer`: how changes of the ConfigMap reach the agent.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{closed::closed, detector::State, patterns, signature::PortRef};

/// Consumer specifies how changes of the ConfigMap reach the agent, and whether the operator asks the agent what it has
/// loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "self.reload != 'RolloutRestart' || has(self.deploymentRef)",
        "deploymentRef is required when reload is RolloutRestart; set it to the agent's Deployment"
    ),
    validation = (
        "self.observe != 'HolmesGPT' || has(self.serviceRef)",
        "serviceRef is required when observe is HolmesGPT; set it to the agent's Service"
    )
)]
pub struct Consumer {
    /// revisionEntry specifies whether the file for HolmesGPT contains an entry whose name changes with the content of
    /// the file. HolmesGPT reads the file every few minutes, but applies it only if the set of entries has changed.
    /// Enabled lets HolmesGPT apply every change without a restart, except new environment variables. Disabled delays
    /// most changes until HolmesGPT restarts.
    #[serde(default)]
    pub revision_entry: State,
    /// reload specifies whether the operator restarts the agent. None never restarts it. RolloutRestart restarts the
    /// agent's Deployment after the changes that restartOn specifies.
    #[serde(default)]
    pub reload: Reload,
    /// restartOn specifies which changes restart the agent. EnvironmentOnly restarts the agent only when the file
    /// refers to a new environment variable. AnyChange restarts the agent after every change of the file. Defaults to
    /// EnvironmentOnly if revisionEntry is Enabled, and to AnyChange otherwise. With the format Environment, every
    /// change restarts the Deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_on: Option<RestartOn>,
    /// deploymentRef refers to the agent's Deployment, in the namespace of the ToolsetConfig. Required when reload is
    /// RolloutRestart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_ref: Option<DeploymentRef>,
    /// minIntervalSeconds is the minimum time between two restarts, in seconds.
    #[serde(default = "min_interval")]
    #[schemars(range(min = 1, max = 86_400))]
    pub min_interval_seconds: i32,
    /// observe specifies whether the operator asks the agent what it has loaded. None disables this. HolmesGPT makes
    /// the operator ask every replica of HolmesGPT 0.45.0 or later after a change, and report the answers in
    /// status.agent and in the condition AgentLoaded.
    #[serde(default)]
    pub observe: Observe,
    /// serviceRef refers to the agent's Service. Required when observe is HolmesGPT. The Helm value agents must list
    /// the same Service and port for this ToolsetConfig. The operator sends requests to no other Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ref: Option<AgentServiceRef>,
    /// agentVersion is the version of the agent, for example 0.45.0. Set it only if the tag of the agent's image does
    /// not contain the version, for example because the image is pinned by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::VERSION))]
    pub agent_version: Option<String>,
}

impl Consumer {
    /// Whether the operator restarts or observes the agent.
    pub fn follows_agent(&self) -> bool {
        self.reload != Reload::None || self.observe != Observe::None
    }
}

impl Default for Consumer {
    fn default() -> Self {
        Self {
            revision_entry: State::default(),
            reload: Reload::default(),
            restart_on: None,
            deployment_ref: None,
            min_interval_seconds: min_interval(),
            observe: Observe::default(),
            service_ref: None,
            agent_version: None,
        }
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

closed! {
    /// Which changes restart the agent.
    pub enum RestartOn {
        /// The file refers to a new environment variable.
        EnvironmentOnly,
        /// Every change of the file.
        AnyChange,
    }
}

closed! {
    /// Whether the operator asks the agent what it has loaded.
    #[derive(Default)]
    pub enum Observe {
        /// The operator does not ask the agent.
        #[default]
        None,
        /// The operator asks `HolmesGPT`.
        HolmesGPT,
    }
}

/// AgentServiceRef refers to a port of a Service in the namespace of the ToolsetConfig.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentServiceRef {
    /// name is the name of the Service.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub name: String,
    /// port is the name or the number of a port of the Service. Defaults to 80.
    #[serde(default = "agent_port")]
    pub port: PortRef,
}

fn agent_port() -> PortRef {
    PortRef::Number(80)
}

/// DeploymentRef refers to a Deployment in the namespace of the ToolsetConfig.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRef {
    /// name is the name of the Deployment.
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::SUBDOMAIN))]
    pub name: String,
}
