//! A slow request delays nothing else. The proxy's log of requests says what came first, so no test measures a time.

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{ApiRequest, Fault, Proxy, Tools, prelude::*, services};
use futures::future::try_join_all;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::Api;
use serde_json::{from_value, json};

use crate::stage::{CONFIG, Stage, behind, counts, election, over, without_health};

const STATUS: &str = "toolsetconfigs/status";

/// The prefix of ToolsetConfigs and ConfigMaps whose writes are slow.
const SLOW: &str = "slow-";

fn slow(number: usize) -> String {
    format!("{SLOW}{number}")
}

/// Some ToolsetConfigs for the Services of one namespace, and one for the Services of another namespace. All are
/// written.
struct Cast {
    proxy: Proxy,
    /// The namespace of the ToolsetConfigs whose writes are slow.
    busy: String,
    /// The namespace of the other ToolsetConfig.
    quiet: String,
    agent: String,
    _controller: e2e::harness::Controller,
}

async fn cast(world: &mut World, count: usize) -> Result<Cast> {
    let proxy = world.proxy().await?;
    let (busy, quiet) = (world.namespace("busy").await?, world.namespace("quiet").await?);
    let agent = world.namespace("agent").await?;
    let options = ControllerOptions { arguments: election(&agent), ..behind(&proxy) };
    let controller = world.start_controller(options).await?;
    try_join_all((0..count).map(async |number| -> Result<()> {
        let spec = over(without_health(&[&busy]), json!({"output": {"configMapName": slow(number)}}));
        world.configure(&agent, &slow(number), &spec).await?;
        world.ready(&agent, &slow(number), ("True", "AsExpected")).await.map(drop)
    }))
    .await?;
    world.configure(&agent, CONFIG, &without_health(&[&quiet])).await?;
    world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
    Ok(Cast { proxy, busy, quiet, agent, _controller: controller })
}

impl Cast {
    /// Waits until this number of writes is held.
    async fn are_held(&self, fault: &Fault, at_least: usize) -> Result<()> {
        eventually(&format!("{at_least} writes are under way"), async || {
            ensure!(fault.met() >= at_least, "{}", fault.met());
            Ok(())
        })
        .await
    }

    /// Fails if one of these requests has ended, with or without an answer.
    fn all_wait(&self, of: impl Fn(&ApiRequest) -> bool, since: usize) -> Result<()> {
        let requests = self.proxy.exchanges();
        let ended: Vec<_> = requests
            .iter()
            .skip(since)
            .filter(|one| of(&one.request) && one.end.is_some())
            .map(|one| &one.request.name)
            .collect();
        ensure!(ended.is_empty(), "it had to wait for {ended:?}");
        Ok(())
    }

    /// Creates a Service that only the quick ToolsetConfig selects. Fails unless it is in the ConfigMap and in the
    /// status before any of the slow requests has ended.
    async fn the_quick_one_goes_on(&self, world: &World, of: fn(&ApiRequest) -> bool, since: usize) -> Result<()> {
        world.create(&services::prometheus_server(&self.quiet)).await?;
        world.tools(&self.agent, "the other one is written", |tools| tools.names() == ["prometheus-server"]).await?;
        self.all_wait(of, since).context("its ConfigMap")?;
        let configs = toolset_configs(&world.client(), &self.agent);
        present(&configs, CONFIG, "its status is written", |config| counts(config, 1)).await?;
        self.all_wait(of, since).context("its status")
    }

    /// Waits until all of the slow ToolsetConfigs are as expected.
    async fn the_slow_ones_catch_up(&self, world: &World, count: usize) -> Result<()> {
        let config_maps: Api<ConfigMap> = world.api(&self.agent);
        let configs = toolset_configs(&world.client(), &self.agent);
        for number in 0..count {
            present(&config_maps, &slow(number), "it lists Grafana", |config_map| {
                Tools::of(config_map).is_ok_and(|tools| tools.names() == ["grafana"])
            })
            .await?;
            present(&configs, &slow(number), "its status counts Grafana", |config| counts(config, 1)).await?;
        }
        Ok(())
    }
}

fn slow_config_maps(request: &ApiRequest) -> bool {
    request.is("patch", "configmaps") && request.name.starts_with(SLOW)
}

fn slow_statuses(request: &ApiRequest) -> bool {
    request.is("patch", STATUS) && request.name.starts_with(SLOW)
}

