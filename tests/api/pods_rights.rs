//! The permission to read Pods, when it is missing, revoked and granted again.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{DEFAULT_CONFIG_MAP, prelude::*, services},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service},
};
use kube::{Api, api::DeleteParams};
use serde_json::{Value, json};

use crate::{
    harness::skipped,
    pods::{grafana_under, has_path, path},
    rights,
    stage::{CONFIG, message, patch, without_health},
};

/// The data of the ConfigMap.
async fn output(world: &World, agent: &str) -> Result<Option<BTreeMap<String, String>>> {
    let config_maps: Api<ConfigMap> = world.api(agent);
    Ok(config_maps.get(DEFAULT_CONFIG_MAP).await?.data)
}

#[tokio::test]
async fn while_pods_may_not_be_read_the_config_map_stays_and_it_recovers_without_a_restart() -> Result<()> {
    if !controllers_run() {
        return skipped("Deployments need kube-controller-manager");
    }
    scenario("pods-revoked", async |world| {
        let (apps, agent) = (world.namespace("apps").await?, world.namespace("agent").await?);
        let account = rights::operator(world, &agent).await?;
        let options = || ControllerOptions {
            kubeconfig: Some(account.kubeconfig().to_owned()),
            ..ControllerOptions::for_configs_in(&agent)
        };
        let controller = world.start_controller(options()).await?;
        let _kubelet = world.kubelet(&apps).await?;
        world.configure(&agent, CONFIG, &without_health(&[&apps])).await?;
        let grafana = world.create(&services::grafana(&apps)).await?;
        world.deploy(&grafana, "grafana", grafana_under("/grafana")).await?;
        has_path(world, &agent, "grafana", "/grafana").await?;
        let configs = toolset_configs(&world.client(), &agent);
        let says = async |what: &str, expected: bool| {
            present(&configs, CONFIG, what, |config| {
                let text = message(config, "InputsSynced");
                condition(config, "InputsSynced") == Some(("True", "AsExpected"))
                    && (text.contains(&apps) && text.contains("rbac.pods")) == expected
            })
            .await
        };
        says("all is well", false).await?;
        present(&configs, CONFIG, "the path is noted", |config| {
            let parts = config.data.pointer("/status/tools/0/fromPods").and_then(Value::as_array);
            parts.is_some_and(|parts| parts.contains(&"Path".into()))
        })
        .await?;
        let before = output(world, &agent).await?;

        account.revoke_everywhere("pods").await?;
        // A rollout replaces the Pods, and the new ones cannot be read.
        let deployments: Api<Deployment> = world.api(&apps);
        let change = json!({"spec": {"template": {"spec": {"containers": [grafana_under("/later")]}}}});
        patch(&deployments, "grafana", change).await?;
        says("it says what is missing", true).await?;
        ensure!(output(world, &agent).await? == before, "it changed while Pods cannot be read");

        drop(controller);
        let mut controller = world.start_controller(options()).await?;
        // What is not about Pods still takes effect, and the first write comes after it is known that they are refused.
        let prometheus = world.create(&services::prometheus_server(&apps)).await?;
        let tools = world.tools(&agent, "lists Prometheus as well", |tools| tools.names().len() == 2).await?;
        ensure!(path(&tools, "grafana") == Some("/grafana"), "{tools:?}");
        let in_apps: Api<Service> = world.api(&apps);
        in_apps.delete("prometheus-server", &DeleteParams::default()).await?;
        world.tools(&agent, "Prometheus is gone", |tools| tools.names() == ["grafana"]).await?;
        says("the next process says it, too", true).await?;
        ensure!(output(world, &agent).await? == before, "it changed after a restart");

        account.grant_everywhere("pods", &rights::pods()).await?;
        // It asks again every 5 minutes, and at once after a read that succeeds elsewhere.
        let elsewhere = world.namespace("elsewhere").await?;
        let _kubelet = world.kubelet(&elsewhere).await?;
        patch(&configs, CONFIG, json!({"spec": without_health(&[&apps, &elsewhere])})).await?;
        let other = world.create(&services::jaeger_query(&elsewhere)).await?;
        world.deploy(&other, "other", json!({"name": "c", "image": "example.com/c:1"})).await?;
        has_path(world, &agent, "grafana", "/later").await?;
        says("all is well again", false).await?;
        controller.process().require_running()?;
        drop(prometheus);
        Ok(())
    })
    .await
}
