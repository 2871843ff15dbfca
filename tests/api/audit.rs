//! Records about the outputs for Data Storage. They never delay a write, and never cause one.

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{Controller, RecordsBehaviour, RecordsService, prelude::*, services};
use http::StatusCode;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt as _, api::PostParams};
use serde_json::{from_value, json};

use crate::stage::{CONFIG, Stage, over, without_health};

/// A stage whose controller has these further arguments.
async fn stage_with(world: &mut World, arguments: Vec<String>) -> Result<Stage<'_>> {
    Stage::set_with(world, json!({}), |_| ControllerOptions { arguments, ..ControllerOptions::default() }).await
}

/// Some changes, each of which is in the ConfigMap before the next one is made. It takes this many writes, whether or
/// not there are records.
const WRITES: f64 = 5.0;

async fn changes(stage: &Stage<'_>) -> Result<()> {
    stage.world.create(&services::grafana(&stage.apps)).await?;
    stage.lists(&["grafana"]).await?;
    stage.world.create(&services::prometheus_server(&stage.apps)).await?;
    stage.lists(&["grafana", "prometheus-server"]).await?;
    let before = stage.output().await?.data;
    stage.meddle(json!({"data": {"toolset.json": "{}"}})).await?;
    stage.output_is("it is repaired", |output| output.data == before).await?;
    stage.delete_service("grafana").await?;
    stage.lists(&["prometheus-server"]).await.map(drop)
}

/// A write is counted when its answer arrives, which can be after the change is seen in the ConfigMap.
async fn takes_the_writes(controller: &Controller) -> Result<()> {
    eventually("the writes of the changes are counted, and no others", async || {
        let writes = controller.total("dynamictoolset_configmap_updates_total").await?;
        ensure!((writes - WRITES).abs() < f64::EPSILON, "{writes} writes were counted");
        Ok(())
    })
    .await
}

