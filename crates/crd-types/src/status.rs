//! `status`: what the operator makes of the spec.
//!
//! Names from closed lists (reasons, health, types) are plain strings here: after a downgrade the operator must still be
//! able to read a status that a newer one wrote. What is empty is left out.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What the operator makes of the spec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolsetConfigStatus {
    /// The metadata.generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready sums up; InputsSynced, OutputApplied, OverridesApplied and ConsumerReloaded say which part is the matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// Counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Counts per type; only types with a candidate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub detectors: Vec<DetectorSummary>,
    /// The tools, sorted; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub tools: Vec<ToolStatus>,
    /// The candidates that did not become tools, sorted; at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub rejected: Vec<RejectedStatus>,
    /// Whether tools or rejected were cut.
    #[serde(default)]
    pub truncated: bool,
    /// What was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputStatus>,
}

/// Counts over all sources. A candidate is a Service inside a source for which anything at all spoke.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Services for which a detector, a signature or an annotation spoke.
    #[serde(default)]
    pub candidates: i32,
    /// Tools in the output.
    #[serde(default)]
    pub tools: i32,
    /// Tools without a usable endpoint, in the output or withheld from it.
    #[serde(default)]
    pub unhealthy: i32,
    /// Candidates that did not become tools.
    #[serde(default)]
    pub rejected: i32,
}

/// Counts of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetectorSummary {
    /// The type.
    #[serde(rename = "type")]
    #[schemars(length(max = 63))]
    pub type_: String,
    /// Its candidates.
    #[serde(default)]
    pub candidates: i32,
    /// Its tools.
    #[serde(default)]
    pub tools: i32,
}

/// One tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolStatus {
    /// The name the agent sees.
    #[schemars(length(max = 253))]
    pub name: String,
    /// What it speaks; for a custom one the customType.
    #[serde(rename = "type")]
    #[schemars(length(max = 63))]
    pub type_: String,
    /// The Service's namespace; absent for spec.tools.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The Service's name; absent for spec.tools.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub service: String,
    /// The URL that the agent calls.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub endpoint: String,
    /// The source that selected it; absent for spec.tools.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub source: String,
    /// High, Medium or Low.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub confidence: String,
    /// Healthy, Unhealthy or Unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub health: String,
    /// Selected, or what is to be said about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub reason: String,
}

/// One candidate that did not become a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RejectedStatus {
    /// The Service's namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The Service's name.
    #[schemars(length(max = 63))]
    pub service: String,
    /// What it would have been.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub type_: String,
    /// Why it is none.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// The same in words, with what would change it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 2048))]
    pub message: String,
}

/// What was last written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputStatus {
    /// The ConfigMap's name.
    #[schemars(length(max = 253))]
    pub config_map: String,
    /// A hash over its generated keys.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub hash: String,
    /// Their size.
    #[serde(default)]
    pub bytes: i64,
    /// How many tools it holds.
    #[serde(default)]
    pub entries: i32,
    /// When its content last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change_time: Option<Time>,
}

/// A list of `metav1.Condition` by type, with the bounds that Kubernetes' own types carry.
fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "description": "Ready, InputsSynced, OutputApplied, OverridesApplied or ConsumerReloaded.",
                    "type": "string",
                    "maxLength": 316,
                },
                "status": {"description": "True, False or Unknown.", "type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": {
                    "description": "One word for machines.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {"description": "The same for people.", "type": "string", "maxLength": 32768},
                "lastTransitionTime": {"description": "When the status last changed.", "type": "string", "format": "date-time"},
                "observedGeneration": {
                    "description": "The metadata.generation that this is about.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
            },
        },
    })
}
