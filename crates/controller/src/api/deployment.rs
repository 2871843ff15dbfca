//! The agent's Deployment, which `consumer.reload: RolloutRestart` restarts. No other Deployment is patched.

use std::time::Duration;

use k8s_openapi::{api::apps::v1::Deployment, jiff::Timestamp};
use kube::{Api, api::Patch};
use serde_json::json;
use toolset::config_map::FIELD_MANAGER;

use super::{
    client::within_timeout,
    error::Error,
    fence::Term,
    name::NamespacedName,
    request,
    writer::{Lane, Writer},
};

/// The annotation of the pod template that holds the hash of the file which the agent runs with.
const HASH_ANNOTATION: &str = "kubernaut.io/toolset-hash";

/// The state of an agent's Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentState {
    /// The hash in its pod template. Empty if there is none.
    pub(crate) hash: String,
    /// How long ago the operator last restarted it, if ever.
    pub(crate) restarted_ago: Option<Duration>,
}

/// Reads the state of the Deployment.
pub(crate) async fn read(writer: &Writer, name: &NamespacedName) -> Result<AgentState, Error> {
    let deployment = within_timeout(api(writer, name).get(&name.name)).await?;
    Ok(AgentState { hash: hash(&deployment), restarted_ago: restarted_ago(&deployment, Timestamp::now()) })
}

/// Restarts the agent. The changed pod template starts a rollout.
pub(crate) async fn restart(writer: &Writer, term: Term, name: &NamespacedName, hash: &str) -> Result<(), Error> {
    let merge = Patch::Merge(json!({"spec": {"template": {"metadata": {"annotations": {HASH_ANNOTATION: hash}}}}}));
    writer.send(term, Lane::Reload, api(writer, name).patch(&name.name, &request::patch(), &merge)).await.map(drop)
}

fn api(writer: &Writer, name: &NamespacedName) -> Api<Deployment> {
    Api::namespaced(writer.client(), &name.namespace)
}

fn hash(deployment: &Deployment) -> String {
    let template = deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let annotations = template.and_then(|metadata| metadata.annotations.as_ref());
    annotations.and_then(|annotations| annotations.get(HASH_ANNOTATION)).cloned().unwrap_or_default()
}

/// The API server keeps the time of our last patch in the managed fields, so the interval between restarts survives a
/// restart of the operator.
fn restarted_ago(deployment: &Deployment, now: Timestamp) -> Option<Duration> {
    let entries = deployment.metadata.managed_fields.iter().flatten();
    let ours = entries.filter(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.subresource.is_none());
    let last = ours.filter_map(|entry| entry.time.as_ref()).map(|time| time.0).max()?;
    Duration::try_from(now.duration_since(last)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_and_the_time_of_the_last_restart_are_read_from_the_deployment() {
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"managedFields": [
                {"manager": "helm", "time": "2026-01-01T00:01:00Z"},
                {"manager": "toolset-operator", "time": "2026-01-01T00:00:00Z"}
            ]},
            "spec": {"selector": {}, "template": {"metadata": {"annotations": {"kubernaut.io/toolset-hash": "abc"}}}}
        }))
        .unwrap();
        assert_eq!(hash(&deployment), "abc");
        let now = "2026-01-01T00:02:00Z".parse().unwrap();
        assert_eq!(restarted_ago(&deployment, now), Some(Duration::from_secs(120)));
    }
}
