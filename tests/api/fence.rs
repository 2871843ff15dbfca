//! A write that the lease does not allow is made after the renewal, in the next term, or by the next leader.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{
    ApiRequest, Controller, DEFAULT_CONFIG_MAP, Exchange, Fault, Proxy,
    prelude::*,
    services::{self, ServiceBuilder},
};
use futures::future::try_join_all;
use http::StatusCode;
use k8s_openapi::{
    api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::ConfigMap},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{Api, api::DeleteParams};
use rustix::process::Signal;
use serde_json::{from_value, json};
use tokio::time::Instant;

use crate::{
    election::leads,
    stage::{CONFIG, RECONCILES, Stage, behind, counts, data, election, is_current, over, patch, told, without_health},
};

/// How long after its last renewal a replica may write.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// A change settles for 10 s before the agent is restarted.
const SETTLED: Duration = Duration::from_secs(11);

const LEASE: &str = "toolset-operator";

fn renews(request: &ApiRequest) -> bool {
    request.is("update", "leases")
}

/// A renewal of the lease that is late. The controller still holds the lease, but it may not write.
struct LateRenewal<'a> {
    proxy: &'a Proxy,
    refused: Fault,
    last: Instant,
}

impl<'a> LateRenewal<'a> {
    /// Waits for a renewal, and refuses those that follow.
    async fn begin(proxy: &'a Proxy) -> Result<Self> {
        let renewals = || proxy.exchanges_of(renews).into_iter().filter(Exchange::succeeded);
        let before = renewals().count();
        let last = eventually("the lease is renewed", async || {
            renewals().nth(before).map(|one| one.arrived).context("not yet")
        })
        .await?;
        Ok(Self { proxy, refused: proxy.refuse(StatusCode::SERVICE_UNAVAILABLE, renews), last })
    }

    /// Waits until the controller may not write. The next renewal is in progress by then, and is held.
    async fn held(self) -> Result<HeldRenewal<'a>> {
        // One every two seconds.
        eventually("three renewals are refused", async || {
            ensure!(self.refused.met() >= 3);
            Ok(())
        })
        .await?;
        let held = self.proxy.hold(renews);
        drop(self.refused);
        eventually("the next is on its way, and the last one is too old", async || {
            ensure!(held.met() == 1 && self.last.elapsed() > RENEW_DEADLINE, "{:?}", self.last.elapsed());
            Ok(())
        })
        .await?;
        Ok(HeldRenewal { proxy: self.proxy, held, closed: self.last + RENEW_DEADLINE })
    }
}

/// The late renewal, in progress.
struct HeldRenewal<'a> {
    proxy: &'a Proxy,
    held: Fault,
    closed: Instant,
}

impl HeldRenewal<'_> {
    /// Lets the renewal reach the API server. Returns how many requests came before, and fails if the controller wrote
    /// anything while it was not allowed to.
    fn succeeds(self) -> Result<usize> {
        let requests = self.proxy.exchanges();
        let late = requests.iter().filter(|one| one.arrived > self.closed);
        let writes: Vec<_> = late.filter(|one| one.request.writes() && !renews(&one.request)).collect();
        ensure!(writes.is_empty(), "written without the lease: {writes:?}");
        drop(self.held);
        Ok(requests.len())
    }
}

/// Waits for a request after the first `since`. Fails if more than one renewal came before it, because then the first
/// renewal did not cause it.
async fn made_afterwards(proxy: &Proxy, since: usize, what: &str, is: impl Fn(&ApiRequest) -> bool) -> Result<()> {
    let place = eventually(what, async || {
        let place = proxy.exchanges().iter().skip(since).position(|one| is(&one.request));
        place.context("no such request")
    })
    .await?;
    let before = proxy.exchanges().iter().skip(since).take(place).filter(|one| renews(&one.request)).count();
    ensure!(before <= 1, "{what}: only after {before} more renewals");
    Ok(())
}

