//! The formats for other readers: `Environment` in a real `envFrom`, the labels of the ConfigMap, and what a change of the
//! format removes.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{DEFAULT_CONFIG_MAP, prelude::*, services},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod},
};
use kube::{Api, api::DynamicObject};
use serde_json::{Value, from_value, json};

use crate::{
    harness::skipped,
    stage::{CONFIG, Stage, data, over, told, version},
};

fn environment() -> Value {
    json!({"output": {"formats": ["Environment"]}})
}

/// The keys of the data, sorted.
fn keys(output: &ConfigMap) -> Vec<&str> {
    output.data.iter().flatten().map(|(key, _)| key.as_str()).collect()
}

/// A pod that reads the ConfigMap as its environment.
fn reader(namespace: &str) -> Result<Pod> {
    Ok(from_value(json!({
        "metadata": {"namespace": namespace, "name": "reader"},
        "spec": {
            "containers": [{
                "name": "mcp", "image": "mcp.example/mcp:1",
                "envFrom": [{"configMapRef": {"name": DEFAULT_CONFIG_MAP}}],
            }],
            "automountServiceAccountToken": false,
        },
    }))?)
}

#[tokio::test]
async fn a_pod_takes_the_variables_with_env_from_and_nothing_found_is_no_variable() -> Result<()> {
    scenario("env-from", async |world| {
        let stage = Stage::set(world, environment()).await?;
        assert_eq!(keys(&stage.output().await?), Vec::<&str>::new());

        for service in [services::prometheus_server(&stage.apps), services::grafana(&stage.apps)] {
            stage.world.create(&service).await?;
        }
        let output =
            stage.output_is("it has two URLs", |output| keys(output) == ["GRAFANA_URL", "PROMETHEUS_URL"]).await?;
        let prometheus = format!("http://prometheus-server.{}.svc.cluster.local:80", stage.apps);
        assert_eq!(data(&output, "PROMETHEUS_URL"), prometheus);
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let valid = |key: &&str| key.starts_with(first) && key.chars().all(|c| first(c) || c.is_ascii_digit());
        ensure!(keys(&output).iter().all(valid), "{output:?}");
        let pod = stage.world.create(&reader(&stage.agent)?).await?;
        let source = pod.spec.context("a spec")?.containers.swap_remove(0).env_from.context("envFrom")?.swap_remove(0);
        assert_eq!(source.config_map_ref.context("a ConfigMap")?.name, DEFAULT_CONFIG_MAP);

        stage.delete_service("grafana").await?;
        stage.output_is("Grafana's variable is gone", |output| keys(output) == ["PROMETHEUS_URL"]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_change_of_the_format_removes_the_keys_of_the_old_one_and_no_other() -> Result<()> {
    scenario("of-formats", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;
        stage.meddle(json!({"data": {"notes.txt": "mine", "LOKI_URL": "http://mine"}})).await?;

        stage.respec(environment()).await?;
        stage
            .output_is("it has one variable of ours", |output| keys(output) == ["GRAFANA_URL", "LOKI_URL", "notes.txt"])
            .await?;
        stage.ready(("True", "AsExpected")).await?;

        stage.respec(json!({"output": {"formats": ["ToolsetJSON"]}})).await?;
        let output =
            stage.output_is("it has toolset.json", |output| keys(output) == ["LOKI_URL", "notes.txt", "toolset.json"]);
        assert_eq!(data(&output.await?, "LOKI_URL"), "http://mine");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_variable_that_somebody_else_set_is_taken_over_and_given_up_with_its_tool() -> Result<()> {
    scenario("taken-over", async |world| {
        let stage = Stage::set(world, environment()).await?;
        stage.meddle(json!({"data": {"GRAFANA_URL": "http://mine"}})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.output_is("it is ours", |output| data(output, "GRAFANA_URL").contains("svc.cluster.local")).await?;

        stage.meddle(json!({"data": {"GRAFANA_URL": "http://edited"}})).await?;
        stage
            .output_is("the edit is undone", |output| data(output, "GRAFANA_URL").contains("svc.cluster.local"))
            .await?;

        stage.delete_service("grafana").await?;
        stage.output_is("it is gone", |output| keys(output).is_empty()).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn labels_of_the_spec_are_on_the_config_map_repaired_and_removed() -> Result<()> {
    scenario("own-labels", async |world| {
        let with = |labels: Value| json!({"output": {"formats": ["Environment"], "labels": labels}});
        let stage = Stage::set(world, with(json!({"team": "a", "tier": "1"}))).await?;
        let label =
            |output: &ConfigMap, key: &str| output.metadata.labels.as_ref().and_then(|all| all.get(key).cloned());
        let output = stage.output().await?;
        assert_eq!((label(&output, "team"), label(&output, "tier")), (Some("a".to_owned()), Some("1".to_owned())));

        stage.meddle(json!({"metadata": {"labels": {"team": "edited", "theirs": "x"}}})).await?;
        stage.output_is("the edit is undone", |output| label(output, "team").as_deref() == Some("a")).await?;

        stage.respec(with(json!({"team": null, "tier": "2"}))).await?;
        let output =
            stage.output_is("it has the other tier", |output| label(output, "tier").as_deref() == Some("2")).await?;
        assert_eq!((label(&output, "team"), label(&output, "theirs")), (None, Some("x".to_owned())));
        let before = version(&output);
        stage.ready(("True", "AsExpected")).await?;
        assert_eq!(version(&stage.output().await?), before, "nothing is written without a change");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_tenants_service_is_told_that_the_format_is_for_trusted_ones_only() -> Result<()> {
    scenario("trusted-only", async |world| {
        let team = world.namespace("team").await?;
        let source = json!({"name": "teams", "trust": "Tenant", "namespaces": {"from": "Names", "names": [team]}});
        let stage = Stage::set(world, over(environment(), json!({"sources": [source]}))).await?;
        let service = stage.world.create(&services::annotated(&team, "prometheus", "prometheus")).await?;

        stage
            .config_is("the status says why", |config| {
                config.data.pointer("/status/rejected/0/reason") == Some(&json!("TrustedOnly"))
            })
            .await?;
        told(stage.world, &team, service.metadata.name.as_deref().unwrap_or_default(), "TrustedOnly").await?;
        assert_eq!(keys(&stage.output().await?), Vec::<&str>::new());
        Ok(())
    })
    .await
}

/// How long a restart can take. If the operator is faster than the creation of the Deployment, it tries again after half a
/// minute.
const RETRIED: Duration = Duration::from_secs(90);

#[tokio::test]
async fn every_change_of_a_variable_restarts_the_reader() -> Result<()> {
    scenario("restarts", async |world| {
        let consumer = json!({"reload": "RolloutRestart", "deploymentRef": {"name": "mcp"}, "minIntervalSeconds": 1});
        let stage = Stage::set(world, over(environment(), json!({"consumer": consumer}))).await?;
        let deployment: Deployment = from_value(json!({
            "metadata": {"namespace": stage.agent, "name": "mcp"},
            "spec": {
                "replicas": 0, "selector": {"matchLabels": {"app": "mcp"}},
                "template": {
                    "metadata": {"labels": {"app": "mcp"}},
                    "spec": {"containers": [{"name": "app", "image": "app.example/app:1"}]},
                },
            },
        }))?;
        stage.world.create(&deployment).await?;
        let deployments: Api<Deployment> = stage.world.api(&stage.agent);
        let restarted = async |times: i64| {
            within(RETRIED, &format!("the reader was restarted, {times} times in total"), async || {
                let generation = deployments.get("mcp").await?.metadata.generation;
                ensure!(generation >= Some(1 + times), "its generation is {generation:?}");
                Ok(())
            })
            .await
        };
        let current = |config: &DynamicObject| condition(config, "ConsumerReloaded") == Some(("True", "AsExpected"));

        restarted(1).await?;
        stage.config_is("the reader runs with no variable", current).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        restarted(2).await?;
        let port = json!([{"name": "service", "port": 3000, "targetPort": 3000}]);
        crate::stage::patch(&stage.services(), "grafana", json!({"spec": {"ports": port}})).await?;
        stage.output_is("the URL changed", |output| data(output, "GRAFANA_URL").ends_with(":3000")).await?;
        restarted(3).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_outage_of_the_named_tool_is_bridged_also_after_a_restart_of_the_operator() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("env-grace", async |world| {
        let health = json!({"health": {"mode": "Endpoints", "withholdAfterSeconds": 3600}});
        let stage = Stage::set(world, over(environment(), health)).await?;
        let service = stage.world.create(&services::grafana(&stage.apps)).await?;
        let backend = stage.world.backend(&service).await?;
        stage.output_is("it has a variable", |output| keys(output) == ["GRAFANA_URL"]).await?;

        backend.set_ready(false).await?;
        let unhealthy = |config: &DynamicObject| config.data.pointer("/status/summary/unhealthy") == Some(&json!(1));
        stage.config_is("the status says it", unhealthy).await?;
        let before = version(&stage.output().await?);
        let Stage { world, agent, apps, mut controller } = stage;
        ensure!(controller.terminate().await?.success());
        let controller = world.start_controller(ControllerOptions::default()).await?;
        let stage = Stage { world, apps, agent, controller };
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        let counts = |config: &DynamicObject| config.data.pointer("/status/summary/candidates") == Some(&json!(2));
        present(&stage.configs(), CONFIG, "the new process has planned", counts).await?;
        assert_eq!(version(&stage.output().await?), before);
        Ok(())
    })
    .await
}
