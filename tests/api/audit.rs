//! Records about the outputs for Data Storage. They never delay a write, and never cause one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use e2e::harness::{Controller, prelude::*, services};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt as _, api::PostParams};
use serde_json::{Value, from_value, json};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use crate::stage::{CONFIG, Stage, over, without_health};

/// How the service treats what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Stores,
    StoresSlowly,
    Hangs,
    Answers(StatusCode),
}

#[derive(Clone, Default)]
struct Known(Arc<Mutex<(usize, Vec<Value>)>>);

impl Known {
    fn with<T>(&self, of: impl FnOnce(&mut (usize, Vec<Value>)) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A service in the place of Data Storage, which keeps the records. It ends with the value.
struct Service {
    url: String,
    known: Known,
    task: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    async fn that(behaviour: Behaviour) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let known = Known::default();
        let router = Router::new()
            .route("/api/v1/audit/events/batch", axum::routing::post(batch))
            .with_state((behaviour, known.clone()));
        let task = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { url, known, task })
    }

    fn arguments(&self) -> Vec<String> {
        vec![format!("--audit-url={}", self.url)]
    }

    /// Waits until that many requests have arrived.
    async fn is_asked(&self, times: usize) -> Result<()> {
        eventually(&format!("{times} requests for records"), async || {
            let arrived = self.known.with(|known| known.0);
            ensure!(arrived >= times, "{arrived}");
            Ok(())
        })
        .await
    }

    /// Waits for a record with this action that meets a condition.
    async fn keeps(&self, action: &str, condition: impl Fn(&Value) -> bool) -> Result<Value> {
        eventually(&format!("a record of {action}"), async || {
            let records = self.known.with(|known| known.1.clone());
            let found = records.iter().find(|record| record["action_type"] == action && condition(record)).cloned();
            found.with_context(|| serde_json::to_string_pretty(&records).unwrap_or_default())
        })
        .await
    }
}

async fn batch(
    State((behaviour, known)): State<(Behaviour, Known)>,
    headers: HeaderMap,
    body: Bytes,
) -> std::result::Result<Response, StatusCode> {
    known.with(|known| known.0 += 1);
    match behaviour {
        Behaviour::Stores => {}
        Behaviour::StoresSlowly => sleep(Duration::from_millis(500)).await,
        Behaviour::Hangs => std::future::pending().await,
        Behaviour::Answers(status) => return Ok((status, [(header::RETRY_AFTER, "1")]).into_response()),
    }
    let mut body: Value = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let events: Vec<Value> = body["events"].as_array_mut().map(std::mem::take).ok_or(StatusCode::BAD_REQUEST)?;
    let results: Vec<_> =
        events.iter().map(|event| json!({"event_id": event["event_id"], "status": "created"})).collect();
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    known.with(|known| {
        known.1.extend(events.into_iter().map(|event| over(event, json!({"authorization": authorization}))));
    });
    let answer = json!({"created": results.len(), "duplicates": 0, "rejected": 0, "results": results});
    Ok(([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response())
}

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

async fn changes_take_the_same_writes(behaviour: Behaviour) -> Result<()> {
    scenario("audit-trouble", async |world| {
        let service = Service::that(behaviour).await?;
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
    changes_take_the_same_writes(Behaviour::Stores).await
}

#[tokio::test]
async fn a_slow_service_changes_no_write() -> Result<()> {
    changes_take_the_same_writes(Behaviour::StoresSlowly).await
}

#[tokio::test]
async fn a_service_that_hangs_changes_no_write() -> Result<()> {
    changes_take_the_same_writes(Behaviour::Hangs).await
}

#[tokio::test]
async fn a_failing_service_changes_no_write() -> Result<()> {
    changes_take_the_same_writes(Behaviour::Answers(StatusCode::INTERNAL_SERVER_ERROR)).await
}

#[tokio::test]
async fn an_overloaded_service_changes_no_write() -> Result<()> {
    changes_take_the_same_writes(Behaviour::Answers(StatusCode::TOO_MANY_REQUESTS)).await
}

#[tokio::test]
async fn an_absent_service_changes_no_write_and_what_the_queue_cannot_hold_is_counted() -> Result<()> {
    scenario("audit-absent", async |world| {
        // The port is free again, and nobody listens there.
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let arguments = vec![format!("--audit-url=http://{address}"), "--audit-queue=1".to_owned()];
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
        let service = Service::that(Behaviour::Stores).await?;
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
        let service = Service::that(Behaviour::Stores).await?;
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