async fn changes_take_the_same_writes(behaviour: RecordsBehaviour) -> Result<()> {
    scenario("audit-trouble", async |world| {
        let service = RecordsService::that(behaviour).await?;
        let mut stage = stage_with(world, service.arguments()).await?;
        // The first record is on its way, and the service has it.
        service.is_asked(1).await?;
        changes(&stage).await?;
        takes_the_writes(&stage.controller).await?;
        let dropped = stage.controller.total("toolset_audit_dropped_total").await?;
        ensure!(dropped == 0.0, "{dropped} records were dropped");
        ensure!(stage.controller.terminate().await?.success(), "it does not end by itself");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_records_the_changes_take_their_writes_and_there_are_no_metrics_of_records() -> Result<()> {
    scenario("audit-off", async |world| {
        let stage = stage_with(world, Vec::new()).await?;
        changes(&stage).await?;
        takes_the_writes(&stage.controller).await?;
        ensure!(!stage.controller.metrics().await?.contains("toolset_audit"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_that_is_well_changes_no_write() -> Result<()> {
    changes_take_the_same_writes(RecordsBehaviour::Stores).await
}

#[tokio::test]
async fn a_slow_service_changes_no_write() -> Result<()> {
    changes_take_the_same_writes(RecordsBehaviour::StoresSlowly).await
}

#[tokio::test]
async fn a_service_that_hangs_changes_no_write() -> Result<()> {
    changes_take_the_same_writes(RecordsBehaviour::Hangs).await
}

#[tokio::test]
async fn a_failing_service_changes_no_write() -> Result<()> {
    changes_take_the_same_writes(RecordsBehaviour::Answers(StatusCode::INTERNAL_SERVER_ERROR)).await
}

#[tokio::test]
async fn an_overloaded_service_changes_no_write() -> Result<()> {
    changes_take_the_same_writes(RecordsBehaviour::Answers(StatusCode::TOO_MANY_REQUESTS)).await
}

#[tokio::test]
async fn an_absent_service_changes_no_write_and_what_the_queue_cannot_hold_is_counted() -> Result<()> {
    scenario("audit-absent", async |world| {
        let url = RecordsService::absent().await?;
        let arguments = vec![format!("--audit-url={url}"), "--audit-queue=1".to_owned()];
        let mut stage = stage_with(world, arguments).await?;
        changes(&stage).await?;
        takes_the_writes(&stage.controller).await?;
        // One record may be on its way, and one waits.
        let dropped = stage.controller.metric("toolset_audit_dropped_total{reason=\"queue_full\"}").await?;
        ensure!(dropped >= Some(WRITES - 2.0), "{dropped:?}");
        ensure!(stage.controller.terminate().await?.success(), "it does not end by itself");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_change_of_the_output_becomes_a_record() -> Result<()> {
    scenario("audit", async |world| {
        let service = RecordsService::that(RecordsBehaviour::Stores).await?;
        let token = world.folder().join("audit-token");
        std::fs::write(&token, "a-token\n")?;
        let arguments = [service.arguments(), vec![format!("--audit-token-file={}", token.display())]].concat();
        let stage = stage_with(world, arguments).await?;
        let config = stage.config().await?;

        let first = service.keeps("toolset_changed", |record| record["data"]["trigger"] == "spec").await?;
        ensure!(first["data"]["digest_before"].is_null() && first["data"]["generation"] == 1, "{first:#}");
        ensure!(first["data"]["field_manager"].is_string(), "{first:#}");
        ensure!(first["authorization"] == "Bearer a-token", "{first:#}");

        changes(&stage).await?;
        let added = service.keeps("toolset_changed", |record| record["data"]["added"] != json!([])).await?;
        let (agent, uid) = (&stage.agent, config.uid().context("a uid")?);
        let expected = json!({
            "kind": "toolset", "name": CONFIG, "namespace": agent, "phase": "completed", "status": "success",
            "correlation_id": format!("toolset/{agent}/{CONFIG}/{uid}"),
            "target_resource": format!("ConfigMap/{agent}/{}", e2e::harness::DEFAULT_CONFIG_MAP),
        });
        for (field, value) in expected.as_object().context("an object")? {
            ensure!(added[field] == *value, "{field}: {added:#}");
        }
        let grafana = format!("{}/grafana", stage.apps);
        let data = &added["data"];
        ensure!(data["trigger"] == "cluster" && data["added"][0]["service"] == grafana.as_str(), "{added:#}");
        ensure!(data["digest_before"] == first["data"]["digest_after"], "{added:#}");
        let summary = added["summary"].as_str().unwrap_or_default();
        ensure!(summary.contains("added grafana"), "{summary}");

        let repaired = service.keeps("drift_repaired", |_| true).await?;
        ensure!(repaired["data"]["field_manager"] == "somebody", "{repaired:#}");
        ensure!(repaired["data"]["trigger"] == "drift", "{repaired:#}");
        let removed = service.keeps("toolset_changed", |record| record["data"]["removed"] != json!([])).await?;
        ensure!(removed["data"]["removed"][0]["service"] == grafana.as_str(), "{removed:#}");

        eventually("the records are counted", async || {
            let sent = stage.controller.metric("toolset_audit_sent_total").await?;
            ensure!(sent == Some(WRITES), "{sent:?}");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn an_output_that_belongs_to_somebody_else_or_cannot_be_written_becomes_a_record() -> Result<()> {
    scenario("audit-problems", async |world| {
        let service = RecordsService::that(RecordsBehaviour::Stores).await?;
        let proxy = world.proxy().await?;
        let (apps, agent) = (world.namespace("apps").await?, world.namespace("agent").await?);
        let config_maps: Api<ConfigMap> = world.api(&agent);
        let strangers = from_value(json!({"metadata": {"name": "taken"}, "data": {"a": "b"}}))?;
        config_maps.create(&PostParams::default(), &strangers).await?;
        let options = ControllerOptions { arguments: service.arguments(), ..crate::stage::behind(&proxy) };
        let _controller = world.start_controller(options).await?;

        let spec = over(without_health(&[&apps]), json!({"output": {"configMapName": "taken"}}));
        world.configure(&agent, "conflict", &spec).await?;
        let held = service.keeps("output_held", |record| record["data"]["reason"] == "OutputConflict").await?;
        ensure!((&held["phase"], &held["status"]) == (&json!("pending"), &json!("pending")), "{held:#}");
        ensure!(held["target_resource"] == format!("ConfigMap/{agent}/taken"), "{held:#}");

        let fault = proxy.refuse(StatusCode::FORBIDDEN, |request| request.is("create", "configmaps"));
        world
            .configure(&agent, "refused", &over(without_health(&[&apps]), json!({"output": {"configMapName": "no"}})))
            .await?;
        let failed = service.keeps("apply_failed", |record| record["name"] == "refused").await?;
        ensure!((&failed["phase"], &failed["status"]) == (&json!("failed"), &json!("failure")), "{failed:#}");
        ensure!(failed["error_message"].as_str().is_some_and(|text| text.contains("ConfigMap no")), "{failed:#}");
        drop(fault);
        service.keeps("toolset_changed", |record| record["name"] == "refused").await.map(drop)
    })
    .await
}
