//! The status follows the ConfigMap. It is written at most once per second, and the last write is complete.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{
    ApiRequest, Exchange,
    prelude::*,
    services::{self, ServiceBuilder},
};
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use crate::stage::{CONFIG, Stage, counts, data, patch, told};

/// How often the Service changes.
const PACE: Duration = Duration::from_millis(100);
const CHANGES: usize = 50;

fn writes_the_status(request: &ApiRequest) -> bool {
    request.is("patch", "toolsetconfigs/status") && request.name == CONFIG
}

fn path(number: usize) -> Value {
    json!({"metadata": {"annotations": {"kubernaut.io/toolset-path": format!("/number-{number}")}}})
}

fn ends_with(config: &DynamicObject, end: &str) -> bool {
    let endpoint = config.data.pointer("/status/tools/0/endpoint").and_then(Value::as_str);
    endpoint.is_some_and(|endpoint| endpoint.ends_with(end))
}

/// Fails if the status was written more often than once per second. A busy machine may delay one write by up to a
/// second, so that two of them can be close together.
fn at_most_one_per_second(writes: &[Exchange]) -> Result<()> {
    for (number, write) in writes.iter().enumerate() {
        for (distance, later) in writes[number..].iter().enumerate() {
            let took = later.arrived - write.arrived;
            let least = Duration::from_secs(u64::try_from(distance)?).saturating_sub(Duration::from_secs(1));
            ensure!(took >= least, "{} writes of the status in {took:?}, {} in all", distance + 1, writes.len());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_service_that_changes_all_the_time_costs_one_status_per_second_and_the_last_is_complete() -> Result<()> {
    scenario("pace", async |world| {
        let proxy = world.proxy().await?;
        let stage = Stage::behind(world, &proxy, json!({})).await?;
        stage.world.create(&services::annotated(&stage.apps, "vectors", "vector-database")).await?;
        stage.config_is("the status counts it", |config| counts(config, 1)).await?;

        let since = proxy.exchanges_of(writes_the_status).len();
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 1..=CHANGES {
            pace.tick().await;
            patch(&stage.services(), "vectors", path(number)).await?;
        }

        let end = format!("/number-{CHANGES}");
        stage
            .world
            .tools(&stage.agent, "the last change is in the ConfigMap", |tools| {
                tools.endpoint("vectors").is_some_and(|endpoint| endpoint.ends_with(&end))
            })
            .await?;
        let config = stage.config_is("and in the status", |config| ends_with(config, &end)).await?;
        let output = stage.output().await?;
        let hash = output.metadata.annotations.unwrap_or_default().remove("kubernaut.io/content-hash");
        assert_eq!(config.data.pointer("/status/output/hash").and_then(Value::as_str), hash.as_deref());
        let writes = proxy.exchanges_of(writes_the_status).split_off(since);
        ensure!(writes.len() > 1, "it was never written while the Service changed");
        at_most_one_per_second(&writes)
    })
    .await
}

#[tokio::test]
async fn on_sigterm_the_last_status_is_written_before_the_lease_is_released() -> Result<()> {
    scenario("flush", async |world| {
        let proxy = world.proxy().await?;
        let mut stage = Stage::elected(world, &proxy, json!({})).await?;
        stage.world.create(&services::annotated(&stage.apps, "vectors", "vector-database")).await?;
        stage.config_is("the status counts it", |config| counts(config, 1)).await?;

        // Faster than one status per second.
        for number in 1..=3 {
            patch(&stage.services(), "vectors", path(number)).await?;
            let end = format!("/number-{number}");
            stage
                .output_is("the change is in the ConfigMap", |output| data(output, "toolset.json").contains(&end))
                .await?;
        }
        ensure!(stage.controller.terminate().await?.success());

        ensure!(ends_with(&stage.config().await?, "/number-3"), "{:?}", stage.config().await?.data.get("status"));
        let requests = proxy.exchanges();
        let status = requests.iter().rfind(|one| writes_the_status(&one.request)).context("the status was written")?;
        let released = requests.iter().find(|one| {
            one.request.is("update", "leases")
                && one.json()["spec"]["holderIdentity"].as_str().is_none_or(str::is_empty)
        });
        let released = released.context("the lease was released")?.arrived;
        ensure!(
            status.succeeded() && status.end.is_some_and(|(at, _)| at <= released),
            "{status:?}, released {released:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_skipped_status_would_have_said_is_in_the_next_and_has_its_events() -> Result<()> {
    scenario("skipped", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;

        // Several states in quick succession. The ConfigMap shows that each was planned.
        let unmatched = json!({"overrides": [{"name": "o", "match": {"service": "nosuch"}, "state": "Disabled"}]});
        stage.respec(unmatched).await?;
        for name in ["one", "two"] {
            let malformed = ServiceBuilder::new(&stage.apps, &format!("malformed-{name}"))
                .annotation("kubernaut.io/toolset", "perhaps")
                .port("http", 80, 80)
                .build();
            stage.world.create(&malformed).await?;
            stage.world.create(&services::prometheus_named(&stage.apps, name)).await?;
            stage.world.tools(&stage.agent, &format!("lists {name}"), |tools| tools.names().contains(&name)).await?;
        }

        let config = stage.config_is("the last state", |config| {
            config.data.pointer("/status/summary")
                == Some(&json!({"candidates": 5, "tools": 3, "unhealthy": 0, "rejected": 2}))
        });
        assert_eq!(condition(&config.await?, "OverridesApplied"), Some(("False", "OverrideUnmatched")));
        told(stage.world, &stage.agent, CONFIG, "OverrideUnmatched").await?;
        for name in ["malformed-one", "malformed-two"] {
            told(stage.world, &stage.apps, name, "InvalidAnnotation").await?;
        }
        Ok(())
    })
    .await
}

/// Another program's condition, as server-side apply writes it beside ours.
fn reviewed(status: &str) -> Patch<Value> {
    Patch::Apply(json!({
        "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig", "metadata": {"name": CONFIG},
        "status": {"conditions": [{
            "type": "Reviewed", "status": status, "reason": "ByAPerson", "message": "Somebody has read it.",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]},
    }))
}

#[tokio::test]
async fn a_condition_of_another_program_is_left_alone_and_causes_no_write() -> Result<()> {
    scenario("foreign", async |world| {
        let proxy = world.proxy().await?;
        let stage = Stage::behind(world, &proxy, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.config_is("the status counts it", |config| counts(config, 1)).await?;
        let reviewer = PatchParams::apply("reviewer");
        let since = proxy.exchanges_of(writes_the_status).len();

        for status in ["Unknown", "False", "True"] {
            stage.configs().patch_status(CONFIG, &reviewer, &reviewed(status)).await?;
        }
        // A change that must be written comes after them.
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        let config = stage.config_is("the status counts both", |config| counts(config, 2)).await?;

        assert_eq!(condition(&config, "Reviewed"), Some(("True", "ByAPerson")));
        let writes = proxy.exchanges_of(writes_the_status).split_off(since);
        ensure!(writes.len() == 1, "{} writes, one of them for Prometheus", writes.len());
        ensure!(!String::from_utf8_lossy(&writes[0].body).contains("Reviewed"), "a foreign condition is written");
        Ok(())
    })
    .await
}
