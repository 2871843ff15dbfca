//! Etcd is restored from a backup. The watches are silent then, because they ask for versions that the API server does
//! not have yet.

use anyhow::{Result, ensure};
use e2e::{
    controlplane::{Backup, ControlPlane, Options},
    harness::{Controller, DEFAULT_CONFIG_MAP, Tools, prelude::*, services},
};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject},
};
use serde_json::json;

use crate::stage::{CONFIG, RETRIED, election, is_current, patch, without_health};

/// Writes after the backup, so that the versions do not catch up.
const LATER: usize = 300;

/// A cluster with Grafana, whose backup is older than what the operator has seen.
struct Story {
    agent: String,
    controller: Controller,
    backup: Backup,
}

impl Story {
    /// Makes a backup with Grafana, before the operator starts or while it runs, and replaces Grafana by Prometheus.
    async fn tell(world: &mut World, plane: &mut ControlPlane, starts_before: bool, elects: bool) -> Result<Self> {
        let agent = world.namespace("agent").await?;
        world.configure(&agent, CONFIG, &without_health(&[&agent])).await?;
        world.create(&services::grafana(&agent)).await?;
        let arguments = if elects { election(&agent) } else { Vec::new() };
        let options = || ControllerOptions { arguments: arguments.clone(), ..ControllerOptions::unrestricted() };
        let (controller, backup) = if starts_before {
            let controller = world.start_controller(options()).await?;
            world.tools(&agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;
            world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
            (controller, plane.back_up().await?)
        } else {
            let backup = plane.back_up().await?;
            (world.start_controller(options()).await?, backup)
        };

        let services: Api<Service> = world.api(&agent);
        services.delete("grafana", &DeleteParams::default()).await?;
        world.create(&services::prometheus_server(&agent)).await?;
        let story = Self { agent, controller, backup };
        story.lists(world, &["prometheus-server"]).await?;
        for number in 0..LATER {
            let change = json!({"metadata": {"annotations": {"example.com/number": number.to_string()}}});
            patch(&services, "prometheus-server", change).await?;
        }
        let configs = toolset_configs(&world.client(), &story.agent);
        patch(&configs, CONFIG, json!({"metadata": {"annotations": {"example.com/later": "yes"}}})).await?;
        Ok(story)
    }

    async fn lists(&self, world: &World, names: &[&str]) -> Result<()> {
        let config_maps: Api<ConfigMap> = world.api(&self.agent);
        within(RETRIED, &format!("lists {names:?}"), async || {
            let tools = Tools::of(&config_maps.get(DEFAULT_CONFIG_MAP).await?)?;
            ensure!(tools.names() == names, "{:?}", tools.names());
            Ok(())
        })
        .await
    }

    /// Waits until the operator works with the restored state, and with what happens then.
    async fn goes_on(&mut self, world: &World) -> Result<()> {
        self.lists(world, &["grafana"]).await?;
        let services: Api<Service> = world.api(&self.agent);
        world.create(&services::jaeger_query(&self.agent)).await?;
        self.lists(world, &["grafana", "tracing-query"]).await?;
        services.delete("grafana", &DeleteParams::default()).await?;
        self.lists(world, &["tracing-query"]).await?;
        let configs: Api<DynamicObject> = toolset_configs(&world.client(), &self.agent);
        within(RETRIED, "Ready is true", async || {
            let config = configs.get(CONFIG).await?;
            let ready = condition(&config, "Ready");
            ensure!(ready == Some(("True", "AsExpected")) && is_current(&config), "{ready:?}");
            ensure!(config.data.pointer("/status/summary/tools") == Some(&json!(1)));
            Ok(())
        })
        .await?;
        self.controller.process().require_running()
    }
}

#[tokio::test]
async fn a_restored_state_is_read_although_the_operator_only_renews_its_lease() -> Result<()> {
    isolated("restored", Options::default(), async |world, plane| {
        let mut story = Story::tell(world, plane, true, true).await?;
        plane.restore(&story.backup).await?;
        story.goes_on(world).await
    })
    .await
}

#[tokio::test]
async fn a_restored_state_without_the_lease_and_the_config_map_is_read() -> Result<()> {
    isolated("restored-early", Options::default(), async |world, plane| {
        let mut story = Story::tell(world, plane, false, true).await?;
        plane.restore(&story.backup).await?;
        story.goes_on(world).await
    })
    .await
}

#[tokio::test]
async fn a_restored_state_is_read_by_an_operator_that_writes_nothing() -> Result<()> {
    isolated("restored-quiet", Options::default(), async |world, plane| {
        let mut story = Story::tell(world, plane, true, false).await?;
        // To restore etcd takes longer than to notice that the API server is away.
        plane.stop_apiserver()?;
        for input in ["Service", "ToolsetConfig", "ConfigMap"] {
            let series = format!("dynamictoolset_watch_errors_total{{input=\"{input}\",reason=\"Transport\"}}");
            let before = story.controller.metric(&series).await?.unwrap_or_default();
            within(RETRIED, &format!("the watch of {input} has failed"), async || {
                let failed = story.controller.metric(&series).await?.unwrap_or_default();
                ensure!(failed > before, "{failed}");
                Ok(())
            })
            .await?;
        }
        plane.restore(&story.backup).await?;
        story.goes_on(world).await
    })
    .await
}

#[tokio::test]
async fn a_spec_of_the_restored_state_with_the_same_generation_is_read() -> Result<()> {
    isolated("restored-spec", Options::default(), async |world, plane| {
        let mut story = Story::tell(world, plane, true, true).await?;
        let configs = toolset_configs(&world.client(), &story.agent);
        let formats = |formats: &[&str]| json!({"spec": {"output": {"formats": formats}}});
        let before = patch(&configs, CONFIG, formats(&["ToolsetJSON"])).await?;
        let config_maps: Api<ConfigMap> = world.api(&story.agent);
        let keys = async |expected: &[&str]| {
            within(RETRIED, &format!("has the keys {expected:?}"), async || {
                let data = config_maps.get(DEFAULT_CONFIG_MAP).await?.data.unwrap_or_default();
                let keys: Vec<_> = data.keys().map(String::as_str).collect();
                ensure!(keys == expected, "{keys:?}");
                Ok(())
            })
            .await
        };
        keys(&["toolset.json"]).await?;

        plane.restore(&story.backup).await?;
        let after = patch(&configs, CONFIG, formats(&["HolmesGPT"])).await?;
        ensure!(before.metadata.generation == after.metadata.generation);
        keys(&["custom_toolset.yaml"]).await?;
        story.controller.process().require_running()
    })
    .await
}
