//! Upgrades, rollbacks and uninstalling leave users' ToolsetConfigs and what the agent has.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    chart::{self, Release},
    controlplane::{AuditedRequest, Options},
    harness::{DEFAULT_CONFIG_MAP, World, absent, isolated, services, toolset_configs},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::permissions;

/// The uids of the user's ToolsetConfig and of its ConfigMap.
async fn uids(world: &World, namespace: &str) -> Result<(String, String)> {
    let config = toolset_configs(&world.client(), namespace).get("mine").await?;
    let config_maps: Api<ConfigMap> = world.api(namespace);
    let config_map = config_maps.get(DEFAULT_CONFIG_MAP).await?;
    Ok((config.uid().context("no uid")?, config_map.uid().context("no uid")?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrade_rollback_uninstall_and_reinstall_keep_the_users_toolset_configs() -> Result<()> {
    if !chart::controllers_run()? {
        return Ok(());
    }
    let options = Options { crds: None, audit_log: true, ..Options::default() };
    Box::pin(isolated("lifecycle", options, async |world, plane| {
        let agent = world.namespace("agent").await?;
        let watched = world.namespace("monitoring").await?;
        let Some(release) = Release::new(world, &agent)? else { return Ok(()) };
        let source = json!({"name": "a", "trust": "Trusted", "namespaces": {"from": "Names", "names": [watched]}});
        let shipped = json!([{
            "name": "shipped", "spec": {"sources": [source], "output": {"configMapName": "shipped-output"}},
        }]);
        let shipped = format!("toolsetConfigs: {shipped}");

        let notes = release.install(&shipped)?;
        ensure!(notes.contains("kubectl apply -f -") && notes.contains("shipped-output"), "{notes}");
        let configs = toolset_configs(&world.client(), &agent);
        ensure!(configs.get_opt("shipped").await?.is_none(), "the kind was not known when it was rendered");

        let mut controller = release.start_controller(world, &[]).await?;
        let service = world.create(&services::prometheus_server(&watched)).await?;
        world.backend(&service).await?;
        world.configure(&agent, "mine", &json!({"sources": [source]})).await?;
        world.tools(&agent, "prometheus-server is listed", |tools| tools.names() == ["prometheus-server"]).await?;
        let before = uids(world, &agent).await?;

        release.upgrade(&format!("{shipped}\nreplicaCount: 2"))?;
        world.ready(&agent, "shipped", ("True", "AsExpected")).await?;
        ensure!(uids(world, &agent).await? == before, "an upgrade touched the user's objects");

        release.rollback(1)?;
        absent(&configs, "shipped").await?;
        ensure!(uids(world, &agent).await? == before, "a rollback touched the user's objects");
        ensure!(controller.terminate().await?.success(), "it did not end well");
        let (user, none) = (release.user(), |_: &AuditedRequest| false);
        permissions::within(&permissions::granted(world, &user).await?, &plane.audited_requests()?, &user, none)?;

        release.uninstall()?;
        absent::<Deployment>(&world.api(&agent), "toolset-operator").await?;
        ensure!(uids(world, &agent).await? == before, "uninstalling touched the user's objects");

        release.install("")?;
        let _controller = release.start_controller(world, &[]).await?;
        let grafana = world.create(&services::grafana(&watched)).await?;
        world.backend(&grafana).await?;
        world.tools(&agent, "grafana joins", |tools| tools.names() == ["grafana", "prometheus-server"]).await?;
        ensure!(uids(world, &agent).await? == before, "reinstalling touched the user's objects");
        Ok(())
    }))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn install_yaml_brings_the_same_operator_without_helm() -> Result<()> {
    if !chart::controllers_run()? {
        return Ok(());
    }
    isolated("plain", Options { crds: None, ..Options::default() }, async |world, plane| {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/install.yaml");
        let kubectl = |arguments: &[&str]| -> Result<()> {
            let mut command = std::process::Command::new(&plane.programs().kubectl);
            let output = command.arg("--kubeconfig").arg(plane.kubeconfig()).args(arguments).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Ok(())
        };
        kubectl(&["create", "namespace", "holmes"])?;
        kubectl(&["apply", "--server-side", "-f", &file.to_string_lossy()])?;
        let deployments: Api<Deployment> = world.api("holmes");
        let deployment = serde_json::to_value(deployments.get("toolset-operator").await?)?;
        ensure!(
            chart::arguments(&deployment)?.contains(&"--config-namespaces=holmes".to_owned()),
            "the Deployment is not for its namespace"
        );
        // Whatever the API server would drop or default, a second apply must find nothing to change.
        let generation = deployments.get("toolset-operator").await?.metadata.generation;
        kubectl(&["apply", "--server-side", "-f", &file.to_string_lossy()])?;
        ensure!(deployments.get("toolset-operator").await?.metadata.generation == generation, "it is not stable");
        Ok(())
    })
    .await
}
