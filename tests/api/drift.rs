//! A ConfigMap that is changed or deleted is repaired. Keys of other field managers stay.

use anyhow::{Result, ensure};
use e2e::harness::{DEFAULT_CONFIG_MAP, prelude::*, services};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DeleteParams;
use serde_json::json;

use crate::stage::{Stage, data, message};

/// A stage with Grafana in the ConfigMap.
async fn with_grafana(world: &mut World) -> Result<Stage<'_>> {
    let stage = Stage::set(world, json!({})).await?;
    stage.world.create(&services::grafana(&stage.apps)).await?;
    stage.lists(&["grafana"]).await?;
    Ok(stage)
}

/// The parts that the operator writes. The rest of the metadata changes with every write.
fn ours(config_map: &ConfigMap) -> impl PartialEq + std::fmt::Debug {
    let metadata = &config_map.metadata;
    (config_map.data.clone(), metadata.labels.clone(), metadata.annotations.clone(), metadata.owner_references.clone())
}

async fn is_repaired(change: serde_json::Value) -> Result<()> {
    scenario("repair", async |world| {
        let stage = with_grafana(world).await?;
        let before = stage.output().await?;

        let meddled = stage.meddle(change).await?;
        assert_ne!(ours(&meddled), ours(&before), "the change changes something");

        let after = stage.output_is("it is as before", |output| ours(output) == ours(&before)).await?;
        assert_eq!(after.metadata.uid, before.metadata.uid, "repaired, not replaced");
        let repairs = "dynamictoolset_configmap_updates_total{operation=\"repair\"}";
        eventually("the repair is counted", async || {
            ensure!(stage.controller.metric(repairs).await? == Some(1.0));
            ensure!(stage.controller.metric("dynamictoolset_configmap_drift_detected_total").await? == Some(1.0));
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn an_edited_config_map_is_repaired() -> Result<()> {
    is_repaired(json!({"data": {"toolset.json": "{}"}})).await
}

#[tokio::test]
async fn a_removed_key_is_repaired() -> Result<()> {
    is_repaired(json!({"data": {"custom_toolset.yaml": null}})).await
}

#[tokio::test]
async fn a_config_map_without_its_owner_reference_is_repaired() -> Result<()> {
    is_repaired(json!({"metadata": {"ownerReferences": null}})).await
}

#[tokio::test]
async fn a_config_map_without_a_label_is_repaired() -> Result<()> {
    is_repaired(json!({"metadata": {"labels": {"app.kubernetes.io/component": null}}})).await
}

#[tokio::test]
async fn a_config_map_without_its_managed_by_label_is_repaired() -> Result<()> {
    is_repaired(json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}})).await
}

#[tokio::test]
async fn a_config_map_with_another_hash_is_repaired() -> Result<()> {
    is_repaired(json!({"metadata": {"annotations": {"kubernaut.io/content-hash": "0"}}})).await
}

#[tokio::test]
async fn a_deleted_config_map_is_restored() -> Result<()> {
    scenario("restore", async |world| {
        let stage = with_grafana(world).await?;
        let before = stage.output().await?;

        stage.config_maps().delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;

        stage
            .output_is("it is there again", |output| {
                output.metadata.uid != before.metadata.uid && ours(output) == ours(&before)
            })
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_strangers_key_survives_repairs_changes_and_is_never_written() -> Result<()> {
    scenario("stranger", async |world| {
        let stage = with_grafana(world).await?;
        let moment = stage.world.moment(&stage.agent).await?;
        stage.meddle(json!({"data": {"theirs.yaml": "a: 1"}})).await?;

        stage.meddle(json!({"data": {"toolset.json": "{}"}})).await?;
        stage.lists(&["grafana"]).await?;
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        stage.lists(&["grafana", "prometheus-server"]).await?;

        assert_eq!(data(&stage.output().await?, "theirs.yaml"), "a: 1");
        // Two writes of the other client, the repair and the new tool. The key alone caused no write.
        assert_eq!(moment.steps(DEFAULT_CONFIG_MAP).await?.len(), 4);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_immutable_config_map_is_reported_and_replaced_after_it_is_deleted() -> Result<()> {
    scenario("immutable", async |world| {
        let stage = with_grafana(world).await?;
        stage.meddle(json!({"immutable": true})).await?;

        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        let config = stage.ready(("False", "OutputConflict")).await?;
        assert!(message(&config, "Ready").contains("immutable"), "{}", message(&config, "Ready"));

        stage.config_maps().delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
        stage.lists(&["grafana", "prometheus-server"]).await?;
        stage.ready(("True", "AsExpected")).await?;
        Ok(())
    })
    .await
}
