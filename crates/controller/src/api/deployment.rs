//! The agent's Deployment, which `consumer.reload: RolloutRestart` restarts. No other Deployment is patched.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::{api::apps::v1::Deployment, apimachinery::pkg::apis::meta::v1::ObjectMeta, jiff::Timestamp};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use toolset::config_map::FIELD_MANAGER;

use super::{
    client::within_timeout,
    error::Error,
    fence::Term,
    name::NamespacedName,
    writer::{Lane, Writer},
};

/// The annotation of the pod template that holds the hash of the file with which the agent was restarted.
const HASH_ANNOTATION: &str = "kubernaut.io/toolset-hash";
/// The annotation that holds the hashes of the environment variables that the file named then. It is in the pod template,
/// or in the Deployment's own metadata if an earlier release restarted the agent. A change there starts no rollout.
const VARIABLES_ANNOTATION: &str = "kubernaut.io/toolset-variables";

/// The field manager of a record without a restart. The time of the last change by [`FIELD_MANAGER`] is that of the last
/// restart.
const RECORDER: &str = "toolset-operator-recorder";

/// The state of an agent's Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentState {
    /// The hash in its pod template. Empty if there is none.
    pub(crate) hash: String,
    /// The hashes of environment variables. `None` if there is no such annotation.
    pub(crate) variables: Option<BTreeSet<String>>,
    /// Its resource version.
    pub(crate) version: Option<String>,
    /// When it was created.
    pub(crate) created: Option<Timestamp>,
    /// How long ago the operator last restarted it, if ever.
    pub(crate) restarted_ago: Option<Duration>,
}

/// Reads the state of the Deployment.
pub(crate) async fn read(writer: &Writer, name: &NamespacedName) -> Result<AgentState, Error> {
    let deployment = within_timeout(api(writer, name).get(&name.name)).await?;
    Ok(state(&deployment, Timestamp::now()))
}

/// What a restart records in the pod template.
pub(crate) struct Record<'a> {
    /// The hash of the file. `None` if not every change of the file restarts the agent.
    pub(crate) hash: Option<&'a str>,
    /// The hashes of the variables that the agent was restarted for.
    pub(crate) variables: &'a BTreeSet<String>,
    /// The resource version of the Deployment that was read. The API server refuses the restart if it has changed.
    pub(crate) version: Option<&'a str>,
}

/// Restarts the agent. The changed pod template starts a rollout.
pub(crate) async fn restart(
    writer: &Writer,
    term: Term,
    name: &NamespacedName,
    record: &Record<'_>,
) -> Result<(), Error> {
    let mut annotations = json!({VARIABLES_ANNOTATION: list(record.variables)});
    if let Some(hash) = record.hash {
        annotations[HASH_ANNOTATION] = hash.into();
    }
    let change = json!({
        "metadata": {"resourceVersion": record.version},
        "spec": {"template": {"metadata": {"annotations": annotations}}},
    });
    merge(writer, term, name, FIELD_MANAGER, &change).await
}

/// Records the environment variables of an agent that an earlier release has restarted, without a restart.
pub(crate) async fn record(
    writer: &Writer,
    term: Term,
    name: &NamespacedName,
    variables: &BTreeSet<String>,
) -> Result<(), Error> {
    let change = json!({"metadata": {"annotations": {VARIABLES_ANNOTATION: list(variables)}}});
    merge(writer, term, name, RECORDER, &change).await
}

async fn merge(writer: &Writer, term: Term, name: &NamespacedName, manager: &str, change: &Value) -> Result<(), Error> {
    let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    let merge = Patch::Merge(change);
    writer.send(term, Lane::Reload, api(writer, name).patch(&name.name, &params, &merge)).await.map(drop)
}

/// A set of hashes as the value of an annotation.
fn list(hashes: &BTreeSet<String>) -> String {
    hashes.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

fn api(writer: &Writer, name: &NamespacedName) -> Api<Deployment> {
    Api::namespaced(writer.client(), &name.namespace)
}

fn state(deployment: &Deployment, now: Timestamp) -> AgentState {
    let template = deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let annotation = |metadata: Option<&ObjectMeta>, name| metadata?.annotations.as_ref()?.get(name).cloned();
    let variables = annotation(template, VARIABLES_ANNOTATION)
        .or_else(|| annotation(Some(&deployment.metadata), VARIABLES_ANNOTATION));
    AgentState {
        hash: annotation(template, HASH_ANNOTATION).unwrap_or_default(),
        variables: variables.map(|list| list.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect()),
        version: deployment.metadata.resource_version.clone(),
        created: deployment.metadata.creation_timestamp.as_ref().map(|time| time.0),
        restarted_ago: restarted_ago(deployment, now),
    }
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

    fn deployment(own: &Value, template: &Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"annotations": own, "managedFields": [
                {"manager": "helm", "time": "2026-01-01T00:01:00Z"},
                {"manager": "toolset-operator", "time": "2026-01-01T00:00:00Z"},
                {"manager": "toolset-operator-recorder", "time": "2026-01-01T00:01:30Z"}
            ]},
            "spec": {"selector": {}, "template": {"metadata": {"annotations": template}}}
        }))
        .unwrap()
    }

    #[test]
    fn what_the_agent_was_restarted_with_and_when_is_read_from_the_deployment() {
        let template = json!({"kubernaut.io/toolset-hash": "abc", "kubernaut.io/toolset-variables": "11,22"});
        let read =
            |own: &Value, template: &Value| state(&deployment(own, template), "2026-01-01T00:02:00Z".parse().unwrap());
        let expected = AgentState {
            hash: "abc".to_owned(),
            variables: Some(BTreeSet::from(["11".to_owned(), "22".to_owned()])),
            version: None,
            created: None,
            restarted_ago: Some(Duration::from_secs(120)),
        };
        assert_eq!(read(&json!({}), &template), expected);
        let recorded = json!({"kubernaut.io/toolset-variables": "33"});
        assert_eq!(read(&recorded, &template), expected, "the pod template is newer");
        let variables = |own: &Value, template: &Value| read(own, template).variables;
        assert_eq!(variables(&recorded, &json!({})), Some(BTreeSet::from(["33".to_owned()])));
        assert_eq!(variables(&json!({}), &json!({"kubernaut.io/toolset-hash": "abc"})), None);
        assert_eq!(variables(&json!({}), &json!({"kubernaut.io/toolset-variables": ""})), Some(BTreeSet::new()));
    }
}
