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
    /// observedGeneration is the metadata.generation that this status was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// conditions describe the current state. Ready is the summary: it shows whether the ConfigMap is up to date.
    /// InputsSynced, OutputApplied, OverridesApplied, ConsumerReloaded and AgentLoaded identify the failing part.
    /// OverridesApplied, ConsumerReloaded and AgentLoaded do not affect Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// summary contains the numbers of candidates and tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// detectors contains the numbers of candidates and tools per type. Types without candidates and tools are omitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub detectors: Vec<DetectorSummary>,
    /// tools lists up to 100 tools, sorted by namespace and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub tools: Vec<ToolStatus>,
    /// rejected lists up to 50 candidates that are not tools, sorted by namespace and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub rejected: Vec<RejectedStatus>,
    /// truncated is true if tools or rejected is incomplete because there are too many entries.
    #[serde(default)]
    pub truncated: bool,
    /// output describes the ConfigMap as the operator last wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputStatus>,
    /// agent describes what the running agent has loaded. Set only if spec.consumer.observe is HolmesGPT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentStatus>,
}

/// Summary contains the numbers of candidates and tools. A candidate is a Service in a source that a detector, a
/// signature or an annotation recognises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// candidates is the number of candidates.
    #[serde(default)]
    pub candidates: i32,
    /// tools is the number of tools, including unhealthy ones.
    #[serde(default)]
    pub tools: i32,
    /// unhealthy is the number of tools that are unhealthy, and of tools that are withheld from the output because they
    /// have not been probed yet or cannot be reached.
    #[serde(default)]
    pub unhealthy: i32,
    /// rejected is the number of candidates that are not tools for a reason other than their health.
    #[serde(default)]
    pub rejected: i32,
}

/// DetectorSummary contains the numbers of candidates and tools of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetectorSummary {
    /// type is the type that the numbers are for.
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
    /// type is the type of the tool. For a tool of type Custom, it is the customType.
    #[serde(rename = "type")]
    #[schemars(length(max = 63))]
    pub type_: String,
    /// namespace is the namespace of the Service. Empty for an entry of spec.tools.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// service is the name of the Service. Empty for an entry of spec.tools.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub service: String,
    /// endpoint is the URL that the agent calls.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub endpoint: String,
    /// source is the name of the source that selected the Service. Empty for an entry of spec.tools.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub source: String,
    /// confidence is High, Medium or Low.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub confidence: String,
    /// evidence is the decisive evidence, for example label app.kubernetes.io/name=grafana. Empty for an entry of
    /// spec.tools.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub evidence: String,
    /// fromPods lists the parts of the tool that are known only from the Pods of the Service: Product, Port, Scheme and
    /// Path. If the operator cannot read the Pods, it keeps the last known values of these parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub from_pods: Vec<String>,
    /// fromIdentity lists the parts of the tool that are known only from an identity probe: Product, Scheme and Path.
    /// If a later identity probe proves nothing, the operator keeps the last known values of these parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub from_identity: Vec<String>,
    /// identity describes the last identity probe of the Service: the requests, and the result or the class of the
    /// response. If the operator must not call the Pods of the Service, it says why no identity probe was sent. Empty if
    /// an identity probe is not necessary.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 2048))]
    pub identity: String,
    /// probe describes why the health probes of the Service fail, or why the operator sends none. Empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 2048))]
    pub probe: String,
    /// health is Healthy, Unhealthy or Unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub health: String,
    /// reason is Selected, or the reason for a problem with the tool.
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
    /// type is the type that the Service was recognised as. Empty if the type is unknown.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub type_: String,
    /// reason is a machine-readable reason.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// message is a human-readable explanation of the reason, and describes how to resolve it.
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
    /// lastChangeTime is the last time that the generated keys changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change_time: Option<Time>,
}

/// AgentStatus describes what the running agent has loaded, according to the last answers of its replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// version is the version of the agent. If the replicas have different versions, it is the lowest one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub version: String,
    /// revision is the revision of the ConfigMap that the replicas should have loaded. In the ConfigMap, it is part of
    /// the name of the entry discovered-revision-<revision>.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub revision: String,
    /// replicas is the number of known replicas of the agent.
    #[serde(default)]
    pub replicas: i32,
    /// current is the number of replicas that have loaded the revision.
    #[serde(default)]
    pub current: i32,
    /// loaded is the number of current replicas out of all replicas, for example 3/3.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub loaded: String,
    /// toolsets lists up to 50 entries of the ConfigMap that are not enabled in at least one replica, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub toolsets: Vec<AgentToolsetStatus>,
}

/// AgentToolsetStatus describes an entry of the ConfigMap in the agent. If the replicas differ, it describes the worst
/// state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentToolsetStatus {
    /// name is the name of the entry.
    #[schemars(length(max = 253))]
    pub name: String,
    /// status is failed, disabled, missing or unknown. missing means that a replica does not list the entry. unknown
    /// means that a replica reports a state that the operator does not know.
    #[schemars(length(max = 63))]
    pub status: String,
    /// toolCount is the number of tools that the agent provides for the entry.
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
            "description": "Condition contains details for one aspect of the current state of this ToolsetConfig.",
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "description": "type is the type of the condition: Ready, InputsSynced, OutputApplied, OverridesApplied, ConsumerReloaded or AgentLoaded.",
                    "type": "string",
                    "maxLength": 316,
                },
                "status": {"description": "status is the status of the condition, one of True, False, Unknown.", "type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": {
                    "description": "reason is a machine-readable reason for the status of the condition.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {"description": "message is a human-readable explanation of the status.", "type": "string", "maxLength": 32768},
                "lastTransitionTime": {"description": "lastTransitionTime is the last time that the status of the condition changed.", "type": "string", "format": "date-time"},
                "observedGeneration": {
                    "description": "observedGeneration is the metadata.generation that the condition was computed from.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
            },
        },
    })
}
