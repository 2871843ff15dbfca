//! Events about ToolsetConfigs and about rejected Services.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{prelude::*, services};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Service};
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::{from_value, json};

use crate::stage::{CONFIG, Stage, over, revision, told, without_health};

/// More than the status lists, so that a new process does not find all of them there.
const REJECTED: usize = 120;

/// The time that their Events take at 5 a second, and more on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Creates Services that are rejected, because their annotation is malformed.
async fn reject(world: &World, namespace: &str, count: usize) -> Result<()> {
    let all: Vec<Service> =
        (0..count).map(|number| services::annotated(namespace, &format!("s{number}"), "no type")).collect();
    stream::iter(&all).map(|service| world.create(service)).buffer_unordered(8).try_collect::<Vec<_>>().await?;
    Ok(())
}

/// The Events of a namespace with this reason, by the object that they are about.
async fn about(world: &World, namespace: &str, reason: &str) -> Result<BTreeMap<String, Event>> {
    let events: Api<Event> = world.api(namespace);
    let all = events.list(&ListParams::default().fields(&format!("reason={reason}"))).await?.items;
    let count = all.len();
    let by_object: BTreeMap<String, Event> =
        all.into_iter().map(|event| (event.involved_object.name.clone().unwrap_or_default(), event)).collect();
    ensure!(by_object.len() == count, "two Events about one object");
    Ok(by_object)
}

/// Waits until this number of Services has an Event.
async fn all_told(world: &World, namespace: &str, count: usize) -> Result<BTreeMap<String, Event>> {
    within(PATIENCE, &format!("{count} Services have an Event"), async || {
        let events = about(world, namespace, "InvalidAnnotation").await?;
        ensure!(events.len() == count, "{} Events", events.len());
        Ok(events)
    })
    .await
}

#[tokio::test]
async fn every_rejected_service_gets_its_event_and_a_restart_writes_none_again() -> Result<()> {
    scenario("all-told", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        reject(world, &apps, REJECTED).await?;
        world.configure(&agent, CONFIG, &without_health(&[&apps])).await?;
        let mut first = world.start_controller(ControllerOptions::default()).await?;
        // Nothing changes from now on, so no reconcile runs.
        let before = all_told(world, &apps, REJECTED).await?;
        let services: Api<Service> = world.api(&apps);
        let one = services.get("s7").await?;
        ensure!(before["s7"].involved_object.uid == one.uid(), "kubectl describe finds Events by the uid");
        ensure!(first.terminate().await?.success());

        let _second = world.start_controller(ControllerOptions::default()).await?;
        world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
        // Its Event comes after the others.
        world.create(&services::annotated(&apps, "last", "no type")).await?;
        let after = all_told(world, &apps, REJECTED + 1).await?;
        for (name, event) in &before {
            ensure!(after[name].resource_version() == event.resource_version(), "{name} was told again");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_rejected_service_gets_its_event_although_the_leader_ends_meanwhile() -> Result<()> {
    scenario("told-later", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        reject(world, &apps, REJECTED).await?;
        let mut first = world.start_controller(ControllerOptions::default()).await?;
        world.configure(&agent, CONFIG, &without_health(&[&apps])).await?;
        present(&toolset_configs(&world.client(), &agent), CONFIG, "the status lists rejections", |config| {
            config.data.to_string().contains("InvalidAnnotation")
        })
        .await?;
        ensure!(first.terminate().await?.success());
        let told = about(world, &apps, "InvalidAnnotation").await?.len();
        ensure!(told < REJECTED, "all Events were sent before the leader ended");

        let _second = world.start_controller(ControllerOptions::default()).await?;
        all_told(world, &apps, REJECTED).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_event_about_the_toolset_config_comes_before_hundreds_about_services() -> Result<()> {
    scenario("own-first", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        reject(world, &apps, 300).await?;
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        world.configure(&agent, CONFIG, &without_health(&[&apps])).await?;
        world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
        // All of them wait now.
        within(PATIENCE, "the first Service has its Event", async || {
            ensure!(!about(world, &apps, "InvalidAnnotation").await?.is_empty());
            Ok(())
        })
        .await?;
        let strangers: ConfigMap = from_value(json!({
            "metadata": {"namespace": agent, "name": "strangers"},
            "data": {"toolset.json": "theirs"},
        }))?;
        world.create(&strangers).await?;
        let spec = over(without_health(&[&apps]), json!({"output": {"configMapName": "strangers"}}));
        world.configure(&agent, "second", &spec).await?;
        told(world, &agent, "second", "OutputConflict").await?;
        let conflict = about(world, &agent, "OutputConflict").await?;
        let conflict = revision(conflict.get("second").context("no Event")?)?;

        let told_before = about(world, &apps, "InvalidAnnotation").await?;
        let first: Vec<u64> = told_before.values().map(revision).collect::<Result<_>>()?;
        let before = first.iter().filter(|revision| **revision < conflict).count();
        ensure!(before < 300, "{before} Events about Services came first");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_repeated_event_about_a_toolset_config_is_counted() -> Result<()> {
    scenario("counted", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let first = Some(1);
        for expected in [first, Some(2), Some(3)] {
            stage.respec(json!({"mode": "Suspended"})).await?;
            stage.ready(("False", "Suspended")).await?;
            eventually(&format!("the Event counts {expected:?}"), async || {
                let events = about(stage.world, &stage.agent, "Suspended").await?;
                let event = events.get(CONFIG).context("no Event")?;
                let count = event.series.as_ref().map_or(first, |series| series.count);
                ensure!(count == expected, "{count:?}");
                let last = event.series.as_ref().and_then(|series| series.last_observed_time.clone());
                ensure!(last.is_none_or(|last| Some(last) > event.event_time), "the time of the last one");
                Ok(())
            })
            .await?;
            stage.respec(json!({"mode": "Apply"})).await?;
            stage.ready(("True", "AsExpected")).await?;
        }
        Ok(())
    })
    .await
}
