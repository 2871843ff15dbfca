//! How the agent connects to a tool: credentials and settings. `spec.overrides` and `spec.tools` share these types.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{closed::closed, detector::State, patterns};

/// Credentials specify how the agent authenticates to a tool. They hold the names of environment variables of the
/// agent, never a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.type != 'Basic' || has(self.usernameEnv)", "usernameEnv is required when type is Basic; set it to the environment variable that holds the user name"),
    validation = ("self.type == 'Basic' || !has(self.usernameEnv)", "usernameEnv may only be set when type is Basic; remove usernameEnv or set type to Basic"),
    validation = ("self.type != 'Header' || has(self.header)", "header is required when type is Header; set it to the name of the HTTP header"),
    validation = ("self.type == 'Header' || !has(self.header)", "header may only be set when type is Header; remove header or set type to Header"),
)]
pub struct Credentials {
    /// type is the kind of credentials. Bearer sends a token in the Authorization header. Basic sends a user name and a
    /// password. ApiKey sends an API key in the form that the product expects. Header sends the value in the HTTP
    /// header that the field header names.
    #[serde(rename = "type")]
    pub type_: CredentialsType,
    /// env is the environment variable of the agent that holds the token, the password, the API key or the value of the
    /// header.
    #[schemars(length(min = 1, max = 128), regex(pattern = patterns::ENV))]
    pub env: String,
    /// usernameEnv is the environment variable of the agent that holds the user name. It is required when type is
    /// Basic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = patterns::ENV))]
    pub username_env: Option<String>,
    /// header is the name of the HTTP header. It is required when type is Header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = patterns::HEADER))]
    pub header: Option<String>,
}

closed! {
    /// The kinds of credentials.
    pub enum CredentialsType {
        /// A token, sent as `Authorization: Bearer …`.
        Bearer,
        /// A user name and a password.
        Basic,
        /// An API key in the form that the product expects.
        ApiKey,
        /// A value in a header that the user names.
        Header,
    }
}

/// Settings specify how the agent calls a tool. Not every type of tool supports every setting. The operator leaves out
/// a setting that the agent does not support for the type, and reports it in the condition OverridesApplied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// timeoutSeconds is the maximum duration of one call, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    pub timeout_seconds: Option<i32>,
    /// verifyTLS specifies whether the agent verifies the certificate of the server.
    #[serde(default, rename = "verifyTLS", skip_serializing_if = "Option::is_none")]
    pub verify_tls: Option<State>,
    /// paths lists the URL paths that the agent may call. An asterisk (*) matches any characters. Only tools that the
    /// agent calls through its generic HTTP toolset support this setting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 129), regex(pattern = patterns::CALL_PATH)))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = ("self.all(path, !path.matches('[.][.]|//|/[.](/|$)'))", "paths must not contain '..', '.' segments or empty segments; remove them")
    )]
    pub paths: Vec<String>,
    /// index is the index or the pattern of indices that a data source of Grafana for Elasticsearch or OpenSearch
    /// queries, for example logs-*. Without it, the operator writes no data source for the tool. The data source for
    /// OpenSearch needs the plug-in grafana-opensearch-datasource in Grafana. Only the format GrafanaDatasources supports
    /// this setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = patterns::INDEX))]
    pub index: Option<String>,
}
