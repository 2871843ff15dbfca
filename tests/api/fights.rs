//! Another client keeps reverting what the operator writes. The repairs slow down, the operator reports the conflict,
//! and the last repair stays when the other client stops.
//!
//! The proxy records when requests arrive. The operator counts from the answer to a write to the next write, so a busy
//! machine can only increase the time between two writes.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::harness::{ApiRequest, DEFAULT_CONFIG_MAP, Exchange, Proxy, prelude::*, services};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::stage::{CONFIG, Stage, counts, data, message, told};

/// How many repairs in a minute are made at once.
const FREE: usize = 5;
/// The delay of each repair after them.
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// A minute without a revert ends a conflict.
const OVER: Duration = Duration::from_secs(90);

fn writes_the_config_map(request: &ApiRequest) -> bool {
    request.is("patch", "configmaps") && request.name == DEFAULT_CONFIG_MAP
}

fn creates_a_config_map(request: &ApiRequest) -> bool {
    request.is("create", "configmaps")
}

fn writes_the_status(request: &ApiRequest) -> bool {
    request.is("patch", "toolsetconfigs/status")
}

/// The requests after the first `since` that were carried out.
fn carried_out(proxy: &Proxy, of: fn(&ApiRequest) -> bool, since: usize) -> Vec<Exchange> {
    proxy.exchanges_of(of).split_off(since).into_iter().filter(Exchange::succeeded).collect()
}

/// Reverts each repair with `revert`, and fails unless the repairs slow down. Five repairs are made at once, and three
/// more after 1 s, 2 s and 4 s. `revert` returns whether there was anything to revert.
async fn the_brake_holds(
    proxy: &Proxy,
    of: fn(&ApiRequest) -> bool,
    mut revert: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let since = proxy.exchanges_of(of).len();
    let mut reverts = 0;
    eventually("three repairs were braked", async || {
        if revert().await? {
            reverts += 1;
        }
        let repairs = carried_out(proxy, of, since).len();
        ensure!(repairs >= FREE + WAITS.len(), "{repairs} repairs, {reverts} reverts");
        Ok(())
    })
    .await?;
    let repairs = carried_out(proxy, of, since);
    let distances = repairs.windows(2).skip(FREE - 1).map(|pair| pair[1].arrived - pair[0].arrived);
    for (number, (took, least)) in distances.zip(WAITS).enumerate() {
        ensure!(took >= least, "repair {} came {took:?} after the one before", FREE + number + 1);
    }
    Ok(())
}

/// A stage with Grafana in the ConfigMap.
async fn with_grafana<'a>(world: &'a mut World, proxy: &Proxy, spec: Value) -> Result<Stage<'a>> {
    let stage = Stage::behind(world, proxy, spec).await?;
    stage.world.create(&services::grafana(&stage.apps)).await?;
    stage.lists(&["grafana"]).await?;
    stage.config_is("the status counts it", |config| counts(config, 1)).await?;
    Ok(stage)
}

const THEIRS: &str = "{\"tools\": []}";

