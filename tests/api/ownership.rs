//! The owner of the ConfigMap: a ToolsetConfig, another ToolsetConfig, another owner, or no owner.

use anyhow::{Result, bail, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{DEFAULT_CONFIG_MAP, Step, Tools, prelude::*, services},
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api,
    api::{DeleteParams, PropagationPolicy},
};
use serde_json::{Value, from_value, json};

use crate::{
    harness::skipped,
    stage::{CONFIG, Stage, a_second_after, data, message, over, patch, revision, told, version, without_health},
};

/// A ConfigMap of another owner with the name of ours.
async fn foreign(world: &World, namespace: &str, labels: Value) -> Result<ConfigMap> {
    let object = json!({
        "metadata": {"namespace": namespace, "name": DEFAULT_CONFIG_MAP, "labels": labels},
        "data": {"toolset.json": "{\"tools\": [\"theirs\"]}", "more.txt": "theirs"},
    });
    world.create(&from_value(object)?).await
}

#[tokio::test]
async fn two_toolset_configs_in_two_namespaces_do_not_touch_each_other() -> Result<()> {
    scenario("two", async |world| {
        let (one, other) = (world.namespace("one").await?, world.namespace("other").await?);
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        for namespace in [&one, &other] {
            world.configure(namespace, CONFIG, &without_health(&[namespace])).await?;
            world.ready(namespace, CONFIG, ("True", "AsExpected")).await?;
        }
        let moment = world.moment(&other).await?;

        world.create(&services::grafana(&one)).await?;
        world.tools(&one, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;
        let config_maps: Api<ConfigMap> = world.api(&one);
        config_maps.delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
        world.tools(&one, "lists Grafana again", |tools| tools.names() == ["grafana"]).await?;

        assert_eq!(moment.steps(DEFAULT_CONFIG_MAP).await?, []);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_two_toolset_configs_for_one_config_map_the_older_writes_and_the_other_takes_over_later() -> Result<()> {
    scenario("rivals", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;
        let older = stage.config().await?;

        a_second_after(&older, stage.world, &stage.agent).await?;
        // Its name sorts first, but the age decides before the name.
        stage.world.configure(&stage.agent, "a-later", &without_health(&[&stage.agent])).await?;
        let later = stage.world.ready(&stage.agent, "a-later", ("False", "OutputConflict")).await?;
        assert!(message(&later, "Ready").contains(CONFIG), "{}", message(&later, "Ready"));
        let owners = stage.output().await?.metadata.owner_references.unwrap_or_default();
        assert_eq!(owners.first().map(|owner| owner.uid.clone()), older.metadata.uid);

        stage.configs().delete(CONFIG, &DeleteParams::background()).await?;

        stage.world.ready(&stage.agent, "a-later", ("True", "AsExpected")).await?;
        stage.lists(&[]).await?;
        let owners = stage.output().await?.metadata.owner_references.unwrap_or_default();
        assert_eq!(owners.first().map(|owner| owner.uid.clone()), later.metadata.uid);
        Ok(())
    })
    .await
}

async fn nothing_restores_a_deleted_config_map(policy: PropagationPolicy) -> Result<()> {
    if !controllers_run() {
        return skipped("garbage collection needs kube-controller-manager");
    }
    scenario("deletion", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;
        // Another ToolsetConfig shows that changes are still written.
        let witness = over(without_health(&[&stage.apps]), json!({"output": {"configMapName": "witness"}}));
        stage.world.configure(&stage.agent, "witness", &witness).await?;
        let moment = stage.world.moment(&stage.agent).await?;

        let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
        stage.configs().delete(CONFIG, &params).await?;

        absent(&stage.configs(), CONFIG).await?;
        absent(&stage.config_maps(), DEFAULT_CONFIG_MAP).await?;
        // A change that would concern the deleted ToolsetConfig.
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        present(&stage.config_maps(), "witness", "the change is answered", |config_map| {
            Tools::of(config_map).is_ok_and(|tools| tools.names() == ["grafana", "prometheus-server"])
        })
        .await?;
        // With foreground deletion, the garbage collector changes it once. Nothing creates it again.
        let steps = moment.steps(DEFAULT_CONFIG_MAP).await?;
        assert!(!steps.iter().any(|step| matches!(step, Step::Created(_))), "{steps:?}");
        assert_eq!(steps.iter().filter(|step| **step == Step::Deleted).count(), 1, "{steps:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn deleting_the_toolset_config_in_the_background_removes_the_config_map_and_nothing_restores_it() -> Result<()> {
    nothing_restores_a_deleted_config_map(PropagationPolicy::Background).await
}

#[tokio::test]
async fn deleting_the_toolset_config_in_the_foreground_removes_the_config_map_and_nothing_restores_it() -> Result<()> {
    nothing_restores_a_deleted_config_map(PropagationPolicy::Foreground).await
}

#[tokio::test]
async fn deleting_the_whole_namespace_causes_no_error() -> Result<()> {
    if !controllers_run() {
        return skipped("namespaces are emptied by kube-controller-manager");
    }
    scenario("terminating", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;

        let namespaces: Api<Namespace> = Api::all(stage.world.client());
        namespaces.delete(&stage.agent, &DeleteParams::background()).await?;
        absent(&namespaces, &stage.agent).await?;

        let failed = stage.controller.metric("dynamictoolset_reconciles_total{result=\"failed\"}").await?;
        assert!(failed.is_none_or(|count| count < 1.0), "{failed:?}");
        assert_eq!(stage.controller.health("/health").await?.0, 200);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_orphan_stays_and_a_new_toolset_config_of_the_name_takes_it_over() -> Result<()> {
    scenario("orphan", async |world| {
        let orphan = json!({"output": {"deletionPolicy": "Orphan"}});
        let stage = Stage::set(world, orphan.clone()).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;
        let before = stage.output().await?;
        assert_eq!(before.metadata.owner_references, None);

        stage.configs().delete(CONFIG, &DeleteParams::background()).await?;
        absent(&stage.configs(), CONFIG).await?;
        let moment = stage.world.moment(&stage.agent).await?;
        stage.delete_service("grafana").await?;
        stage.sees(0).await?;

        let heir = over(without_health(&[&stage.apps]), orphan);
        let heir = stage.world.configure(&stage.agent, CONFIG, &heir).await?;
        stage.ready(("True", "AsExpected")).await?;
        stage.lists(&[]).await?;
        let steps = moment.steps(DEFAULT_CONFIG_MAP).await?;
        let [Step::Changed(written)] = steps.as_slice() else { bail!("not one write: {steps:?}") };
        ensure!(revision(written)? > revision(&heir)?, "it was written when nobody asked for it");
        assert_eq!(written.metadata.uid, before.metadata.uid);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn switching_the_deletion_policy_removes_and_restores_the_owner_reference() -> Result<()> {
    scenario("policy", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let owned = |output: &ConfigMap| output.metadata.owner_references.as_ref().is_some_and(|all| all.len() == 1);
        assert!(owned(&stage.output().await?));

        stage.respec(json!({"output": {"deletionPolicy": "Orphan"}})).await?;
        stage.output_is("it has no owner", |output| output.metadata.owner_references.is_none()).await?;

        stage.respec(json!({"output": {"deletionPolicy": "Delete"}})).await?;
        stage.output_is("it has an owner", owned).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_strangers_config_map_is_not_overwritten_until_it_may_be_adopted() -> Result<()> {
    scenario("conflict", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        let theirs = foreign(world, &agent, json!({"app.kubernetes.io/managed-by": "Helm"})).await?;
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        world.create(&services::grafana(&apps)).await?;
        world.configure(&agent, CONFIG, &without_health(&[&apps])).await?;

        let config = world.ready(&agent, CONFIG, ("False", "OutputConflict")).await?;
        let said = message(&config, "Ready");
        assert!(said.contains("Helm") && said.contains("Adopt"), "{said}");
        told(world, &agent, CONFIG, "OutputConflict").await?;
        let config_maps: Api<ConfigMap> = world.api(&agent);
        assert_eq!(version(&config_maps.get(DEFAULT_CONFIG_MAP).await?), version(&theirs));

        let adopt = json!({"spec": {"output": {"conflictPolicy": "Adopt"}}});
        patch(&toolset_configs(&world.client(), &agent), CONFIG, adopt).await?;

        world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
        world.tools(&agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;
        let adopted = config_maps.get(DEFAULT_CONFIG_MAP).await?;
        assert_eq!((data(&adopted, "more.txt"), &adopted.metadata.uid), ("theirs", &theirs.metadata.uid));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_conflict_is_over_when_the_stranger_deletes_its_config_map() -> Result<()> {
    scenario("conflict-over", async |world| {
        let agent = world.namespace("agent").await?;
        foreign(world, &agent, json!({})).await?;
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        world.configure(&agent, CONFIG, &without_health(&[&agent])).await?;
        world.ready(&agent, CONFIG, ("False", "OutputConflict")).await?;

        let config_maps: Api<ConfigMap> = world.api(&agent);
        config_maps.delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;

        world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
        world.tools(&agent, "is ours", |tools| tools.names().is_empty()).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_predecessors_config_map_is_adopted_and_keeps_the_keys_of_others() -> Result<()> {
    scenario("predecessor", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        let labels = json!({
            "app.kubernetes.io/managed-by": "kubernaut", "app.kubernetes.io/component": "dynamic-toolset",
        });
        let theirs = foreign(world, &agent, labels).await?;
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        world.create(&services::grafana(&apps)).await?;
        world.configure(&agent, CONFIG, &without_health(&[&apps])).await?;

        world.tools(&agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;
        let config_maps: Api<ConfigMap> = world.api(&agent);
        let adopted = config_maps.get(DEFAULT_CONFIG_MAP).await?;
        assert_eq!((data(&adopted, "more.txt"), &adopted.metadata.uid), ("theirs", &theirs.metadata.uid));

        // Its field manager does not own toolset.json any more, so a key that we drop is removed.
        let only = json!({"spec": {"output": {"formats": ["HolmesGPT"]}}});
        patch(&toolset_configs(&world.client(), &agent), CONFIG, only).await?;
        let dropped = present(&config_maps, DEFAULT_CONFIG_MAP, "it has no toolset.json", |output| {
            data(output, "toolset.json").is_empty()
        });
        assert_eq!(data(&dropped.await?, "more.txt"), "theirs");
        Ok(())
    })
    .await
}

/// A ConfigMap that cannot be adopted is a conflict that says why. `cure` ends the conflict.
async fn cannot_be_adopted(object: Value, says: &[&str], cure: Value) -> Result<()> {
    scenario("not-adopted", async |world| {
        let agent = world.namespace("agent").await?;
        let mut object = over(json!({"data": {"more.txt": "theirs"}}), object);
        object["metadata"]["namespace"] = json!(agent);
        object["metadata"]["name"] = json!(DEFAULT_CONFIG_MAP);
        if let Some(owner) = object.pointer_mut("/metadata/ownerReferences/0") {
            // The garbage collector deletes an object whose owner does not exist.
            let real = json!({"metadata": {"namespace": agent, "name": "theirs"}});
            owner["uid"] = json!(world.create::<ConfigMap>(&from_value(real)?).await?.metadata.uid);
        }
        let theirs: ConfigMap = world.create(&from_value(object)?).await?;
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        let spec = over(without_health(&[&agent]), json!({"output": {"conflictPolicy": "Adopt"}}));
        world.configure(&agent, CONFIG, &spec).await?;

        let config = world.ready(&agent, CONFIG, ("False", "OutputConflict")).await?;
        let said = message(&config, "Ready");
        assert!(says.iter().all(|part| said.contains(part)), "{said}");
        told(world, &agent, CONFIG, "OutputConflict").await?;
        let config_maps: Api<ConfigMap> = world.api(&agent);
        assert_eq!(version(&config_maps.get(DEFAULT_CONFIG_MAP).await?), version(&theirs));

        if cure.is_null() {
            config_maps.delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
        } else {
            patch(&config_maps, DEFAULT_CONFIG_MAP, cure).await?;
        }
        world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_config_map_that_another_object_controls_is_not_adopted() -> Result<()> {
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "controller": true});
    let object = json!({"metadata": {"ownerReferences": [owner]}});
    cannot_be_adopted(object, &["ConfigMap theirs", "owner reference"], json!({"metadata": {"ownerReferences": null}}))
        .await
}

#[tokio::test]
async fn a_config_map_whose_binary_data_has_our_key_is_not_adopted() -> Result<()> {
    let object = json!({"metadata": {}, "binaryData": {"toolset.json": "AAEC"}});
    cannot_be_adopted(object, &["binaryData", "toolset.json"], json!({"binaryData": null})).await
}

#[tokio::test]
async fn an_immutable_config_map_is_not_adopted() -> Result<()> {
    let object = json!({"metadata": {}, "immutable": true});
    cannot_be_adopted(object, &["immutable", "Delete"], Value::Null).await
}
