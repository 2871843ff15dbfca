//! The chart installed, the controller run with its Deployment's arguments and its ServiceAccount's rights.

use anyhow::{Result, ensure};
use e2e::{
    chart::{self, Release},
    controlplane::Options,
    harness::isolated,
};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::{Api, api::ListParams};
use serde_json::json;

use crate::{
    permissions,
    workload::{self, AGENT, Namespaces, OBSERVED},
};

/// The chart brings the CRD.
fn without_crds() -> Options {
    Options { crds: None, audit_log: true }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn installed_for_the_cluster_it_does_the_whole_job_with_no_right_too_few_or_too_many() -> Result<()> {
    if !chart::controllers_run()? {
        return Ok(());
    }
    isolated("cluster", without_crds(), async |world, plane| {
        let agent = world.namespace("agent").await?;
        let watched = world.namespace_with_labels("monitoring", &[("purpose", "observability")]).await?;
        let Some(release) = Release::new(world, &agent)? else { return Ok(()) };
        let notes = release.install(&format!("rolloutRestart: [{{name: {AGENT}}}]\nagents: [{OBSERVED}]"))?;
        ensure!(notes.contains("kind: ToolsetConfig"), "NOTES do not say what to do next:\n{notes}");

        let mut controller = release.start_controller(world, &workload::agents_environment(world)).await?;
        let selection = json!({"from": "Selector", "selector": {"matchLabels": {"purpose": "observability"}}});
        workload::whole_job(world, &Namespaces { watched: &watched, agent: &agent, selection }).await?;
        ensure!(controller.terminate().await?.success(), "it did not end well");

        let granted = permissions::granted(world, &release.user()).await?;
        permissions::compare(&granted, &plane.audited_requests()?, &release.user())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn installed_for_single_namespaces_it_does_the_whole_job_without_any_cluster_role() -> Result<()> {
    if !chart::controllers_run()? {
        return Ok(());
    }
    let options = Options { audit_log: true, ..Options::default() };
    isolated("namespaced", options, async |world, plane| {
        let agent = world.namespace("agent").await?;
        let watched = world.namespace("monitoring").await?;
        let Some(release) = Release::new(world, &agent)? else { return Ok(()) };
        let before = cluster_wide(world).await?;
        release.install(&format!(
            "watchNamespaces: [{watched}]\nrbac: {{clusterRoles: false}}\ncrds: {{enabled: false}}\n\
                 rolloutRestart: [{{name: {AGENT}}}]\nagents: [{OBSERVED}]"
        ))?;
        ensure!(cluster_wide(world).await? == before, "there is a ClusterRole or ClusterRoleBinding more");

        let mut controller = release.start_controller(world, &workload::agents_environment(world)).await?;
        let selection = json!({"from": "Names", "names": [watched]});
        workload::whole_job(world, &Namespaces { watched: &watched, agent: &agent, selection }).await?;
        ensure!(controller.terminate().await?.success(), "it did not end well");

        let granted = permissions::granted(world, &release.user()).await?;
        permissions::compare(&granted, &plane.audited_requests()?, &release.user())
    })
    .await
}

async fn cluster_wide(world: &e2e::harness::World) -> Result<(usize, usize)> {
    let everything = ListParams::default();
    let roles = Api::<ClusterRole>::all(world.client()).list(&everything).await?;
    let bindings = Api::<ClusterRoleBinding>::all(world.client()).list(&everything).await?;
    Ok((roles.items.len(), bindings.items.len()))
}
