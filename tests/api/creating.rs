//! The ConfigMap is created with a request that fails if it exists, and its fields are then owned by server-side apply
//! alone.

use anyhow::{Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{ApiRequest, DEFAULT_CONFIG_MAP, Fault, Step, prelude::*, services},
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, from_value, json};

use crate::{
    harness::skipped,
    stage::{CONFIG, Stage, behind, data, told, version, without_health},
};

fn creates(request: &ApiRequest) -> bool {
    request.is("create", "configmaps")
}

/// Waits until the operator has sent its create, which the proxy holds.
async fn is_about_to_create(fault: &Fault) -> Result<()> {
    eventually("the operator creates the ConfigMap", async || {
        ensure!(fault.met() > 0);
        Ok(())
    })
    .await
}

fn somebodys(namespace: &str) -> Result<ConfigMap> {
    let object = json!({
        "metadata": {"namespace": namespace, "name": DEFAULT_CONFIG_MAP},
        "data": {"precious.txt": "somebody's data"},
    });
    Ok(from_value(object)?)
}

/// Checks that the operator did not change the ConfigMap, even when the ToolsetConfig is deleted.
async fn stays_somebodys(world: &World, agent: &str, theirs: &ConfigMap) -> Result<()> {
    world.ready(agent, CONFIG, ("False", "OutputConflict")).await?;
    told(world, agent, CONFIG, "OutputConflict").await?;
    let config_maps = world.api::<ConfigMap>(agent);
    assert_eq!(version(&config_maps.get(DEFAULT_CONFIG_MAP).await?), version(theirs));
    // The garbage collector deletes an owned object within a second. A second ConfigMap shows that it is at work.
    let witness = json!({"metadata": {"namespace": agent, "name": "witness", "ownerReferences": [{
        "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig", "name": CONFIG, "controller": true,
        "uid": toolset_configs(&world.client(), agent).get(CONFIG).await?.uid(),
    }]}});
    world.create::<ConfigMap>(&from_value(witness)?).await?;
    toolset_configs(&world.client(), agent).delete(CONFIG, &DeleteParams::background()).await?;
    if controllers_run() {
        absent(&config_maps, "witness").await?;
    }
    assert_eq!(version(&config_maps.get(DEFAULT_CONFIG_MAP).await?), version(theirs));
    Ok(())
}

#[tokio::test]
async fn a_config_map_that_somebody_creates_at_the_same_time_is_not_touched() -> Result<()> {
    scenario("race", async |world| {
        let proxy = world.proxy().await?;
        let agent = world.namespace("agent").await?;
        let _controller = world.start_controller(behind(&proxy)).await?;
        let fault = proxy.hold(creates);
        world.configure(&agent, CONFIG, &without_health(&[&agent])).await?;
        is_about_to_create(&fault).await?;
        let theirs = world.create(&somebodys(&agent)?).await?;
        drop(fault);

        stays_somebodys(world, &agent, &theirs).await
    })
    .await
}

#[tokio::test]
async fn a_config_map_that_somebody_creates_while_ours_is_restored_is_not_touched() -> Result<()> {
    scenario("restore-race", async |world| {
        let proxy = world.proxy().await?;
        let stage = Stage::behind(world, &proxy, json!({})).await?;
        let fault = proxy.hold(creates);
        stage.config_maps().delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
        is_about_to_create(&fault).await?;
        let theirs = stage.world.create(&somebodys(&stage.agent)?).await?;
        drop(fault);

        stays_somebodys(stage.world, &stage.agent, &theirs).await
    })
    .await
}

/// The operations by which our field manager owns fields.
fn operations(config_map: &ConfigMap) -> Vec<String> {
    let entries = config_map.metadata.managed_fields.iter().flatten();
    let ours = entries.filter(|entry| entry.manager.as_deref() == Some("toolset-operator"));
    ours.filter_map(|entry| entry.operation.clone()).collect()
}

async fn a_format_can_be_dropped(stage: &Stage<'_>) -> Result<()> {
    let moment = stage.world.moment(&stage.agent).await?;
    let before = stage.output().await?.data;
    stage.respec(json!({"output": {"formats": ["HolmesGPT"]}})).await?;
    let output = stage.output_is("its key is gone", |output| data(output, "toolset.json").is_empty()).await?;
    assert!(!data(&output, "custom_toolset.yaml").is_empty());
    stage.ready(("True", "AsExpected")).await?;
    // The next change shows that there was nothing else to write.
    stage.world.create(&services::prometheus_server(&stage.apps)).await?;
    stage
        .output_is("Prometheus is in it", |output| data(output, "custom_toolset.yaml").contains("prometheus-server"))
        .await?;
    let steps = moment.steps(DEFAULT_CONFIG_MAP).await?;
    let contents = steps.iter().filter_map(|step| match step {
        Step::Changed(config_map) => Some(config_map.data.clone()),
        _ => None,
    });
    let mut contents: Vec<_> = std::iter::once(before).chain(contents).collect();
    contents.dedup();
    assert_eq!(contents.len(), 3, "{steps:?}");
    assert_eq!(operations(&stage.output().await?), ["Apply"]);
    Ok(())
}

#[tokio::test]
async fn a_dropped_formats_key_goes_from_a_config_map_that_was_created() -> Result<()> {
    scenario("drop", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.output_is("its fields are applied", |output| operations(output) == ["Apply"]).await?;
        a_format_can_be_dropped(&stage).await
    })
    .await
}

#[tokio::test]
async fn a_dropped_formats_key_goes_although_the_create_was_not_completed() -> Result<()> {
    scenario("half", async |world| {
        let proxy = world.proxy().await?;
        let fault = proxy.refuse(http::StatusCode::SERVICE_UNAVAILABLE, |request| request.is("patch", "configmaps"));
        let stage = Stage::behind(world, &proxy, json!({})).await?;
        assert_eq!(operations(&stage.output().await?), ["Update"], "the create was not completed");
        drop(fault);
        a_format_can_be_dropped(&stage).await
    })
    .await
}

#[tokio::test]
async fn a_dropped_formats_key_goes_although_our_field_manager_updated_it() -> Result<()> {
    scenario("namesake", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;
        // For example `kubectl --field-manager=toolset-operator`.
        let params = PatchParams { field_manager: Some("toolset-operator".to_owned()), ..PatchParams::default() };
        let edit: Patch<Value> = Patch::Merge(json!({"data": {"toolset.json": "edited"}}));
        stage.config_maps().patch(DEFAULT_CONFIG_MAP, &params, &edit).await?;
        stage.lists(&["grafana"]).await?;
        a_format_can_be_dropped(&stage).await
    })
    .await
}

#[tokio::test]
async fn a_config_map_that_goes_with_its_owner_is_no_drift() -> Result<()> {
    if !controllers_run() {
        return skipped("garbage collection needs kube-controller-manager");
    }
    scenario("no-drift", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let namespaces: Api<Namespace> = Api::all(stage.world.client());
        stage.configs().delete(CONFIG, &DeleteParams::background()).await?;
        absent(&stage.config_maps(), DEFAULT_CONFIG_MAP).await?;
        stage.world.configure(&stage.agent, "second", &without_health(&[&stage.apps])).await?;
        stage.world.ready(&stage.agent, "second", ("True", "AsExpected")).await?;
        namespaces.delete(&stage.agent, &DeleteParams::background()).await?;
        absent(&namespaces, &stage.agent).await?;
        let drift = stage.controller.metric("dynamictoolset_configmap_drift_detected_total").await?;
        assert_eq!(drift, Some(0.0));
        Ok(())
    })
    .await
}
