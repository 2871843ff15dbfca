//! A Service that changes again and again does not keep every ToolsetConfig writing.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::harness::{prelude::*, services};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use crate::stage::{data, over, patch, revision, without_health};

/// ToolsetConfigs that select the flapping Service.
const CONFIGS: usize = 10;
/// How long it flaps.
const FLAPS: Duration = Duration::from_secs(4);
/// Changes that are made one after the other must reach the operator well within one second.
const PROMPT: Duration = Duration::from_millis(500);

fn config(number: usize) -> String {
    format!("config-{number}")
}

/// Changes the endpoint of a Service.
async fn move_to(services: &Api<Service>, name: &str, path: &str) -> Result<()> {
    let change = json!({"metadata": {"annotations": {"kubernaut.io/toolset-path": path}}});
    services.patch(name, &PatchParams::default(), &Patch::Merge(change)).await?;
    Ok(())
}

async fn shows(config_maps: &Api<ConfigMap>, name: &str, text: &str) -> Result<ConfigMap> {
    present(config_maps, name, &format!("has {text}"), |found| data(found, "toolset.json").contains(text)).await
}

#[tokio::test]
async fn a_service_that_flaps_causes_one_write_a_second_and_its_last_state_is_written() -> Result<()> {
    scenario("flapping", async |world| {
        let (apps, agent) = (world.namespace("apps").await?, world.namespace("agent").await?);
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        for number in 0..CONFIGS {
            let output = json!({"output": {"configMapName": config(number)}});
            world.configure(&agent, &config(number), &over(without_health(&[&apps]), output)).await?;
        }
        world.create(&services::grafana(&apps)).await?;
        let (in_apps, config_maps): (Api<Service>, Api<ConfigMap>) = (world.api(&apps), world.api(&agent));
        for number in 0..CONFIGS {
            shows(&config_maps, &config(number), "grafana").await?;
        }

        let (moment, began, mut changes) = (world.moment(&agent).await?, Instant::now(), 0_usize);
        while began.elapsed() < FLAPS {
            changes += 1;
            move_to(&in_apps, "grafana", &format!("/change-{changes:06}")).await?;
        }
        let seconds = usize::try_from(began.elapsed().as_secs())? + 1;
        for number in 0..CONFIGS {
            shows(&config_maps, &config(number), &format!("/change-{changes:06}")).await?;
        }
        ensure!(changes > 3 * seconds, "{changes} changes in {seconds} s show nothing");
        for number in 0..CONFIGS {
            let writes = moment.steps(&config(number)).await?.len();
            ensure!((2..=2 + seconds).contains(&writes), "{writes} writes for {changes} changes in {seconds} s");
        }
        Ok(())
    })
    .await
}

/// Takes a Service away soon after it was created, and compares when this is written with when the change of another
/// Service is written, which was made earlier but has to wait.
async fn taken_away_at_once(name: &str, take_away: impl AsyncFn(&Api<Service>, &str) -> Result<()>) -> Result<()> {
    scenario(name, async |world| {
        let (apps, others, agent) =
            (world.namespace("apps").await?, world.namespace("others").await?, world.namespace("agent").await?);
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        for (config, namespace) in [("one", &apps), ("other", &others)] {
            let output = json!({"output": {"configMapName": config}});
            world.configure(&agent, config, &over(without_health(&[namespace]), output)).await?;
            // The creation of a Service has to trigger it.
            world.ready(&agent, config, ("True", "AsExpected")).await?;
        }
        let (in_apps, in_others): (Api<Service>, Api<Service>) = (world.api(&apps), world.api(&others));
        let config_maps: Api<ConfigMap> = world.api(&agent);

        let mut attempt = 0;
        let (gone, waited) =
            within(Duration::from_secs(60), "the changes follow each other within a second", async || {
                attempt += 1;
                let (service, path) = (format!("tool-{attempt}"), format!("/change-{attempt}"));
                let began = Instant::now();
                for (namespace, config) in [(&others, "other"), (&apps, "one")] {
                    world.create(&services::annotated(namespace, &service, "prometheus")).await?;
                    shows(&config_maps, config, &service).await?;
                }
                move_to(&in_others, &service, &path).await?;
                take_away(&in_apps, &service).await?;
                ensure!(began.elapsed() < PROMPT, "the changes took {:?}", began.elapsed());
                let gone = present(&config_maps, "one", "has lost the tool", |found| {
                    !data(found, "toolset.json").contains(&service)
                });
                let (gone, waited) = futures::join!(gone, shows(&config_maps, "other", &path));
                Ok((revision(&gone?)?, revision(&waited?)?))
            })
            .await?;
        ensure!(gone < waited, "a Service that is taken away comes first, although it changed last: {gone}, {waited}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_opt_out_of_a_service_that_flaps_is_written_at_once() -> Result<()> {
    taken_away_at_once("opted-out", async |services, name| {
        patch(services, name, json!({"metadata": {"annotations": {"kubernaut.io/toolset": "disabled"}}})).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deletion_of_a_service_that_flaps_is_written_at_once() -> Result<()> {
    taken_away_at_once("deleted", async |services, name| {
        services.delete(name, &DeleteParams::default()).await?;
        Ok(())
    })
    .await
}
