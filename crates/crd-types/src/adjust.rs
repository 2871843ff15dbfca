//! What `spec.overrides` and `spec.tools` both may say about a tool: its credentials and its settings.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{State, closed::closed, patterns};

/// How the agent authenticates. Only names of variables of the agent's environment, never a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.type != 'Basic' || has(self.usernameEnv)", "type Basic needs usernameEnv, the variable that holds the user's name"),
    validation = ("self.type == 'Basic' || !has(self.usernameEnv)", "usernameEnv belongs to type Basic; remove it or set type to Basic"),
    validation = ("self.type != 'Header' || has(self.header)", "type Header needs header, the name of the HTTP header"),
    validation = ("self.type == 'Header' || !has(self.header)", "header belongs to type Header; remove it or set type to Header"),
)]
pub struct Credentials {
    /// Bearer: an Authorization header with the token. Basic: a user name and a password. ApiKey: the product's own key.
    /// Header: any other header.
    #[serde(rename = "type")]
    pub type_: CredentialsType,
    /// The variable of the agent's environment that holds the token, password, key or header value.
    #[schemars(length(min = 1, max = 128), regex(pattern = patterns::ENV))]
    pub env: String,
    /// With type Basic: the variable that holds the user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = patterns::ENV))]
    pub username_env: Option<String>,
    /// With type Header: the header's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = patterns::HEADER))]
    pub header: Option<String>,
}

closed! {
    /// How the agent authenticates.
    pub enum CredentialsType {
        /// `Authorization: Bearer …`.
        Bearer,
        /// User name and password.
        Basic,
        /// The product's own API key.
        ApiKey,
        /// Any other header.
        Header,
    }
}

/// How the agent calls. Which type honours which is documented; a setting that a type has no field for is reported, not dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// How many seconds one call may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    pub timeout_seconds: Option<i32>,
    /// Disabled: the server's certificate is not checked.
    #[serde(default, rename = "verifyTLS", skip_serializing_if = "Option::is_none")]
    pub verify_tls: Option<State>,
    /// For tools of the agent's generic HTTP kind: the paths that it may call; * stands for anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 129), regex(pattern = patterns::CALL_PATH)))]
    #[x_kube(
        merge_strategy = ListMerge::Atomic,
        validation = ("self.all(path, !path.matches('[.][.]|//|/[.](/|$)'))", "remove '..' and empty or '.' segments from the paths")
    )]
    pub paths: Vec<String>,
}
