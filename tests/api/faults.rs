//! The API server is not available, or it contains malformed objects.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::{Options, crds_folder, install_crds},
    harness::{DEFAULT_CONFIG_MAP, Step, prelude::*, services},
};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{Api, api::DeleteParams};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::stage::{CONFIG, RETRIED, message, over, patch, told, version, without_health};

#[tokio::test]
async fn an_outage_of_the_api_server_causes_no_restart_and_no_write() -> Result<()> {
    isolated("outage", Options::default(), async |world, plane| {
        let agent = world.namespace("agent").await?;
        let mut controller = world.start_controller(ControllerOptions::unrestricted()).await?;
        world.configure(&agent, CONFIG, &without_health(&[&agent])).await?;
        world.create(&services::grafana(&agent)).await?;
        world.tools(&agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;
        let config = world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
        let config_maps: Api<ConfigMap> = world.api(&agent);
        let before = version(&config_maps.get(DEFAULT_CONFIG_MAP).await?);

        plane.stop_apiserver()?;
        holds(Duration::from_secs(10), "the controller runs and is ready", async || {
            controller.process().require_running()?;
            ensure!(controller.health("/health").await?.0 == 200);
            ensure!(controller.health("/ready").await?.0 == 200);
            Ok(())
        })
        .await?;
        plane.start_apiserver().await?;

        // A restarted API server sends no events about earlier changes.
        let moment = world.moment(&agent).await?;
        assert_eq!(version(&config_maps.get(DEFAULT_CONFIG_MAP).await?), before);
        world.create(&services::prometheus_server(&agent)).await?;
        within(RETRIED, "lists both", async || {
            let config_map = config_maps.get(DEFAULT_CONFIG_MAP).await?;
            ensure!(e2e::harness::Tools::of(&config_map)?.names() == ["grafana", "prometheus-server"]);
            Ok(())
        })
        .await?;
        let steps = moment.steps(DEFAULT_CONFIG_MAP).await?;
        assert!(matches!(steps.as_slice(), [Step::Changed(_)]), "one write, for Prometheus: {steps:?}");
        let after = world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
        assert_eq!(
            config.data.pointer("/status/conditions/0/lastTransitionTime"),
            after.data.pointer("/status/conditions/0/lastTransitionTime"),
            "ten seconds are no reason to call it not ready"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn services_that_were_deleted_while_no_watch_ran_are_removed() -> Result<()> {
    isolated("gap", Options::default(), async |world, plane| {
        let agent = world.namespace("agent").await?;
        let mut controller = world.start_controller(ControllerOptions::unrestricted()).await?;
        world.configure(&agent, CONFIG, &without_health(&[&agent])).await?;
        world.create(&services::grafana(&agent)).await?;
        world.create(&services::prometheus_server(&agent)).await?;
        world.tools(&agent, "lists both", |tools| tools.names() == ["grafana", "prometheus-server"]).await?;

        // It is stopped and loses its connections, because a new API server sends no events about earlier changes.
        controller.process().signal(Signal::STOP)?;
        plane.stop_apiserver()?;
        plane.start_apiserver().await?;
        let in_agent: Api<Service> = world.api(&agent);
        in_agent.delete("grafana", &DeleteParams::default()).await?;
        controller.process().signal(Signal::CONT)?;

        let config_maps: Api<ConfigMap> = world.api(&agent);
        within(RETRIED, "lists Prometheus only", async || {
            let config_map = config_maps.get(DEFAULT_CONFIG_MAP).await?;
            ensure!(e2e::harness::Tools::of(&config_map)?.names() == ["prometheus-server"]);
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_controller_that_starts_before_the_api_server_waits_for_it() -> Result<()> {
    isolated("early", Options::default(), async |world, plane| {
        let agent = world.namespace("agent").await?;
        world.configure(&agent, CONFIG, &without_health(&[&agent])).await?;
        world.create(&services::grafana(&agent)).await?;
        plane.stop_apiserver()?;

        let options = ControllerOptions { do_not_wait: true, ..ControllerOptions::unrestricted() };
        let mut controller = world.start_controller(options).await?;
        eventually("it answers", async || Ok(controller.health("/health").await?)).await?;
        holds(Duration::from_secs(2), "alive and not ready", async || {
            controller.process().require_running()?;
            ensure!(controller.health("/health").await?.0 == 200);
            ensure!(controller.health("/ready").await?.0 == 503);
            Ok(())
        })
        .await?;
        plane.start_apiserver().await?;

        let config_maps: Api<ConfigMap> = world.api(&agent);
        within(RETRIED, "lists Grafana", async || {
            let config_map = config_maps.get(DEFAULT_CONFIG_MAP).await?;
            ensure!(e2e::harness::Tools::of(&config_map)?.names() == ["grafana"]);
            Ok(())
        })
        .await?;
        controller.ready().await
    })
    .await
}

#[tokio::test]
async fn a_controller_that_starts_before_its_crd_waits_for_it() -> Result<()> {
    let options = Options { crds: None, ..Options::default() };
    isolated("no-crd", options, async |world, plane| {
        let agent = world.namespace("agent").await?;
        world.create(&services::grafana(&agent)).await?;
        let options = ControllerOptions { do_not_wait: true, ..ControllerOptions::unrestricted() };
        let mut controller = world.start_controller(options).await?;
        let refused = "dynamictoolset_watch_errors_total{input=\"ToolsetConfig\",reason=\"NotFound\"}";
        eventually("it has looked for the kind", async || {
            ensure!(
                controller.metric(refused).await?.is_some_and(|count| count >= 1.0),
                "{}",
                controller.metrics().await?
            );
            Ok(())
        })
        .await?;
        ensure!(controller.health("/health").await?.0 == 200);
        ensure!(controller.health("/ready").await?.0 == 503);

        install_crds(&plane.client().await?, &crds_folder()).await?;
        world.configure(&agent, CONFIG, &without_health(&[&agent])).await?;

        let config_maps: Api<ConfigMap> = world.api(&agent);
        within(RETRIED, "lists Grafana", async || {
            let config_map = config_maps.get(DEFAULT_CONFIG_MAP).await?;
            ensure!(e2e::harness::Tools::of(&config_map)?.names() == ["grafana"]);
            Ok(())
        })
        .await?;
        controller.process().require_running()?;
        ensure!(controller.health("/ready").await?.0 == 200);
        Ok(())
    })
    .await
}

/// Writes our CRD with a schema that takes everything, as an older release's may have.
fn lax_crd(folder: &std::path::Path) -> Result<()> {
    let file = crds_folder().join("toolsetconfigs.toolset.kubernaut.io.yaml");
    let mut crd: Value = serde_saphyr::from_str(&fs::read_to_string(file)?)?;
    let version = crd.pointer_mut("/spec/versions/0").context("the CRD has a version")?;
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    version["schema"]["openAPIV3Schema"] = json!({
        "type": "object", "properties": {"spec": anything, "status": anything},
    });
    fs::create_dir(folder)?;
    fs::write(folder.join("crd.yaml"), serde_json::to_vec(&crd)?)?;
    Ok(())
}

#[tokio::test]
async fn a_malformed_toolset_config_of_an_older_schema_is_reported_and_affects_no_other() -> Result<()> {
    let options = Options { crds: None, ..Options::default() };
    isolated("malformed", options, async |world, plane| {
        let client = plane.client().await?;
        let lax = world.folder().join("lax");
        lax_crd(&lax)?;
        install_crds(&client, &lax).await?;
        let agent = world.namespace("agent").await?;
        let older = json!({"mode": "Automatic", "output": {"configMapName": "of-older"}});
        world.configure(&agent, "older", &over(without_health(&[&agent]), older)).await?;
        let hopeless = json!({"sources": "everything", "output": {"configMapName": "of-hopeless"}});
        world.configure(&agent, "hopeless", &hopeless).await?;
        install_crds(&client, &crds_folder()).await?;

        let controller = world.start_controller(ControllerOptions::unrestricted()).await?;
        world.create(&services::grafana(&agent)).await?;
        world.configure(&agent, CONFIG, &without_health(&[&agent])).await?;
        world.tools(&agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;

        let older = world.ready(&agent, "older", ("False", "InvalidConfig")).await?;
        assert!(message(&older, "Ready").contains("Automatic"), "{}", message(&older, "Ready"));
        // The API server refuses the status, because the rules cannot be evaluated on this spec. Only the Event reports
        // it.
        for name in ["older", "hopeless"] {
            told(world, &agent, name, "InvalidConfig").await?;
        }
        let unreadable = controller.metric("dynamictoolset_reconciles_total{result=\"unreadable\"}").await?;
        ensure!(unreadable.is_some_and(|count| count >= 2.0), "{unreadable:?}");

        let corrected = json!({"spec": {
            "mode": "Apply",
            "sources": [{"name": "same", "trust": "Trusted", "namespaces": {"from": "Same"}}],
            "health": {"mode": "None"},
        }});
        for name in ["older", "hopeless"] {
            patch(&toolset_configs(&client, &agent), name, corrected.clone()).await?;
            world.ready(&agent, name, ("True", "AsExpected")).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_toolset_config_that_becomes_unreadable_leaves_its_config_map_as_it_is() -> Result<()> {
    let options = Options { crds: None, ..Options::default() };
    isolated("unreadable", options, async |world, plane| {
        let lax = world.folder().join("lax");
        lax_crd(&lax)?;
        install_crds(&plane.client().await?, &lax).await?;
        let agent = world.namespace("agent").await?;
        let _controller = world.start_controller(ControllerOptions::unrestricted()).await?;
        world.configure(&agent, CONFIG, &without_health(&[&agent])).await?;
        world.create(&services::grafana(&agent)).await?;
        world.tools(&agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;
        let config_maps: Api<ConfigMap> = world.api(&agent);
        let before = config_maps.get(DEFAULT_CONFIG_MAP).await?;

        let configs = toolset_configs(&world.client(), &agent);
        patch(&configs, CONFIG, json!({"spec": {"sources": "everything"}})).await?;
        world.ready(&agent, CONFIG, ("False", "InvalidConfig")).await?;
        assert_eq!(version(&config_maps.get(DEFAULT_CONFIG_MAP).await?), version(&before));

        patch(&configs, CONFIG, json!({"spec": without_health(&[&agent])})).await?;
        world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
        assert_eq!(version(&config_maps.get(DEFAULT_CONFIG_MAP).await?), version(&before));
        Ok(())
    })
    .await
}
