//! `spec.tools` and `spec.baseline`: entries that the operator does not discover.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use detectors::Product;

use crate::{
    closed::ProductSchema,
    connection::{Credentials, Settings},
    detector::State,
    patterns,
};

/// StaticTool is a tool that the operator does not discover, for example a tool outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.type != 'Custom' || has(self.customType)", "customType is required when type is Custom; set it to a name for the type"),
    validation = ("self.type == 'Custom' || !has(self.customType)", "customType may only be set when type is Custom; remove customType or set type to Custom"),
)]
pub struct StaticTool {
    /// name is the name of the tool in the agent. It must be unique.
    #[schemars(length(min = 1, max = 40), regex(pattern = patterns::TOOL_NAME))]
    pub name: String,
    /// type is the product of the tool, or Custom together with customType.
    #[serde(rename = "type")]
    #[schemars(with = "ProductSchema")]
    pub type_: Product,
    /// customType is a custom name for the type. Required when type is Custom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = patterns::CUSTOM_TYPE))]
    pub custom_type: Option<String>,
    /// endpoint is the URL of the tool. The scheme must be http or https. A port and a path are optional. User
    /// information, a query and a fragment are not allowed.
    #[schemars(length(min = 1, max = 512), regex(pattern = patterns::URL))]
    #[x_kube(validation = patterns::PLAIN_URL_PATH, validation = patterns::PLAIN_ADDRESS)]
    pub endpoint: String,
    /// credentials specify how the agent authenticates to the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
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
    /// tenantID is the tenant whose data the agent queries. The agent sends it in the X-Scope-OrgID header. The value
    /// is used as it is, and is not the name of an environment variable.
    #[serde(default, rename = "tenantID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = patterns::TENANT_ID))]
    pub tenant_id: Option<String>,
    /// settings specify how the agent calls the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
}

/// Baseline enables or disables a built-in toolset of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// name is the name of the toolset in the agent, for example kubernetes/core. It must be unique.
    #[schemars(length(min = 1, max = 64), regex(pattern = patterns::BASELINE))]
    pub name: String,
    /// state enables or disables the toolset.
    #[serde(default)]
    pub state: State,
}
