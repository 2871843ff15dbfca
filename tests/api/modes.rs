//! Preview and Suspended leave the ConfigMap alone.

use anyhow::{Result, bail, ensure};
use e2e::harness::{DEFAULT_CONFIG_MAP, Step, prelude::*, services};
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};

use crate::stage::{CONFIG, Stage, over, revision, without_health};

/// The Services that the status lists as tools.
fn tools(config: &DynamicObject) -> Vec<&str> {
    let tools = config.data.pointer("/status/tools").and_then(Value::as_array);
    tools.into_iter().flatten().filter_map(|tool| tool["service"].as_str()).collect()
}

/// A stage that applied Grafana and then went into this mode.
async fn after_a_tool<'a>(world: &'a mut World, mode: &str, ready: (&str, &str)) -> Result<Stage<'a>> {
    let stage = Stage::set(world, json!({})).await?;
    stage.world.create(&services::grafana(&stage.apps)).await?;
    stage.lists(&["grafana"]).await?;
    stage.config_is("the status lists Grafana", |config| tools(config) == ["grafana"]).await?;
    stage.respec(json!({"mode": mode})).await?;
    stage.ready(ready).await?;
    Ok(stage)
}

#[tokio::test]
async fn a_preview_from_the_start_writes_no_config_map_and_shows_the_plan() -> Result<()> {
    scenario("preview-new", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        let controller = world.start_controller(ControllerOptions::default()).await?;
        let moment = world.moment(&agent).await?;
        world.configure(&agent, CONFIG, &over(without_health(&[&apps]), json!({"mode": "Preview"}))).await?;
        world.ready(&agent, CONFIG, ("True", "Preview")).await?;
        world.create(&services::grafana(&apps)).await?;

        let configs = toolset_configs(&world.client(), &agent);
        present(&configs, CONFIG, "the status lists Grafana", |config| tools(config) == ["grafana"]).await?;
        assert_eq!(moment.steps(DEFAULT_CONFIG_MAP).await?, []);
        drop(controller);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn in_preview_the_config_map_is_not_changed_and_apply_writes_it_at_once() -> Result<()> {
    scenario("preview", async |world| {
        let stage = after_a_tool(world, "Preview", ("True", "Preview")).await?;
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        stage.config_is("the plan goes on", |config| tools(config) == ["grafana", "prometheus-server"]).await?;
        let moment = stage.world.moment(&stage.agent).await?;
        stage.meddle(json!({"data": {"toolset.json": "{}"}})).await?;
        stage.world.create(&services::jaeger_query(&stage.apps)).await?;
        let all = ["grafana", "prometheus-server", "tracing-query"];
        stage.config_is("and on", |config| tools(config) == all).await?;

        let applying = stage.respec(json!({"mode": "Apply"})).await?;

        stage.lists(&all).await?;
        stage.ready(("True", "AsExpected")).await?;
        let steps = moment.steps(DEFAULT_CONFIG_MAP).await?;
        let [Step::Changed(_), Step::Changed(written)] = steps.as_slice() else {
            bail!("not somebody's edit and one write of ours: {steps:?}");
        };
        ensure!(revision(written)? > revision(&applying)?, "it was written in Preview");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn while_suspended_the_status_of_tools_does_not_change() -> Result<()> {
    scenario("suspended", async |world| {
        let stage = after_a_tool(world, "Suspended", ("False", "Suspended")).await?;
        let (suspended, moment) = (stage.config().await?, stage.world.moment(&stage.agent).await?);
        stage.config_maps().delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        stage.sees(2).await?;

        let applying = stage.respec(json!({"mode": "Apply"})).await?;
        assert_eq!(applying.data.get("status"), suspended.data.get("status"), "nothing moved until then");

        stage.lists(&["grafana", "prometheus-server"]).await?;
        let steps = moment.steps(DEFAULT_CONFIG_MAP).await?;
        let [Step::Deleted, Step::Created(written)] = steps.as_slice() else {
            bail!("not somebody's deletion and one write of ours: {steps:?}");
        };
        ensure!(revision(written)? > revision(&applying)?, "it was written while suspended");
        Ok(())
    })
    .await
}