async fn slow_requests_delay_no_other(count: usize, of: fn(&ApiRequest) -> bool) -> Result<()> {
    scenario("slow", async |world| {
        let cast = cast(world, count).await?;
        let since = cast.proxy.exchanges().len();
        let fault = cast.proxy.hold(of);

        world.create(&services::grafana(&cast.busy)).await?;
        // These writes hold every permit, whatever the limit is.
        cast.are_held(&fault, 4).await?;
        cast.the_quick_one_goes_on(world, of, since).await?;

        drop(fault);
        cast.the_slow_ones_catch_up(world, count).await
    })
    .await
}

#[tokio::test]
async fn four_config_maps_that_are_slow_to_write_delay_no_other() -> Result<()> {
    slow_requests_delay_no_other(4, slow_config_maps).await
}

#[tokio::test]
async fn twelve_config_maps_that_are_slow_to_write_delay_no_other() -> Result<()> {
    slow_requests_delay_no_other(12, slow_config_maps).await
}

#[tokio::test]
async fn four_statuses_that_are_slow_to_write_delay_no_other() -> Result<()> {
    slow_requests_delay_no_other(4, slow_statuses).await
}

#[tokio::test]
async fn twelve_statuses_that_are_slow_to_write_delay_no_other() -> Result<()> {
    slow_requests_delay_no_other(12, slow_statuses).await
}

#[tokio::test]
async fn slow_writes_do_not_delay_the_lease() -> Result<()> {
    scenario("slow-lease", async |world| {
        let cast = cast(world, 12).await?;
        let fault = cast.proxy.hold(|request| request.writes() && request.resource != "leases");
        let since = cast.proxy.exchanges().len();
        world.create(&services::grafana(&cast.busy)).await?;
        cast.are_held(&fault, 4).await?;
        let held = cast.proxy.exchanges().len();
        eventually("the lease is renewed", async || {
            let requests = cast.proxy.exchanges();
            let mut after = requests.iter().skip(held);
            ensure!(after.any(|one| one.request.is("update", "leases") && one.succeeded()));
            Ok(())
        })
        .await?;
        cast.all_wait(|request| request.writes() && request.resource != "leases", since)?;
        drop(fault);
        cast.the_slow_ones_catch_up(world, 12).await
    })
    .await
}

/// Adds Prometheus, and waits until the ConfigMap has it while a request of the same ToolsetConfig still waits.
async fn its_config_map_goes_on(stage: &Stage<'_>, proxy: &Proxy, of: fn(&ApiRequest) -> bool) -> Result<()> {
    stage.world.create(&services::prometheus_server(&stage.apps)).await?;
    stage.lists(&["grafana", "prometheus-server"]).await?;
    let held = proxy.exchanges_of(of);
    let first = held.iter().find(|one| !one.succeeded()).context("a request was held")?;
    ensure!(first.end.is_none(), "the ConfigMap waited for it: {:?}", first.request);
    Ok(())
}

#[tokio::test]
async fn a_slow_status_does_not_delay_the_config_map_of_the_same_toolset_config() -> Result<()> {
    scenario("slow-status", async |world| {
        let proxy = world.proxy().await?;
        let stage = Stage::behind(world, &proxy, json!({})).await?;
        let fault = proxy.hold(|request| request.is("patch", STATUS));
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;
        eventually("the status is under way", async || {
            ensure!(fault.met() > 0);
            Ok(())
        })
        .await?;

        its_config_map_goes_on(&stage, &proxy, |request| request.is("patch", STATUS)).await?;

        drop(fault);
        stage.config_is("the status says what is written", |config| counts(config, 2)).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deployment_that_is_slow_to_read_does_not_delay_the_config_map() -> Result<()> {
    scenario("slow-agent", async |world| {
        let proxy = world.proxy().await?;
        let stage = Stage::behind(world, &proxy, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;
        let deployment: Deployment = from_value(json!({
            "metadata": {"namespace": stage.agent, "name": "holmes"},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "holmes"}},
                "template": {
                    "metadata": {"labels": {"app": "holmes"}},
                    "spec": {"containers": [{"name": "app", "image": "app.example/app:1"}]},
                },
            },
        }))?;
        stage.world.create(&deployment).await?;
        let fault = proxy.hold(|request| request.resource == "deployments");
        stage
            .respec(json!({"consumer": {
                "reload": "RolloutRestart", "restartOn": "AnyChange", "deploymentRef": {"name": "holmes"},
            }}))
            .await?;
        eventually("the Deployment is asked for", async || {
            ensure!(fault.met() > 0);
            Ok(())
        })
        .await?;

        its_config_map_goes_on(&stage, &proxy, |request| request.resource == "deployments").await?;

        drop(fault);
        stage
            .config_is("the restart is planned or made", |config| {
                condition(config, "ConsumerReloaded").is_some_and(|(_, reason)| reason != "ReloadFailed")
                    && counts(config, 2)
            })
            .await?;
        Ok(())
    })
    .await
}
