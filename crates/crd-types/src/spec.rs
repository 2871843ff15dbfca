//! The `ToolsetConfig` itself.

// Printer columns repeat their type; the lint takes that for a slip.
#![allow(clippy::duplicated_attributes)]

use detectors::Product;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{
    Baseline, Consumer, DetectorConfig, Health, Output, Override, Signature, Source, StaticTool, ToolsetConfigStatus,
    closed::closed,
};

/// What the agent's toolset is made from, and where it is written.
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
    doc = "A ToolsetConfig says which Services become tools of an AI operations agent, and keeps one ConfigMap in its own namespace, the agent's, that the agent loads.",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Tools", type_ = "integer", json_path = ".status.summary.tools"),
    printcolumn(name = "Unhealthy", type_ = "integer", json_path = ".status.summary.unhealthy"),
    printcolumn(name = "Rejected", type_ = "integer", json_path = ".status.summary.rejected"),
    printcolumn(name = "Output", type_ = "string", json_path = ".status.output.configMap"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode", priority = 1),
    printcolumn(name = "Hash", type_ = "string", json_path = ".status.output.hash", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "self.output.configMapName == oldSelf.output.configMapName",
    "output.configMapName cannot be changed; create another ToolsetConfig instead"
))]
pub struct ToolsetConfigSpec {
    /// Apply: the ConfigMap is written. Preview: it is left as it is; the status says what would be written. Suspended: as
    /// Preview, and the status of tools and the Events stop too.
    #[serde(default)]
    pub mode: Mode,
    /// Where Services are taken from. The first source that selects a Service decides how far it is trusted.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = ("self.all(a, self.exists_one(b, a.name == b.name))", "give every source a name of its own")
    )]
    pub sources: Vec<Source>,
    /// Which products are looked for. A type that is not listed is Enabled, except MCP, which is Disabled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 17))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub detectors: Vec<DetectorConfig>,
    /// Your own recognition rules; they go before the built-in ones and before annotations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub signatures: Vec<Signature>,
    /// When a tool counts as healthy, and what follows when it does not.
    #[serde(default)]
    pub health: Health,
    /// Exceptions to what was found, applied in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = ("self.all(a, self.exists_one(b, a.name == b.name))", "give every override a name of its own")
    )]
    pub overrides: Vec<Override>,
    /// Tools that are not discovered: outside the cluster, or run by somebody else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub tools: Vec<StaticTool>,
    /// The agent's built-in toolsets to switch on or off. kubernetes/core is on unless it is listed here as Disabled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub baseline: Vec<Baseline>,
    /// The ConfigMap that is written.
    #[serde(default)]
    pub output: Output,
    /// How the agent gets to know of a change.
    #[serde(default)]
    pub consumer: Consumer,
}

impl ToolsetConfigSpec {
    /// How a type is looked for: as the spec lists it, or as holds for one that is not listed.
    pub fn detector(&self, type_: Product) -> DetectorConfig {
        self.detectors
            .iter()
            .find(|detector| detector.type_ == type_)
            .cloned()
            .unwrap_or_else(|| DetectorConfig::unlisted(type_))
    }
}

closed! {
    /// Whether the output is written.
    #[derive(Default)]
    pub enum Mode {
        /// The ConfigMap is written.
        #[default]
        Apply,
        /// Plan and status, no ConfigMap.
        Preview,
        /// Neither, until further notice.
        Suspended,
    }
}
