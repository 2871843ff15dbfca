//! How the agent connects to a tool: credentials and settings. `spec.overrides` and `spec.tools` share these types.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{closed::closed, detector::State, patterns};

/// Credentials specify how the agent authenticates to a tool. They contain the names of environment variables of the
/// agent, never the values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.type != 'Basic' || has(self.usernameEnv)", "usernameEnv is required when type is Basic; set it to the name of the environment variable that holds the user name"),
    validation = ("self.type == 'Basic' || !has(self.usernameEnv)", "usernameEnv may only be set when type is Basic; remove usernameEnv or set type to Basic"),
    validation = ("self.type != 'Header' || has(self.header)", "header is required when type is Header; set it to the name of the HTTP header"),
    validation = ("self.type == 'Header' || !has(self.header)", "header may only be set when type is Header; remove header or set type to Header"),
)]
pub struct Credentials {
    /// type is the type of the credentials. Bearer sends a token in the Authorization header. Basic sends a user name
    /// and a password. ApiKey sends an API key in the form that the product expects. Header sends a value in the HTTP
    /// header specified by header.
    #[serde(rename = "type")]
    pub type_: CredentialsType,
    /// env is the name of the environment variable that holds the token, the password, the API key or the header value.
    #[schemars(length(min = 1, max = 128), regex(pattern = patterns::ENV))]
    pub env: String,
    /// usernameEnv is the name of the environment variable that holds the user name. Required when type is Basic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = patterns::ENV))]
    pub username_env: Option<String>,
    /// header is the name of the HTTP header. Required when type is Header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = patterns::HEADER))]
    pub header: Option<String>,
}

closed! {
    /// The types of credentials.
    pub enum CredentialsType {
        /// A token, sent as `Authorization: Bearer …`.
        Bearer,
        /// A user name and a password.
        Basic,
        /// An API key in the form that the product expects.
        ApiKey,
        /// A value in the header that `header` specifies.
        Header,
    }
}

/// Settings specify how the agent calls a tool. Not every type of tool supports every setting. If the agent does not
/// support a setting for the type, the operator omits it and reports it in the condition OverridesApplied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// timeoutSeconds is the timeout of a single request, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    pub timeout_seconds: Option<i32>,
    /// verifyTLS specifies whether the agent verifies the server's TLS certificate.
    #[serde(default, rename = "verifyTLS", skip_serializing_if = "Option::is_none")]
    pub verify_tls: Option<State>,
    /// paths lists the URL paths that the agent can request. An asterisk (*) matches any characters. Only tools that
    /// the agent calls through its generic HTTP toolset support this setting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 129), regex(pattern = patterns::CALL_PATH)))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = ("self.all(path, !path.matches('[.][.]|//|/[.](/|$)'))", "paths must not contain '..', '.' segments or empty segments; remove them")
    )]
    pub paths: Vec<String>,
    /// index is the index or index pattern that a Grafana data source for Elasticsearch or OpenSearch queries, for
    /// example logs-*. Without it, the operator writes no data source for the tool. The data source for OpenSearch
    /// requires the Grafana plugin grafana-opensearch-datasource. Only the format GrafanaDatasources supports this
    /// setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = patterns::INDEX))]
    pub index: Option<String>,
}