/// Waits until the controller has reconciled again, with whatever result.
async fn reconciled(controller: &Controller, before: f64) -> Result<()> {
    eventually("it is reconciled", async || {
        ensure!(controller.total(RECONCILES).await? > before);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_change_during_a_late_renewal_is_written_after_it_to_the_config_map_and_the_status() -> Result<()> {
    scenario("late", async |world| {
        let proxy = world.proxy().await?;
        let stage = Stage::elected(world, &proxy, json!({})).await?;

        let late = LateRenewal::begin(&proxy).await?.held().await?;
        let before = stage.controller.total(RECONCILES).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        reconciled(&stage.controller, before).await?;
        let since = late.succeeds()?;

        made_afterwards(&proxy, since, "the ConfigMap is written", |one| one.is("patch", "configmaps")).await?;
        made_afterwards(&proxy, since, "the status is written", |one| one.is("patch", "toolsetconfigs/status")).await?;
        stage.lists(&["grafana"]).await?;
        stage.config_is("the status counts it", |config| counts(config, 1)).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_rejection_during_a_late_renewal_is_reported_on_the_service_after_it() -> Result<()> {
    scenario("late-event", async |world| {
        let proxy = world.proxy().await?;
        let stage = Stage::elected(world, &proxy, json!({})).await?;

        let late = LateRenewal::begin(&proxy).await?.held().await?;
        let before = stage.controller.total(RECONCILES).await?;
        let malformed = ServiceBuilder::new(&stage.apps, "malformed")
            .annotation("kubernaut.io/toolset", "perhaps")
            .port("http", 80, 80)
            .build();
        stage.world.create(&malformed).await?;
        reconciled(&stage.controller, before).await?;
        late.succeeds()?;

        told(stage.world, &stage.apps, "malformed", "InvalidAnnotation").await
    })
    .await
}

#[tokio::test]
async fn a_restart_that_is_due_during_a_late_renewal_is_made_after_it() -> Result<()> {
    scenario("late-restart", async |world| {
        let proxy = world.proxy().await?;
        let agent = world.namespace("agent").await?;
        let deployment: Deployment = from_value(json!({
            "metadata": {"namespace": agent, "name": "holmes"},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "holmes"}},
                "template": {
                    "metadata": {"labels": {"app": "holmes"}},
                    "spec": {"containers": [{"name": "app", "image": "app.example/app:1"}]},
                },
            },
        }))?;
        world.create(&deployment).await?;
        let options = ControllerOptions { arguments: election(&agent), ..behind(&proxy) };
        let _controller = world.start_controller(options).await?;
        let consumer =
            json!({"reload": "RolloutRestart", "restartOn": "AnyChange", "deploymentRef": {"name": "holmes"}, "minIntervalSeconds": 1});
        world.configure(&agent, CONFIG, &over(without_health(&[&agent]), json!({"consumer": consumer}))).await?;
        world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;

        // The restart is due 10 s after this change, and the lease may be used for 10 s after its last renewal.
        let late = LateRenewal::begin(&proxy).await?;
        world.create(&services::grafana(&agent)).await?;
        world.tools(&agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;
        let changed = Instant::now();
        let late = late.held().await?;
        eventually("the restart is due", async || {
            ensure!(changed.elapsed() > SETTLED);
            Ok(())
        })
        .await?;
        let since = late.succeeds()?;

        made_afterwards(&proxy, since, "the agent is restarted", |one| one.is("patch", "deployments")).await
    })
    .await
}

/// Writes another holder into the Lease, or none.
async fn hand_over(world: &World, namespace: &str, holder: &str, seconds: u32) -> Result<()> {
    let leases: Api<Lease> = world.api(namespace);
    let now = MicroTime(Timestamp::now());
    patch(
        &leases,
        LEASE,
        json!({"spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": now}}),
    )
    .await
    .map(drop)
}

#[tokio::test]
async fn changes_between_two_terms_of_one_replica_are_written_in_the_second() -> Result<()> {
    scenario("terms", async |world| {
        let proxy = world.proxy().await?;
        let stage = Stage::elected(world, &proxy, json!({})).await?;
        let mut listed = Vec::new();
        for (service, tools) in [
            (services::grafana(&stage.apps), vec!["grafana"]),
            (services::jaeger_query(&stage.apps), vec!["grafana", "tracing-query"]),
        ] {
            hand_over(stage.world, &stage.agent, "another-replica", 3600).await?;
            leads(&stage.controller, 0.0).await?;
            let since = proxy.exchanges().len();
            stage.world.create(&service).await?;
            stage.config_maps().delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
            stage.sees(tools.len()).await.context("it sees the Service all the same")?;
            let writes = proxy.exchanges().split_off(since);
            ensure!(!writes.iter().any(|one| one.request.writes()), "written while another replica leads: {writes:?}");

            hand_over(stage.world, &stage.agent, "", 1).await?;
            listed = tools;
            stage.lists(&listed).await?;
            stage.config_is("the status counts them", |config| counts(config, listed.len())).await?;
            leads(&stage.controller, 1.0).await?;
        }
        // Later changes are written as before.
        stage.delete_service("grafana").await?;
        stage.lists(&listed[1..]).await?;
        Ok(())
    })
    .await
}

/// How many ToolsetConfigs change while there is no leader.
const CONFIGS: usize = 8;

#[tokio::test]
async fn the_next_leader_writes_everything_that_changed_before() -> Result<()> {
    scenario("takeover", async |world| {
        let (apps, agent) = (world.namespace("apps").await?, world.namespace("agent").await?);
        let spec = |number: usize| over(without_health(&[&apps]), json!({"output": {"configMapName": output(number)}}));
        try_join_all(
            (0..CONFIGS).map(async |number| world.configure(&agent, &output(number), &spec(number)).await.map(drop)),
        )
        .await?;
        let replica = || ControllerOptions { arguments: election(&agent), ..ControllerOptions::default() };
        let mut leader = world.start_controller(replica()).await?;
        let config_maps: Api<ConfigMap> = world.api(&agent);
        let configs = toolset_configs(&world.client(), &agent);
        for number in 0..CONFIGS {
            world.ready(&agent, &output(number), ("True", "AsExpected")).await?;
        }
        let other = world.start_controller(replica()).await?;
        leads(&other, 0.0).await?;
        leader.process().signal(Signal::KILL)?;

        // A Service that concerns all of them, and every spec. One ToolsetConfig is new, one is deleted, and so is the
        // ConfigMap of another one.
        world.create(&services::grafana(&apps)).await?;
        for number in 0..CONFIGS {
            let described = json!({"overrides": [
                {"name": "o", "match": {"type": "Grafana"}, "description": format!("Grafana of {number}")},
            ]});
            patch(&configs, &output(number), json!({"spec": described})).await?;
        }
        world
            .configure(&agent, "new", &over(without_health(&[&apps]), json!({"output": {"configMapName": "new"}})))
            .await?;
        config_maps.delete(&output(1), &DeleteParams::default()).await?;
        configs.delete(&output(0), &DeleteParams::background()).await?;
        eventually("the other replica sees the Service", async || {
            ensure!(other.metric("dynamictoolset_services_watched").await? == Some(1.0));
            Ok(())
        })
        .await?;
        let moment = world.moment(&agent).await?;

        // As if the lease of the killed replica had expired.
        let leases: Api<Lease> = world.api(&agent);
        leases.delete(LEASE, &DeleteParams::default()).await?;

        for number in 1..CONFIGS {
            let description = format!("Grafana of {number}");
            present(&config_maps, &output(number), "follows the changed spec", |config_map| {
                data(config_map, "toolset.json").contains(&description)
            })
            .await?;
            present(&configs, &output(number), "the status follows, too", |config| {
                is_current(config) && counts(config, 1)
            })
            .await?;
        }
        present(&config_maps, "new", "is there", |config_map| data(config_map, "toolset.json").contains("grafana"))
            .await?;
        ensure!(
            moment.steps(&output(0)).await?.iter().all(|step| step.config_map().is_none()),
            "a ToolsetConfig that is gone is written for"
        );
        for number in 1..CONFIGS {
            assert_eq!(moment.steps(&output(number)).await?.len(), 1, "one write each");
        }
        leads(&other, 1.0).await
    })
    .await
}

fn output(number: usize) -> String {
    format!("output-{number}")
}
