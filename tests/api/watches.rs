//! Watches that do not work although nothing refuses them.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use e2e::harness::{DEFAULT_CONFIG_MAP, Fault, Proxy, Tools, prelude::*, services};
use http::StatusCode;
use serde_json::json;

use crate::stage::{RETRIED, Stage, behind, message};

/// The first seconds of a watch.
const FIRST: Duration = Duration::from_secs(3);
/// How many lists and watches of one kind of object there may be in the first seconds, which is enough for four
/// attempts with growing pauses.
const HANDFUL: usize = 10;

/// How many lists and watches of each resource, namespace and name arrived in its first seconds.
fn attempts(proxy: &Proxy) -> BTreeMap<[String; 3], usize> {
    let mut attempts = BTreeMap::new();
    let mut first = BTreeMap::new();
    for exchange in proxy.exchanges_of(|request| ["list", "watch"].contains(&request.verb)) {
        let request = exchange.request;
        let watch = [request.resource, request.namespace, request.name];
        let began = *first.entry(watch.clone()).or_insert(exchange.arrived);
        if exchange.arrived - began < FIRST {
            *attempts.entry(watch).or_default() += 1;
        }
    }
    attempts
}

/// Starts an operator whose watches have a fault from the start, and checks that it works slowly, and without any delay
/// once the fault is over.
async fn works_slowly(world: &mut World, fault: impl FnOnce(&Proxy) -> Fault) -> Result<()> {
    let proxy = world.proxy().await?;
    let fault = fault(&proxy);
    let stage = Stage::elected(world, &proxy, json!({})).await?;
    stage.world.create(&services::grafana(&stage.apps)).await?;
    let lists = async |names: &[&str]| {
        within(RETRIED, &format!("lists {names:?}"), async || {
            let found = Tools::of(&stage.output().await?)?;
            ensure!(found.names() == names, "{:?}", found.names());
            Ok(())
        })
        .await
    };
    lists(&["grafana"]).await?;
    let attempts = attempts(&proxy);
    for resource in ["leases", "services", "configmaps", "toolsetconfigs"] {
        ensure!(attempts.keys().any(|[found, ..]| found == resource), "no watch of {resource}: {attempts:?}");
    }
    ensure!(attempts.values().all(|count| *count <= HANDFUL), "{attempts:?}");
    ensure!(fault.met() > 0);
    let ended = "dynamictoolset_watch_errors_total{input=\"Service\",reason=\"Ended\"}";
    let ended = stage.controller.metric(ended).await?;
    ensure!(ended.is_some_and(|count| count >= 1.0), "the metrics do not count it: {ended:?}");

    drop(fault);
    stage.world.create(&services::prometheus_server(&stage.apps)).await?;
    lists(&["grafana", "prometheus-server"]).await?;
    // The watch works again, so the next event needs no list.
    stage.delete_service("grafana").await?;
    stage.lists(&["prometheus-server"]).await?;
    Ok(())
}

#[tokio::test]
async fn empty_watches_are_repeated_ever_more_slowly_and_replaced_by_lists() -> Result<()> {
    scenario("empty-watches", async |world| {
        works_slowly(world, |proxy| proxy.empty_answer(|request| request.verb == "watch")).await
    })
    .await
}

#[tokio::test]
async fn watches_that_end_within_an_event_are_repeated_ever_more_slowly_and_replaced_by_lists() -> Result<()> {
    scenario("cut-watches", async |world| {
        works_slowly(world, |proxy| proxy.cut(40, |request| request.verb == "watch")).await
    })
    .await
}

#[tokio::test]
async fn empty_lists_are_repeated_ever_more_slowly_and_do_not_mean_that_nothing_is_there() -> Result<()> {
    scenario("empty-lists", async |world| {
        let proxy = world.proxy().await?;
        let mut stage = Stage::behind(world, &proxy, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;
        stage.controller.terminate().await?;

        let moment = stage.world.moment(&stage.agent).await?;
        let proxy = stage.world.proxy().await?;
        let fault = proxy.empty_answer(|request| request.is("list", "services"));
        let options = ControllerOptions { do_not_wait: true, ..behind(&proxy) };
        stage.controller = stage.world.start_controller(options).await?;
        eventually("several lists were tried", async || {
            ensure!(fault.met() >= 6, "{}", fault.met());
            Ok(())
        })
        .await?;
        let attempts = attempts(&proxy);
        ensure!(attempts.values().all(|count| *count <= HANDFUL), "{attempts:?}");

        drop(fault);
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        within(RETRIED, "lists both", async || {
            ensure!(Tools::of(&stage.output().await?)?.names() == ["grafana", "prometheus-server"]);
            Ok(())
        })
        .await?;
        let steps = moment.steps(DEFAULT_CONFIG_MAP).await?;
        ensure!(steps.len() == 1, "one write, for Prometheus: {steps:?}");
        Ok(())
    })
    .await
}

/// Restarts the operator while its first list of Services fails, and checks that the status says why, that nothing is
/// lost, and that what the spec takes away goes.
async fn first_list_fails(world: &mut World, says: &str, fault: impl FnOnce(&Proxy) -> Fault) -> Result<()> {
    let proxy = world.proxy().await?;
    let mut stage = Stage::behind(world, &proxy, json!({})).await?;
    stage.world.create(&services::grafana(&stage.apps)).await?;
    stage.world.create(&services::prometheus_server(&stage.apps)).await?;
    stage.lists(&["grafana", "prometheus-server"]).await?;
    stage.controller.terminate().await?;

    let moment = stage.world.moment(&stage.agent).await?;
    let proxy = stage.world.proxy().await?;
    let fault = fault(&proxy);
    stage.controller = stage.world.start_controller(ControllerOptions { do_not_wait: true, ..behind(&proxy) }).await?;
    within(RETRIED, "the status has the error", async || {
        let config = stage.config().await?;
        for kind in ["Ready", "InputsSynced"] {
            ensure!(condition(&config, kind) == Some(("False", "InputStale")), "{:?}", condition(&config, kind));
        }
        ensure!(message(&config, "InputsSynced").contains(says), "{}", message(&config, "InputsSynced"));
        Ok(())
    })
    .await?;
    ensure!(moment.steps(DEFAULT_CONFIG_MAP).await?.is_empty(), "nothing is written for what cannot be seen");
    let off = json!([{"name": "off", "match": {"service": "grafana"}, "state": "Disabled"}]);
    stage.respec(json!({"overrides": off})).await?;
    stage.lists(&["prometheus-server"]).await?;

    drop(fault);
    within(RETRIED, "Ready again", async || {
        let config = stage.config().await?;
        ensure!(condition(&config, "Ready") == Some(("True", "AsExpected")), "{:?}", condition(&config, "Ready"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_first_list_that_the_api_server_does_not_take_is_reported() -> Result<()> {
    scenario("list-401", async |world| {
        let fault = |proxy: &Proxy| proxy.refuse(StatusCode::UNAUTHORIZED, |request| request.is("list", "services"));
        first_list_fails(world, "a test refuses it", fault).await
    })
    .await
}

#[tokio::test]
async fn a_first_list_that_is_cut_is_reported() -> Result<()> {
    scenario("list-cut", async |world| {
        let fault = |proxy: &Proxy| proxy.cut(40, |request| request.is("list", "services"));
        first_list_fails(world, "EOF while parsing", fault).await
    })
    .await
}
