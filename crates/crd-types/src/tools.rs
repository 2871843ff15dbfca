//! `spec.tools` and `spec.baseline`: entries that are not discovered.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{Credentials, Settings, State, closed::ProductSchema, patterns};
use detectors::Product;

/// A tool that is not discovered: outside the cluster, or a service that somebody else runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.type != 'Custom' || has(self.customType)", "type Custom needs a customType"),
    validation = ("self.type == 'Custom' || !has(self.customType)", "customType belongs to type Custom; remove it or set type to Custom"),
)]
pub struct StaticTool {
    /// The name the agent sees. Unique.
    #[schemars(length(min = 1, max = 40), regex(pattern = patterns::TOOL_NAME))]
    pub name: String,
    /// What it speaks, or Custom with customType.
    #[serde(rename = "type")]
    #[schemars(with = "ProductSchema")]
    pub type_: Product,
    /// With type Custom: your name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = patterns::CUSTOM_TYPE))]
    pub custom_type: Option<String>,
    /// Its URL: http or https, a host, perhaps a port and a path; no user, query or fragment.
    #[schemars(length(min = 1, max = 512), regex(pattern = patterns::URL))]
    #[x_kube(validation = patterns::PLAIN_URL_PATH, validation = patterns::PLAIN_ADDRESS)]
    pub endpoint: String,
    /// How the agent authenticates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
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
    /// The tenant to ask as, sent as X-Scope-OrgID. A literal, not a variable.
    #[serde(default, rename = "tenantID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = patterns::TENANT_ID))]
    pub tenant_id: Option<String>,
    /// How the agent calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
}

/// One of the agent's built-in toolsets, to switch on or off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// The toolset's name in the agent, e.g. kubernetes/core. Unique.
    #[schemars(length(min = 1, max = 64), regex(pattern = patterns::BASELINE))]
    pub name: String,
    /// Whether the agent shall have it.
    #[serde(default)]
    pub state: State,
}