#[tokio::test]
async fn a_conflict_about_our_key_slows_down_repairs_and_names_the_field_manager_until_it_stops() -> Result<()> {
    scenario("key", async |world| {
        let proxy = world.proxy().await?;
        let stage = with_grafana(world, &proxy, json!({})).await?;
        let rival = PatchParams::apply("rival-controller").force();
        let theirs = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": DEFAULT_CONFIG_MAP},
            "data": {"toolset.json": THEIRS},
        });

        the_brake_holds(&proxy, writes_the_config_map, async || {
            let ours = data(&stage.output().await?, "toolset.json") != THEIRS;
            if ours {
                stage.config_maps().patch(DEFAULT_CONFIG_MAP, &rival, &Patch::Apply(&theirs)).await?;
            }
            Ok(ours)
        })
        .await?;

        let config = stage.ready(("False", "OutputContested")).await?;
        let said = message(&config, "Ready");
        assert!(said.contains("rival-controller"), "{said}");
        told(stage.world, &stage.agent, CONFIG, "OutputContested").await?;
        // The other field manager has stopped.
        stage.lists(&["grafana"]).await?;
        within(OVER, "a minute later the conflict is over", async || {
            let config = stage.config().await?;
            ensure!(condition(&config, "Ready") == Some(("True", "AsExpected")), "{}", message(&config, "Ready"));
            Ok(())
        })
        .await?;
        stage.lists(&["grafana"]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_controller_that_keeps_adopting_the_config_map_slows_down_repairs() -> Result<()> {
    scenario("adopter", async |world| {
        let proxy = world.proxy().await?;
        let stage = with_grafana(world, &proxy, json!({"output": {"conflictPolicy": "Adopt"}})).await?;
        let adopted = json!({"metadata": {
            "labels": {"app.kubernetes.io/managed-by": "another-operator"},
            "ownerReferences": null,
        }});

        the_brake_holds(&proxy, writes_the_config_map, async || {
            let ours = managed_by(&stage.output().await?) == Some("toolset-operator".to_owned());
            if ours {
                stage.meddle(adopted.clone()).await?;
            }
            Ok(ours)
        })
        .await?;

        stage.ready(("False", "OutputContested")).await?;
        told(stage.world, &stage.agent, CONFIG, "OutputContested").await?;
        stage
            .output_is("it is ours in the end", |output| {
                managed_by(output).as_deref() == Some("toolset-operator")
                    && output.metadata.owner_references.as_ref().is_some_and(|owners| owners.len() == 1)
            })
            .await?;
        Ok(())
    })
    .await
}

fn managed_by(config_map: &ConfigMap) -> Option<String> {
    config_map.metadata.labels.as_ref()?.get("app.kubernetes.io/managed-by").cloned()
}

#[tokio::test]
async fn repeated_deletions_of_the_config_map_slow_down_its_repairs() -> Result<()> {
    scenario("deleter", async |world| {
        let proxy = world.proxy().await?;
        let stage = with_grafana(world, &proxy, json!({})).await?;

        the_brake_holds(&proxy, creates_a_config_map, async || {
            match stage.config_maps().delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await {
                Ok(_) => Ok(true),
                Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
        .await?;

        let config = stage.ready(("False", "OutputContested")).await?;
        ensure!(message(&config, "Ready").contains("delet"), "{}", message(&config, "Ready"));
        stage.lists(&["grafana"]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_conflict_about_our_condition_slows_down_the_status_and_not_the_config_map() -> Result<()> {
    scenario("condition", async |world| {
        let proxy = world.proxy().await?;
        let stage = with_grafana(world, &proxy, json!({})).await?;
        let rival = PatchParams::apply("rival-controller").force();
        let theirs = json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig", "metadata": {"name": CONFIG},
            "status": {"conditions": [{
                "type": "Ready", "status": "False", "reason": "Rivalry", "message": "We say so.",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]},
        });
        let written = proxy.exchanges_of(writes_the_config_map).len();

        the_brake_holds(&proxy, writes_the_status, async || {
            let ours = condition(&stage.config().await?, "Ready") == Some(("True", "AsExpected"));
            if ours {
                stage.configs().patch_status(CONFIG, &rival, &Patch::Apply(&theirs)).await?;
            }
            Ok(ours)
        })
        .await?;

        // The ConfigMap is not slowed down.
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        stage.lists(&["grafana", "prometheus-server"]).await?;
        ensure!(proxy.exchanges_of(writes_the_config_map).len() == written + 1, "one write, for Prometheus");
        stage.ready(("True", "AsExpected")).await?;
        stage.config_is("the status counts both", |config| counts(config, 2)).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_predecessor_that_still_runs_slows_down_repairs_and_is_named() -> Result<()> {
    scenario("running-predecessor", async |world| {
        let proxy = world.proxy().await?;
        let stage = with_grafana(world, &proxy, json!({})).await?;
        let params = PatchParams { field_manager: Some("dynamic-toolset".to_owned()), ..PatchParams::default() };
        // It replaces what it knows, so our owner reference goes.
        let theirs = json!({
            "metadata": {
                "labels": {
                    "app.kubernetes.io/managed-by": "kubernaut", "app.kubernetes.io/component": "dynamic-toolset",
                },
                "ownerReferences": null,
            },
            "data": {"toolset.json": THEIRS},
        });
        let revert = async || {
            let ours = data(&stage.output().await?, "toolset.json") != THEIRS;
            if ours {
                stage.config_maps().patch(DEFAULT_CONFIG_MAP, &params, &Patch::Merge(&theirs)).await?;
            }
            Ok(ours)
        };

        the_brake_holds(&proxy, applies_the_content, revert).await?;

        let config = stage.ready(("False", "OutputContested")).await?;
        let said = message(&config, "Ready");
        assert!(said.contains("dynamic-toolset"), "{said}");

        // A changed plan is written at once, and the conflict goes on.
        revert().await?;
        let since = proxy.exchanges_of(applies_the_content).len();
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        stage.lists(&["grafana", "prometheus-server"]).await?;
        revert().await?;
        let writes = eventually("the changed plan is written, and then repaired", async || {
            let writes = carried_out(&proxy, applies_the_content, since);
            ensure!(writes.len() >= 2, "{} writes", writes.len());
            Ok(writes)
        })
        .await?;
        let took = writes[1].arrived - writes[0].arrived;
        ensure!(took >= WAITS[2] * 2, "the repair came {took:?} after the changed plan");
        Ok(())
    })
    .await
}

/// Applies of the content, without the changes of managed fields that precede an adoption.
fn applies_the_content(request: &ApiRequest) -> bool {
    writes_the_config_map(request) && request.applies
}
