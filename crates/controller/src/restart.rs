//! `consumer.reload: RolloutRestart`: the one Deployment that may be patched.

use std::time::Duration;

use k8s_openapi::{api::apps::v1::Deployment, jiff::Timestamp};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use toolset::manifest::FIELD_MANAGER;

use crate::{client::within_timeout, error::Error, writer::Writer};

/// The annotation of the pod template that holds the hash of the file which the agent runs with.
pub const ANNOTATION: &str = "kubernaut.io/toolset-hash";

/// The Deployment of an agent.
pub struct Agent<'a> {
    /// Who writes.
    pub writer: &'a Writer,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl Agent<'_> {
    /// The hash that it carries, empty if none, and how long ago we last restarted it, if ever.
    pub async fn look(&self) -> Result<(String, Option<Duration>), Error> {
        let deployment = within_timeout(self.api().get(self.name)).await?;
        Ok((carried(&deployment), restarted_ago(&deployment, Timestamp::now())))
    }

    /// Restarts it: a changed pod template is rolled out.
    pub async fn restart(&self, hash: &str) -> Result<(), Error> {
        let patch = json!({"spec": {"template": {"metadata": {"annotations": {ANNOTATION: hash}}}}});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        self.writer.send(self.api().patch(self.name, &params, &Patch::Merge(&patch))).await.map(drop)
    }

    fn api(&self) -> Api<Deployment> {
        Api::namespaced(self.writer.client(), self.namespace)
    }
}

fn carried(deployment: &Deployment) -> String {
    let template = deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let annotations = template.and_then(|metadata| metadata.annotations.as_ref());
    annotations.and_then(|annotations| annotations.get(ANNOTATION)).cloned().unwrap_or_default()
}

/// The API server keeps the time of our last patch in the managed fields, so the distance between restarts survives ours.
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
        assert_eq!(carried(&deployment), "abc");
        let now = "2026-01-01T00:02:00Z".parse().unwrap();
        assert_eq!(restarted_ago(&deployment, now), Some(Duration::from_secs(120)));
    }
}
