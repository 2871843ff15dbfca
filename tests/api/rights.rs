//! The permissions of the operator, with one grant per input, so that a test can revoke one of them.

use anyhow::Result;
use e2e::harness::{Account, World};
use serde_json::{Value, json};

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

pub(crate) fn services() -> Value {
    json!([rule("", &["services"], &["get", "list", "watch"])])
}

pub(crate) fn endpoint_slices() -> Value {
    json!([rule("discovery.k8s.io", &["endpointslices"], &["list", "watch"])])
}

pub(crate) fn namespaces() -> Value {
    json!([rule("", &["namespaces"], &["list", "watch"])])
}

/// To notice that one of these namespaces does not exist.
pub(crate) fn get_namespaces(names: &[&str]) -> Value {
    let mut rule = rule("", &["namespaces"], &["get"]);
    rule["resourceNames"] = json!(names);
    json!([rule])
}

/// To read the Pods behind Services.
pub(crate) fn pods() -> Value {
    json!([rule("", &["pods"], &["get"])])
}

/// To know the addresses of the API server, which are never called.
pub(crate) fn api_server_slice() -> Value {
    let mut rule = rule("discovery.k8s.io", &["endpointslices"], &["get"]);
    rule["resourceNames"] = json!(["kubernetes"]);
    json!([rule])
}

/// All that is watched in a namespace with Services.
pub(crate) fn watched() -> Value {
    json!([services()[0], endpoint_slices()[0]])
}

/// All other permissions, for ToolsetConfigs, their ConfigMaps, and Events.
pub(crate) fn writing() -> Value {
    with_config_maps(&["get", "list", "watch", "create", "patch"])
}

/// The same, but ConfigMaps can only be read.
pub(crate) fn writing_all_but_config_maps() -> Value {
    with_config_maps(&["get", "list", "watch"])
}

fn with_config_maps(verbs: &[&str]) -> Value {
    json!([
        rule("toolset.kubernaut.io", &["toolsetconfigs"], &["get", "list", "watch"]),
        rule("toolset.kubernaut.io", &["toolsetconfigs/status"], &["patch"]),
        rule("", &["configmaps"], verbs),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
    ])
}

/// To take part in an election.
pub(crate) fn leases() -> Value {
    json!([rule("coordination.k8s.io", &["leases"], &["get", "list", "watch", "create", "update"])])
}

/// A ServiceAccount with all of it in the whole cluster, granted as `services`, `endpoint-slices`, `namespaces`, `pods`
/// and `writing`.
pub(crate) async fn operator(world: &World, namespace: &str) -> Result<Account> {
    let account = world.account(namespace, "operator").await?;
    account.grant_everywhere("services", &services()).await?;
    account.grant_everywhere("endpoint-slices", &endpoint_slices()).await?;
    account.grant_everywhere("namespaces", &namespaces()).await?;
    account.grant_everywhere("pods", &pods()).await?;
    account.grant_everywhere("writing", &writing()).await?;
    Ok(account)
}
