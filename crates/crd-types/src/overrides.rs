//! `spec.overrides`: changes to the tools that the operator discovered.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use detectors::{Product, Scheme};

use crate::{
    closed::{ProductSchema, SchemeSchema},
    connection::{Credentials, Settings},
    detector::State,
    patterns,
    signature::PortRef,
};

/// Override changes the tools that it matches. Overrides apply in order. If two overrides set the same field, the later
/// one takes precedence. Lists are replaced and not merged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!has(self.credentials) || has(self.match.__namespace__) && has(self.match.service)",
    "credentials require match.namespace and match.service, because credentials must go to exactly one Service; set both fields"
))]
pub struct Override {
    /// name identifies this override. It must be unique.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub name: String,
    /// match selects the tools that this override changes. A tool must match every field that is set.
    #[serde(rename = "match")]
    pub match_: OverrideMatch,
    /// state specifies whether the matching tools are in the output. Disabled removes the matching tools. Enabled
    /// reverts an earlier override that disabled them, and does nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// toolName is the name of the tool in the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = patterns::TOOL_NAME))]
    pub tool_name: Option<String>,
    /// description describes the tool to the model. It must be a single line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = patterns::LINE)]
    pub description: Option<String>,
    /// instructions tell the model how to use the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    #[x_kube(validation = patterns::TEXT)]
    pub instructions: Option<String>,
    /// endpoint changes the scheme, the port or the path of the tool's endpoint. The host cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointAdjustment>,
    /// credentials specify how the agent authenticates to the tool. They require match.namespace and match.service. The
    /// operator never gives credentials to a Service of a Tenant source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// tenantID is the tenant whose data the agent queries. The agent sends it in the X-Scope-OrgID header. The value
    /// is used as it is, and is not the name of an environment variable.
    #[serde(default, rename = "tenantID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = patterns::TENANT_ID))]
    pub tenant_id: Option<String>,
    /// settings specify how the agent calls the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
}

/// OverrideMatch selects tools. A tool must match every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "has(self.type) || has(self.__namespace__) || has(self.service) || has(self.customType)",
        "match is empty; set at least one of type, namespace, service and customType"
    ),
    validation = (
        "!has(self.customType) || !has(self.type) || self.type == 'Custom'",
        "customType may only be set when type is Custom; remove customType or set type to Custom"
    ),
)]
pub struct OverrideMatch {
    /// type matches the tools of this type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ProductSchema>")]
    pub type_: Option<Product>,
    /// namespace matches the tools whose Service is in this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub namespace: Option<String>,
    /// service matches the tools whose Service has this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub service: Option<String>,
    /// customType matches the tools of this custom type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = patterns::CUSTOM_TYPE))]
    pub custom_type: Option<String>,
}

/// EndpointAdjustment changes the computed endpoint of a tool. The host cannot be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointAdjustment {
    /// scheme is the URL scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<SchemeSchema>")]
    pub scheme: Option<Scheme>,
    /// port is the name or the number of a port that the Service declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PortRef>,
    /// path is the path prefix of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 129), regex(pattern = patterns::PATH))]
    #[x_kube(validation = patterns::PLAIN_PATH)]
    pub path: Option<String>,
}
