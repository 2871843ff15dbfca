//! `health.mode: Probe`: a tool enters the output when its Service responds, and leaves it when its Service fails.

use std::fs;

use anyhow::{Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{Backend, FakeAgent, Reply, prelude::*, services::ServiceBuilder},
};
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use crate::{
    harness::skipped,
    probe_stage::{ProbeStage, eager, reason_of, status},
    rights,
    stage::{CONFIG, message, over, patch, version, without_health},
};

const NO_PODS: &str = "EndpointSlices need kube-controller-manager";

fn grafana(namespace: &str, name: &str) -> Service {
    ServiceBuilder::new(namespace, name)
        .labels(&[("app.kubernetes.io/name", "grafana")])
        .port("http", 3000, 3000)
        .build()
}

fn healthy() -> Reply {
    status(200, r#"{"database": "ok", "version": "11.0.0"}"#)
}

#[tokio::test]
async fn a_tool_enters_the_output_only_when_its_service_responds_at_the_health_path() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("probe-enters", async |world| {
        let stage = ProbeStage::set(world, json!({})).await?;
        let apps = stage.stage.apps.clone();
        let target = stage.target(&grafana(&apps, "g"), status(503, "")).await?;
        stage.says("g", "Unhealthy").await?;
        stage.stage.lists(&[]).await?;

        target.server.reply(healthy());

        stage.stage.lists(&["g"]).await?;
        let asked = target.server.requests();
        ensure!(asked.iter().all(|request| request.starts_with("GET /api/health HTTP/1.1\r\n")), "{asked:?}");
        let host = format!("host: g.{apps}.svc");
        ensure!(asked.iter().all(|request| request.to_lowercase().contains(&host)), "{asked:?}");
        for secret in ["authorization", "cookie", "proxy", "referer"] {
            ensure!(!asked.concat().to_lowercase().contains(secret), "{secret} in {asked:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_running_service_without_a_health_path_enters_the_output_with_its_annotations() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("probe-none", async |world| {
        let stage = ProbeStage::set(world, json!({})).await?;
        let apps = stage.stage.apps.clone();
        let database = ServiceBuilder::new(&apps, "db").port("grpc", 6334, 6334).build();
        let _target = stage.target(&database, healthy()).await?;
        let _other = stage.target(&grafana(&apps, "g"), healthy()).await?;
        stage.stage.lists(&["g"]).await?;

        let annotations = json!({"kubernaut.io/toolset": "enabled", "kubernaut.io/toolset-type": "vector-database"});
        patch(&stage.stage.world.api::<Service>(&apps), "db", json!({"metadata": {"annotations": annotations}}))
            .await?;

        // No probe of it ever ends, and nothing else happens in the cluster.
        stage.says("db", "ProbeNotAllowed").await?;
        stage.stage.lists(&["db", "g"]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_response_that_requires_a_login_or_fewer_requests_is_a_success() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("probe-there", async |world| {
        let stage = ProbeStage::set(world, json!({})).await?;
        let apps = stage.stage.apps.clone();
        let target = stage.target(&grafana(&apps, "g"), status(401, "")).await?;
        stage.stage.lists(&["g"]).await?;
        for code in [403, 405, 429, 302, 200] {
            target.server.reply(status(code, ""));
            stage.after_probes("Grafana", "success", 2.0).await?;
        }
        ensure!(stage.probes("Grafana", "failure").await? == 0.0, "one of them was a failure");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_that_flaps_changes_the_output_only_after_the_thresholds() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("probe-flaps", async |world| {
        let health = over(eager(), json!({"probe": {"failureThreshold": 3, "periodSeconds": 1, "timeoutSeconds": 1}}));
        let stage = ProbeStage::set(world, json!({"health": health})).await?;
        let apps = stage.stage.apps.clone();
        let target = stage.target(&grafana(&apps, "g"), healthy()).await?;
        stage.stage.lists(&["g"]).await?;
        let before = stage.stage.output().await?;
        for _ in 0..3 {
            target.server.reply(status(500, ""));
            stage.after_probes("Grafana", "failure", 1.0).await?;
            target.server.reply(healthy());
            stage.after_probes("Grafana", "success", 1.0).await?;
        }
        let after = stage.stage.output().await?;
        ensure!(version(&before) == version(&after), "the ConfigMap was written");

        target.server.reply(status(500, ""));
        stage.stage.lists(&[]).await?;
        let config = stage.says("g", "Unhealthy").await?;
        let text = config.data.pointer("/status/rejected/0/message").and_then(Value::as_str).unwrap_or_default();
        ensure!(text.contains("GET /api/health") && text.contains("status code 500"), "{text}");
        target.server.reply(healthy());
        stage.stage.lists(&["g"]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_probe_with_the_same_result_writes_nothing() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("probe-rest", async |world| {
        let stage = ProbeStage::set(world, json!({})).await?;
        let apps = stage.stage.apps.clone();
        let _target = stage.target(&grafana(&apps, "g"), healthy()).await?;
        stage.stage.lists(&["g"]).await?;
        let config = stage.says("g", "Selected").await?;
        stage.after_probes("Grafana", "success", 3.0).await?;
        let after = stage.stage.config().await?;
        ensure!(config.metadata.resource_version == after.metadata.resource_version, "the status was written");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_partition_of_the_operator_removes_no_tool_and_is_reported() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("probe-partition", async |world| {
        let stage = ProbeStage::set(world, json!({})).await?;
        let apps = stage.stage.apps.clone();
        let names = ["a", "b", "c", "d"];
        let mut targets = Vec::new();
        for name in names {
            targets.push(stage.target(&grafana(&apps, name), healthy()).await?);
        }
        stage.stage.lists(&names).await?;
        let before = stage.stage.output().await?;

        let mend = stage.cut_network()?;

        for name in names {
            stage.says(name, "ProbeSuspect").await?;
        }
        let config = stage
            .stage
            .config_is("it says so", |config| condition(config, "InputsSynced") == Some(("False", "ProbeSuspect")))
            .await?;
        ensure!(condition(&config, "Ready") == Some(("True", "AsExpected")), "Ready is for the output");
        ensure!(message(&config, "InputsSynced").contains("NetworkPolicies"), "{}", message(&config, "InputsSynced"));
        let after = stage.stage.output().await?;
        ensure!(version(&before) == version(&after), "the ConfigMap was written");

        mend()?;
        for name in names {
            stage.says(name, "Selected").await?;
        }
        let after = stage.stage.output().await?;
        ensure!(version(&before) == version(&after), "the ConfigMap was written");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_only_service_that_cannot_be_reached_leaves_the_output() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("probe-unreachable", async |world| {
        let stage = ProbeStage::set(world, json!({})).await?;
        let apps = stage.stage.apps.clone();
        let mut targets = Vec::new();
        for name in ["a", "b", "c"] {
            targets.push(stage.target(&grafana(&apps, name), healthy()).await?);
        }
        stage.stage.lists(&["a", "b", "c"]).await?;
        // A new Pod without a network replaces the old Pod.
        let lonely = &targets[0];
        let container = json!({"name": "app", "image": "app.example/app:1"});
        let backend = Backend::not_ready(&stage.stage.world.client(), &lonely.service, container).await?;
        backend.set_ready(true).await?;
        lonely.backend.delete().await?;
        stage.says("a", "Unreachable").await?;
        stage.stage.lists(&["b", "c"]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn after_a_failover_no_tool_leaves_or_enters_the_output_before_it_is_probed() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("probe-failover", async |world| {
        let mut stage = ProbeStage::set(world, json!({})).await?;
        let apps = stage.stage.apps.clone();
        let _good = stage.target(&grafana(&apps, "good"), healthy()).await?;
        let _bad = stage.target(&grafana(&apps, "bad"), status(503, "")).await?;
        stage.stage.lists(&["good"]).await?;
        stage.says("bad", "Unhealthy").await?;
        let before = stage.stage.output().await?;
        stage.restart().await?;
        stage.after_probes("Grafana", "success", 2.0).await?;
        let after = stage.stage.output().await?;
        ensure!(version(&before) == version(&after), "the ConfigMap was written");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_the_permission_to_get_pods_readiness_determines_the_health() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("probe-no-pods", async |world| {
        let (apps, agent) = (world.namespace("apps").await?, world.namespace("agent").await?);
        let account = world.account(&agent, "blind").await?;
        account.grant_everywhere("watched", &rights::watched()).await?;
        account.grant_everywhere("writing", &rights::writing()).await?;
        account.grant_everywhere("api-server", &rights::api_server_slice()).await?;
        let redirects = world.folder().join("redirects");
        fs::write(&redirects, "")?;
        let _controller = world
            .start_controller(ControllerOptions {
                kubeconfig: Some(account.kubeconfig().to_owned()),
                environment: vec![("TOOLSET_TEST_REDIRECTS".to_owned(), redirects.display().to_string())],
                ..ControllerOptions::for_configs_in(&agent)
            })
            .await?;
        let spec = json!({"health": eager(), "evidence": {"pods": "Disabled"}});
        let spec = over(without_health(&[&apps]), spec);
        world.configure(&agent, CONFIG, &spec).await?;
        let service = world.create(&grafana(&apps, "g")).await?;
        world.backend(&service).await?;
        world.tools(&agent, "it is listed", |tools| tools.names() == ["g"]).await?;
        let configs = toolset_configs(&world.client(), &agent);
        let config =
            present(&configs, CONFIG, "it says so", |config| reason_of(config, "g") == Some("ProbeNotAllowed")).await?;
        let text = config.data.pointer("/status/tools/0/probe").and_then(Value::as_str).unwrap_or_default();
        ensure!(text.contains("not allowed to get its Pods"), "{text}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_pod_on_the_host_network_is_not_probed() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("probe-host-network", async |world| {
        let stage = ProbeStage::set(world, json!({})).await?;
        let apps = stage.stage.apps.clone();
        let service = stage.stage.world.create(&grafana(&apps, "g")).await?;
        let server = FakeAgent::start(healthy()).await?;
        let backend = Backend::on_host_network(&stage.stage.world.client(), &service).await?;
        stage.redirect(&format!("{}:3000", backend.address()), server.port())?;
        stage.says("g", "ProbeNotAllowed").await?;
        stage.stage.lists(&["g"]).await?;
        ensure!(server.requests().is_empty(), "{:?}", server.requests());
        Ok(())
    })
    .await
}
