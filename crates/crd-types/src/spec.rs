//! The `ToolsetConfig` and its spec.

#![allow(
    clippy::duplicated_attributes,
    reason = "the lint takes the repeated types of the printer columns for a mistake"
)]

use detectors::Product;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{
    closed::closed,
    consumer::{Consumer, RestartOn},
    detector::{DetectorConfig, State},
    evidence::Evidence,
    health::{Health, HealthEffect},
    output::{Output, OutputFormat},
    overrides::Override,
    signature::Signature,
    source::Source,
    status::ToolsetConfigStatus,
    tools::{Baseline, StaticTool},
};

/// ToolsetConfigSpec specifies which Services become tools and where the operator writes them.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "toolset.kubernaut.io",
    version = "v1alpha1",
    kind = "ToolsetConfig",
    plural = "toolsetconfigs",
    shortname = "tsc",
    category = "kubernaut",
    namespaced,
    status = "ToolsetConfigStatus",
    derive = "PartialEq",
    doc = "ToolsetConfig specifies which Services an AI operations agent can use as tools. The operator writes the tools to a ConfigMap in the namespace of the ToolsetConfig, and the agent loads that ConfigMap. A Pod can mount only ConfigMaps from its own namespace, so create the ToolsetConfig in the agent's namespace.",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Tools", type_ = "integer", json_path = ".status.summary.tools"),
    printcolumn(name = "Unhealthy", type_ = "integer", json_path = ".status.summary.unhealthy"),
    printcolumn(name = "Rejected", type_ = "integer", json_path = ".status.summary.rejected"),
    printcolumn(name = "Agent", type_ = "string", json_path = ".status.agent.loaded"),
    printcolumn(name = "Output", type_ = "string", json_path = ".status.output.configMap"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode", priority = 1),
    printcolumn(name = "Hash", type_ = "string", json_path = ".status.output.hash", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "self.output.configMapName == oldSelf.output.configMapName",
        "output.configMapName is immutable; to use another name, create another ToolsetConfig"
    ),
    validation = (
        "!('Environment' in self.output.formats || 'GrafanaDatasources' in self.output.formats) || !(has(self.output.base) || has(self.baseline) || self.consumer.observe != 'None')",
        "output.base, baseline and consumer.observe are not supported with the formats Environment and GrafanaDatasources; remove them"
    ),
    validation = (
        "!('GrafanaDatasources' in self.output.formats) || self.consumer.reload == 'None'",
        "consumer.reload is not supported with the format GrafanaDatasources, because Grafana's sidecar reloads the file; remove it"
    ),
    validation = (
        "!('Environment' in self.output.formats || 'GrafanaDatasources' in self.output.formats) || !(has(self.consumer.serviceRef) || has(self.consumer.agentVersion) || self.consumer.revisionEntry != 'Enabled')",
        "consumer.serviceRef, consumer.agentVersion and consumer.revisionEntry are not supported with the formats Environment and GrafanaDatasources; remove them"
    ),
    validation = (
        "!('GrafanaDatasources' in self.output.formats) || !(has(self.consumer.deploymentRef) || has(self.consumer.restartOn))",
        "consumer.deploymentRef and consumer.restartOn are not supported with the format GrafanaDatasources; remove them"
    ),
    validation = (
        "!('Environment' in self.output.formats) || !has(self.consumer.restartOn) || self.consumer.restartOn == 'AnyChange'",
        "consumer.restartOn must be AnyChange with the format Environment, because a Pod reads its environment variables only when it starts"
    ),
    validation = (
        "'GrafanaDatasources' in self.output.formats || !(has(self.overrides) && self.overrides.exists(one, has(one.settings) && has(one.settings.index)) || has(self.tools) && self.tools.exists(one, has(one.settings) && has(one.settings.index)))",
        "settings.index is supported only with the format GrafanaDatasources; remove it"
    )
)]
pub struct ToolsetConfigSpec {
    /// mode specifies whether the operator writes the ConfigMap. Apply keeps the ConfigMap up to date. Preview leaves
    /// the ConfigMap unchanged, and the status shows the tools that the operator would write. Suspended leaves the
    /// ConfigMap and the tools in the status unchanged, and the operator reports no Events about Services.
    #[serde(default)]
    pub mode: Mode,
    /// sources specifies which Services the operator considers, and how much it trusts them. If several sources select
    /// a Service, the first one applies.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = ("self.all(a, self.exists_one(b, a.name == b.name))", "source names must be unique; rename one of the sources")
    )]
    pub sources: Vec<Source>,
    /// detectors configures the detection of products. Products that are not listed are Enabled, except MCP, which is
    /// Disabled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 17))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub detectors: Vec<DetectorConfig>,
    /// signatures lists custom recognition rules. They take precedence over annotations and over the built-in rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub signatures: Vec<Signature>,
    /// evidence specifies what the operator reads in addition to Services to recognise a product.
    #[serde(default)]
    pub evidence: Evidence,
    /// health specifies when a tool is healthy and what happens to an unhealthy tool.
    #[serde(default)]
    pub health: Health,
    /// overrides lists changes to discovered tools. Overrides apply in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = ("self.all(a, self.exists_one(b, a.name == b.name))", "override names must be unique; rename one of the overrides")
    )]
    pub overrides: Vec<Override>,
    /// tools lists tools that the operator does not discover, for example tools outside the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub tools: Vec<StaticTool>,
    /// baseline enables or disables built-in toolsets of the agent. kubernetes/core is Enabled unless it is listed here
    /// as Disabled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub baseline: Vec<Baseline>,
    /// output specifies the ConfigMap that the operator writes.
    #[serde(default)]
    pub output: Output,
    /// consumer specifies how changes of the ConfigMap reach the agent.
    #[serde(default)]
    pub consumer: Consumer,
}

impl ToolsetConfigSpec {
    /// Which changes restart the agent if `consumer.reload` is RolloutRestart. A Pod reads environment variables only
    /// when it starts, so every change in the format Environment requires a restart.
    pub fn restart_on(&self) -> RestartOn {
        if self.output.writes(OutputFormat::Environment) {
            return RestartOn::AnyChange;
        }
        self.consumer.restart_on.unwrap_or(match self.consumer.revision_entry {
            State::Enabled => RestartOn::EnvironmentOnly,
            State::Disabled => RestartOn::AnyChange,
        })
    }

    /// What happens to an unhealthy tool. In Grafana it stays, because an outage must not delete the data source that
    /// dashboards refer to.
    pub fn health_effect(&self) -> HealthEffect {
        if self.output.writes(OutputFormat::GrafanaDatasources) { HealthEffect::Report } else { self.health.effect }
    }

    /// The configuration of a detector. A type that the spec does not list has the default configuration.
    pub fn detector(&self, type_: Product) -> DetectorConfig {
        self.detectors
            .iter()
            .find(|detector| detector.type_ == type_)
            .cloned()
            .unwrap_or_else(|| DetectorConfig::unlisted(type_))
    }
}

closed! {
    /// Whether the operator writes the ConfigMap.
    #[derive(Default)]
    pub enum Mode {
        /// The operator plans and writes.
        #[default]
        Apply,
        /// The operator plans and updates the status, but does not write the ConfigMap.
        Preview,
        /// The operator neither plans nor writes the ConfigMap.
        Suspended,
    }
}
