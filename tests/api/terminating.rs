//! The ConfigMap is being deleted, and a finalizer of another controller delays the deletion.

use anyhow::Result;
use e2e::harness::{DEFAULT_CONFIG_MAP, Step, Tools, prelude::*, services};
use kube::api::{DeleteParams, PropagationPolicy};
use serde_json::json;

use crate::stage::{CONFIG, Stage, message, over, told, without_health};

const FINALIZER: &str = "example.com/backup";

/// A stage whose ConfigMap is being deleted, which a finalizer delays.
async fn held(world: &mut World) -> Result<Stage<'_>> {
    let stage = Stage::set(world, json!({})).await?;
    stage.world.create(&services::grafana(&stage.apps)).await?;
    stage.lists(&["grafana"]).await?;
    stage.meddle(json!({"metadata": {"finalizers": [FINALIZER]}})).await?;
    stage.config_maps().delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
    Ok(stage)
}

#[tokio::test]
async fn a_config_map_that_a_finalizer_holds_is_reported_kept_up_to_date_and_created_again() -> Result<()> {
    scenario("finalizer", async |world| {
        let stage = held(world).await?;
        let config = stage.ready(("False", "OutputTerminating")).await?;
        let said = message(&config, "Ready");
        assert!(said.contains(FINALIZER) && said.contains(DEFAULT_CONFIG_MAP), "{said}");
        told(stage.world, &stage.agent, CONFIG, "OutputTerminating").await?;
        let old = stage.output().await?;

        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        stage.lists(&["grafana", "prometheus-server"]).await?;
        stage.ready(("False", "OutputTerminating")).await?;

        stage.meddle(json!({"metadata": {"finalizers": null}})).await?;
        stage.ready(("True", "AsExpected")).await?;
        let new = stage.output_is("it is another object", |new| new.metadata.uid != old.metadata.uid).await?;
        assert_eq!(Tools::of(&new)?.names(), ["grafana", "prometheus-server"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn nothing_is_written_while_the_toolset_config_is_being_deleted_too() -> Result<()> {
    scenario("both", async |world| {
        let stage = held(world).await?;
        stage.ready(("False", "OutputTerminating")).await?;
        let witness = over(without_health(&[&stage.apps]), json!({"output": {"configMapName": "witness"}}));
        stage.world.configure(&stage.agent, "witness", &witness).await?;
        let params = DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
        stage.configs().delete(CONFIG, &params).await?;
        let moment = stage.world.moment(&stage.agent).await?;

        stage.world.create(&services::prometheus_server(&stage.apps)).await?;

        present(&stage.config_maps(), "witness", "the change is answered", |config_map| {
            Tools::of(config_map).is_ok_and(|tools| tools.names() == ["grafana", "prometheus-server"])
        })
        .await?;
        let steps = moment.steps(DEFAULT_CONFIG_MAP).await?;
        let written = |step: &Step| matches!(step, Step::Changed(one) if Tools::of(one).is_ok_and(|tools| tools.names().len() == 2));
        assert!(!steps.iter().any(written), "{steps:?}");
        stage.meddle(json!({"metadata": {"finalizers": null}})).await?;
        absent(&stage.config_maps(), DEFAULT_CONFIG_MAP).await
    })
    .await
}
