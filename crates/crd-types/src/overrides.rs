//! `spec.overrides`: exceptions to what was found.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Credentials, PortRef, Settings, State,
    closed::{ProductSchema, SchemeSchema},
    patterns,
};
use detectors::{Product, Scheme};

/// One exception. Overrides apply in order; a later one wins field by field, and lists are replaced whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!has(self.credentials) || has(self.match.__namespace__) && has(self.match.service)",
    "credentials go to one named Service: give match.namespace and match.service"
))]
pub struct Override {
    /// Names this override. Unique.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub name: String,
    /// Which tools are meant. Every field given must match.
    #[serde(rename = "match")]
    pub match_: OverrideMatch,
    /// Disabled removes the tool; Enabled only undoes an earlier Disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The name the agent sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = patterns::TOOL_NAME))]
    pub tool_name: Option<String>,
    /// What the agent is told the tool is, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = patterns::LINE)]
    pub description: Option<String>,
    /// What the agent should know to use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    #[x_kube(validation = patterns::TEXT)]
    pub instructions: Option<String>,
    /// Changes how the Service is called, never its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointAdjustment>,
    /// How the agent authenticates. Needs match.namespace and match.service; withheld from a Service of a Tenant source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// The tenant to ask as, sent as X-Scope-OrgID. A literal, not a variable.
    #[serde(default, rename = "tenantID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = patterns::TENANT_ID))]
    pub tenant_id: Option<String>,
    /// How the agent calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
}

/// Which tools an override is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "has(self.type) || has(self.__namespace__) || has(self.service) || has(self.customType)",
        "say which tools are meant: give at least one of type, namespace, service and customType"
    ),
    validation = (
        "!has(self.customType) || !has(self.type) || self.type == 'Custom'",
        "customType belongs to type Custom; remove it or set type to Custom"
    ),
)]
pub struct OverrideMatch {
    /// Tools of this type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ProductSchema>")]
    pub type_: Option<Product>,
    /// Tools from this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub namespace: Option<String>,
    /// Tools from Services of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub service: Option<String>,
    /// Tools of this customType.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = patterns::CUSTOM_TYPE))]
    pub custom_type: Option<String>,
}

/// Changes to a computed endpoint. The host is never among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointAdjustment {
    /// The scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<SchemeSchema>")]
    pub scheme: Option<Scheme>,
    /// The port, by name or number. The Service must declare it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PortRef>,
    /// The path prefix of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 129), regex(pattern = patterns::PATH))]
    #[x_kube(validation = patterns::PLAIN_PATH)]
    pub path: Option<String>,
}
