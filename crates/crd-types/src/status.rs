//! `status`: the observed state of a ToolsetConfig.
//!
//! Reasons, health and types are strings here, because an older operator must be able to read a status that a newer
//! operator wrote before a downgrade. Empty fields are left out.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// ToolsetConfigStatus is the observed state of a ToolsetConfig.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolsetConfigStatus {
    /// observedGeneration is the metadata.generation that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// conditions are the observations of the current state. Ready shows whether the ConfigMap is up to date.
    /// InputsSynced, OutputApplied, OverridesApplied, ConsumerReloaded and AgentLoaded show which part has a problem.
    /// The last three do not change Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// summary counts candidates and tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// detectors counts candidates and tools per type. A type without candidates and without tools is not listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub detectors: Vec<DetectorSummary>,
    /// tools lists at most 100 tools, sorted by namespace and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub tools: Vec<ToolStatus>,
    /// rejected lists at most 50 candidates that are not tools, sorted by namespace and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub rejected: Vec<RejectedStatus>,
    /// truncated is true if tools or rejected is incomplete, because there are more entries than the limit.
    #[serde(default)]
    pub truncated: bool,
    /// output describes the ConfigMap as the operator last wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputStatus>,
    /// agent describes what the running agent has loaded. It is set only if spec.consumer.observe is HolmesGPT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentStatus>,
}

/// Summary counts candidates and tools. A candidate is a Service in a source that a detector, a signature or an
/// annotation recognises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// candidates is the number of candidates.
    #[serde(default)]
    pub candidates: i32,
    /// tools is the number of tools in the plan.
    #[serde(default)]
    pub tools: i32,
    /// unhealthy is the number of tools without a usable endpoint. It includes the tools that are withheld from the
    /// output.
    #[serde(default)]
    pub unhealthy: i32,
    /// rejected is the number of candidates that are not tools for another reason than their health.
    #[serde(default)]
    pub rejected: i32,
}

/// DetectorSummary counts the candidates and the tools of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetectorSummary {
    /// type is the type that is counted.
    #[serde(rename = "type")]
    #[schemars(length(max = 63))]
    pub type_: String,
    /// candidates is the number of candidates of this type.
    #[serde(default)]
    pub candidates: i32,
    /// tools is the number of tools of this type.
    #[serde(default)]
    pub tools: i32,
}

/// ToolStatus describes one tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolStatus {
    /// name is the name of the tool in the agent.
    #[schemars(length(max = 253))]
    pub name: String,
    /// type is the type of the tool. For a tool of type Custom it is the customType.
    #[serde(rename = "type")]
    #[schemars(length(max = 63))]
    pub type_: String,
    /// namespace is the namespace of the Service. It is empty for an entry of spec.tools.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// service is the name of the Service. It is empty for an entry of spec.tools.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub service: String,
    /// endpoint is the URL that the agent calls.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub endpoint: String,
    /// source is the name of the source that selected the Service. It is empty for an entry of spec.tools.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub source: String,
    /// confidence is High, Medium or Low.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub confidence: String,
    /// evidence is the evidence that decided, for example label app.kubernetes.io/name=grafana. It is empty for an entry
    /// of spec.tools.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub evidence: String,
    /// fromPods lists the parts of the entry that only the Pods of the Service show: Product, Port, Scheme and Path. While
    /// the operator cannot read the Pods, these parts stay as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub from_pods: Vec<String>,
    /// health is Healthy, Unhealthy or Unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub health: String,
    /// reason is Selected, or the reason of a problem that the tool has.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub reason: String,
}

/// RejectedStatus describes a candidate that is not a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RejectedStatus {
    /// namespace is the namespace of the Service.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// service is the name of the Service.
    #[schemars(length(max = 63))]
    pub service: String,
    /// type is the type that the Service was recognised as. It is empty if the type is unknown.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub type_: String,
    /// reason is the machine-readable reason.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// message explains the reason and what you can do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 2048))]
    pub message: String,
}

/// OutputStatus describes the ConfigMap as the operator last wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputStatus {
    /// configMap is the name of the ConfigMap.
    #[schemars(length(max = 253))]
    pub config_map: String,
    /// hash is a hash of the generated keys.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub hash: String,
    /// bytes is the size of the generated keys in bytes.
    #[serde(default)]
    pub bytes: i64,
    /// entries is the number of tools in the ConfigMap.
    #[serde(default)]
    pub entries: i32,
    /// lastChangeTime is the last time the generated keys changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change_time: Option<Time>,
}

/// AgentStatus describes what the running agent has loaded, as its replicas last answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// version is the version of the agent. If replicas have different versions, this is the lowest one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub version: String,
    /// revision is the revision of the ConfigMap that the replicas should have loaded. The ConfigMap contains it as the
    /// entry discovered-revision-<revision>.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub revision: String,
    /// replicas is the number of replicas of the agent that the operator knows.
    #[serde(default)]
    pub replicas: i32,
    /// current is the number of replicas that have loaded the revision.
    #[serde(default)]
    pub current: i32,
    /// loaded shows current and replicas in one text, for example 3/3.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub loaded: String,
    /// toolsets lists at most 50 entries that the operator wrote and that are not enabled in a replica, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub toolsets: Vec<AgentToolsetStatus>,
}

/// AgentToolsetStatus describes an entry of the ConfigMap in the agent. If replicas differ, it describes the worst one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentToolsetStatus {
    /// name is the name of the entry.
    #[schemars(length(max = 253))]
    pub name: String,
    /// status is failed, disabled, missing if the replica does not list the entry, or unknown if the replica reports
    /// another state.
    #[schemars(length(max = 63))]
    pub status: String,
    /// toolCount is the number of tools that the entry has in the agent.
    #[serde(default)]
    pub tool_count: i32,
}

/// A list of `metav1.Condition` with the type as its key, and with the same bounds as in Kubernetes' own types.
fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "description": "Condition contains details about one aspect of the current state of this ToolsetConfig.",
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "description": "type of condition: Ready, InputsSynced, OutputApplied, OverridesApplied, ConsumerReloaded or AgentLoaded.",
                    "type": "string",
                    "maxLength": 316,
                },
                "status": {"description": "status of the condition, one of True, False, Unknown.", "type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": {
                    "description": "reason is the machine-readable reason for the last transition of the condition.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {"description": "message is a human-readable message with details about the condition.", "type": "string", "maxLength": 32768},
                "lastTransitionTime": {"description": "lastTransitionTime is the last time the condition transitioned from one status to another.", "type": "string", "format": "date-time"},
                "observedGeneration": {
                    "description": "observedGeneration is the metadata.generation that the condition was set for.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
            },
        },
    })
}
