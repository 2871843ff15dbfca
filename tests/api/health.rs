//! A tool is added when its endpoint is ready, and removed only after its grace period.

use anyhow::{Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{Backend, prelude::*, services},
};
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::{
    harness::skipped,
    stage::{Stage, version},
};

/// Grafana in the output, with one ready Pod behind it.
async fn with_a_pod(world: &mut World, health: Value) -> Result<(Stage<'_>, Backend)> {
    let stage = Stage::set(world, json!({"health": health})).await?;
    let service = stage.world.create(&services::grafana(&stage.apps)).await?;
    let backend = stage.world.backend(&service).await?;
    stage.lists(&["grafana"]).await?;
    Ok((stage, backend))
}

fn unhealthy(count: u32) -> impl Fn(&DynamicObject) -> bool {
    move |config| config.data.pointer("/status/summary/unhealthy") == Some(&json!(count))
}

#[tokio::test]
async fn a_tool_enters_when_its_endpoint_is_ready() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("enters", async |world| {
        let stage = Stage::set(world, json!({"health": {"mode": "Endpoints"}})).await?;
        let service = stage.world.create(&services::grafana(&stage.apps)).await?;
        stage
            .config_is("it waits for an endpoint", |config| {
                config.data.pointer("/status/rejected/0/reason") == Some(&json!("Unhealthy")) || unhealthy(1)(config)
            })
            .await?;
        stage.lists(&[]).await?;

        stage.world.backend(&service).await?;

        stage.lists(&["grafana"]).await?;
        stage.config_is("all is well", unhealthy(0)).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_tool_without_an_endpoint_leaves_after_its_grace_period_and_comes_back_at_once() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("leaves", async |world| {
        let (stage, backend) = with_a_pod(world, json!({"withholdAfterSeconds": 1})).await?;
        backend.set_ready(false).await?;
        stage.lists(&[]).await?;
        backend.set_ready(true).await?;
        stage.lists(&["grafana"]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_pod_that_is_not_ready_for_a_moment_changes_no_entry_even_if_the_operator_restarts() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("flaps", async |world| {
        let (stage, backend) = with_a_pod(world, json!({"withholdAfterSeconds": 3600})).await?;
        let before = stage.output().await?;

        backend.set_ready(false).await?;
        stage.config_is("the status says it", unhealthy(1)).await?;
        let Stage { world, agent, apps, mut controller } = stage;
        ensure!(controller.terminate().await?.success());
        let controller = world.start_controller(ControllerOptions::default()).await?;
        let stage = Stage { world, apps, agent, controller };

        let unchanged = "dynamictoolset_reconciles_total{result=\"unchanged\"}";
        eventually("the new process has made up its mind", async || {
            ensure!(stage.controller.metric(unchanged).await?.is_some_and(|count| count >= 1.0));
            Ok(())
        })
        .await?;
        assert_eq!(version(&stage.output().await?), version(&before));
        ensure!(unhealthy(1)(&stage.config().await?), "and it says what the old one said");
        backend.set_ready(true).await?;
        stage.config_is("all is well", unhealthy(0)).await?;
        assert_eq!(version(&stage.output().await?), version(&before));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_terminating_endpoint_is_no_endpoint() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("terminating", async |world| {
        let (stage, backend) = with_a_pod(world, json!({"withholdAfterSeconds": 0})).await?;
        backend.terminate().await?;
        stage.lists(&[]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn with_effect_report_an_unhealthy_tool_stays_and_the_status_says_so() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("report", async |world| {
        let (stage, backend) = with_a_pod(world, json!({"effect": "Report", "withholdAfterSeconds": 0})).await?;
        backend.delete().await?;
        let config = stage.config_is("the status says it", unhealthy(1)).await?;
        assert_eq!(config.data.pointer("/status/tools/0/health"), Some(&json!("Unhealthy")));
        stage.lists(&["grafana"]).await?;
        Ok(())
    })
    .await
}
