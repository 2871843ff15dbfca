//! `spec.consumer`: how the agent learns about a change of the ConfigMap.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{closed::closed, detector::State, patterns, signature::PortRef};

/// Consumer specifies how the agent learns about a change of the ConfigMap, and whether the operator asks the agent what
/// it has loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "self.reload != 'RolloutRestart' || has(self.deploymentRef)",
        "deploymentRef is required when reload is RolloutRestart; set it to the Deployment of the agent"
    ),
    validation = (
        "self.observe != 'HolmesGPT' || has(self.serviceRef)",
        "serviceRef is required when observe is HolmesGPT; set it to the Service of the agent"
    )
)]
pub struct Consumer {
    /// revisionEntry specifies whether the file for HolmesGPT contains an entry whose name changes with the content of
    /// the file. HolmesGPT reads the file every few minutes, and it applies a change only if the set of entries
    /// changed. With Enabled, HolmesGPT applies every change without a restart, except new environment variables. With
    /// Disabled, most changes wait until HolmesGPT restarts.
    #[serde(default)]
    pub revision_entry: State,
    /// reload specifies whether the operator restarts the agent. With None, the operator does not restart it. With
    /// RolloutRestart, the operator restarts the agent's Deployment after a change that restartOn selects.
    #[serde(default)]
    pub reload: Reload,
    /// restartOn specifies which changes restart the agent. With EnvironmentOnly, the operator restarts the agent only
    /// when the file names an environment variable for the first time. With AnyChange, every change of the file
    /// restarts the agent. The default is EnvironmentOnly if revisionEntry is Enabled, and AnyChange otherwise. For the
    /// format Environment, every change restarts the Deployment, and restartOn has no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_on: Option<RestartOn>,
    /// deploymentRef refers to the agent's Deployment. The Deployment must be in the namespace of the ToolsetConfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_ref: Option<DeploymentRef>,
    /// minIntervalSeconds is the minimum time between two restarts, in seconds.
    #[serde(default = "min_interval")]
    #[schemars(range(min = 1, max = 86_400))]
    pub min_interval_seconds: i32,
    /// observe specifies whether the operator asks the agent what it has loaded. With None, the operator does not ask.
    /// With HolmesGPT, the operator asks every replica of HolmesGPT 0.45.0 or later after a change, and reports the
    /// answers in status.agent and in the condition AgentLoaded.
    #[serde(default)]
    pub observe: Observe,
    /// serviceRef refers to the agent's Service. The value agents of the Helm chart must name the same Service and port
    /// for this ToolsetConfig. The operator asks no other Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ref: Option<AgentServiceRef>,
    /// agentVersion is the version of the agent, for example 0.45.0. It is needed only if the tag of the agent's image
    /// does not show the version, for example because the image is specified by its digest.
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
        /// The file names an environment variable for the first time.
        EnvironmentOnly,
        /// Every change of the file.
        AnyChange,
    }
}

closed! {
    /// Whether the operator asks the agent what it has loaded.
    #[derive(Default)]
    pub enum Observe {
        /// The operator does not ask.
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
    /// port is the name or the number of a port of the Service. The default is 80.
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
