//! Two replicas. Both watch, and only one of them writes.

use std::{env, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::{Options, Process},
    harness::{Account, Controller, DEADLINE, DEFAULT_CONFIG_MAP, prelude::*, services},
};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::ConfigMap};
use kube::Api;
use rustix::process::Signal;

use crate::{
    rights,
    stage::{CONFIG, without_health},
};

/// How long the leader is stopped, in seconds.
const STOPPED: &str = "TOOLSET_TEST_STOPPED_SECONDS";

/// How soon after a leader was killed another replica has written. The lease lasts 15 s, and is read every 2 s.
const AFTER_DEATH: Duration = Duration::from_secs(20);
/// Less than the duration of the lease, so the lease was released.
const HANDED_OVER: Duration = Duration::from_secs(10);

async fn replica(world: &mut World, lease_namespace: &str, account: Option<&Account>) -> Result<Controller> {
    let options = ControllerOptions {
        kubeconfig: account.map(|account| account.kubeconfig().to_owned()),
        arguments: vec!["--leader-elect".to_owned(), format!("--lease-namespace={lease_namespace}")],
        ..ControllerOptions::default()
    };
    world.start_controller(options).await
}

/// Waits until the metric `leader` of a replica has this value.
pub(crate) async fn leads(controller: &Controller, expected: f64) -> Result<()> {
    eventually(&format!("its metric `leader` is {expected}"), async || {
        let leader = controller.metric("dynamictoolset_leader").await?;
        ensure!(leader == Some(expected), "{leader:?}");
        Ok(())
    })
    .await
}

/// A leader that has written, and a second replica.
async fn two(world: &mut World) -> Result<(String, Controller, Controller)> {
    let agent = world.namespace("agent").await?;
    world.configure(&agent, CONFIG, &without_health(&[&agent])).await?;
    let leader = replica(world, &agent, None).await?;
    world.tools(&agent, "the leader has written", |tools| tools.names().is_empty()).await?;
    let other = replica(world, &agent, None).await?;
    leads(&leader, 1.0).await?;
    leads(&other, 0.0).await?;
    Ok((agent, leader, other))
}

async fn lists_grafana(world: &World, agent: &str, deadline: Duration) -> Result<()> {
    let config_maps: Api<ConfigMap> = world.api(agent);
    within(deadline, "lists Grafana", async || {
        let config_map = config_maps.get(DEFAULT_CONFIG_MAP).await?;
        ensure!(e2e::harness::Tools::of(&config_map)?.names() == ["grafana"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_killed_leader_is_succeeded_when_its_lease_expires() -> Result<()> {
    scenario("killed", async |world| {
        let (agent, mut leader, other) = two(world).await?;

        leader.process().kill()?;
        world.create(&services::grafana(&agent)).await?;

        lists_grafana(world, &agent, AFTER_DEATH).await?;
        leads(&other, 1.0).await?;
        // The time for which it waited for the lease is no part of its freshness.
        let freshness = other.metric("dynamictoolset_event_to_apply_seconds_sum").await?;
        ensure!(freshness.is_some_and(|seconds| seconds < 1.0), "{freshness:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_leader_that_ends_hands_the_lease_over_before_it_is_gone() -> Result<()> {
    scenario("handed-over", async |world| {
        let (agent, mut leader, other) = two(world).await?;
        let leases: Api<Lease> = world.api(&agent);
        let holder = async || -> Result<Option<String>> {
            let lease = leases.get("toolset-operator").await?;
            Ok(lease.spec.and_then(|spec| spec.holder_identity).filter(|holder| !holder.is_empty()))
        };
        let before = holder().await?.context("somebody holds the lease")?;

        ensure!(leader.terminate().await?.success());
        ensure!(holder().await?.is_none_or(|now| now != before), "it has let go of the lease");
        world.create(&services::grafana(&agent)).await?;

        lists_grafana(world, &agent, HANDED_OVER).await?;
        leads(&other, 1.0).await
    })
    .await
}

#[tokio::test]
async fn the_replica_that_does_not_lead_writes_nothing_and_is_ready() -> Result<()> {
    scenario("second", async |world| {
        let (agent, _leader, other) = two(world).await?;
        world.create(&services::grafana(&agent)).await?;
        world.tools(&agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;

        ensure!(other.health("/ready").await?.0 == 200);
        for operation in ["create", "update", "repair", "adopt"] {
            let series = format!("dynamictoolset_configmap_updates_total{{operation=\"{operation}\"}}");
            ensure!(other.metric(&series).await?.is_none_or(|count| count < 1.0));
        }
        // The second replica watches what the leader watches.
        eventually("it watches the Services", async || {
            let watched = other.metric("dynamictoolset_services_watched").await?;
            ensure!(watched == Some(1.0), "{watched:?}");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_leader_that_was_stopped_writes_nothing_after_its_lease_has_expired() -> Result<()> {
    let stopped = env::var(STOPPED).ok().map(|text| text.parse()).transpose().context(STOPPED)?.unwrap_or(60);
    let options = Options { audit_log: true, ..Options::default() };
    isolated("stopped", options, async |world, plane| {
        let agent = world.namespace("agent").await?;
        let mut accounts = Vec::new();
        for name in ["one", "two"] {
            let account = world.account(&agent, name).await?;
            for (role, rules) in [
                ("services", rights::services()),
                ("slices", rights::endpoint_slices()),
                ("writing", rights::writing()),
                ("leases", rights::leases()),
            ] {
                account.grant(&agent, &format!("{name}-{role}"), &rules).await?;
            }
            accounts.push(account);
        }
        world.configure(&agent, CONFIG, &without_health(&[&agent])).await?;
        let mut one = replica(world, &agent, Some(&accounts[0])).await?;
        world.tools(&agent, "the first has written", |tools| tools.names().is_empty()).await?;
        let two = replica(world, &agent, Some(&accounts[1])).await?;
        // How often the first has asked to write anything but the lease.
        let writes = |user: String| -> Result<usize> {
            let writing = |verb: &str| ["create", "update", "patch", "delete"].contains(&verb);
            let requests = plane.audited_requests()?;
            let of_user = requests.iter().filter(|one| one.user == user && writing(&one.verb));
            Ok(of_user.filter(|one| one.resource != "leases").count())
        };

        let still = Still::of(one.process())?;
        world.create(&services::grafana(&agent)).await?;
        lists_grafana(world, &agent, DEADLINE).await?;
        leads(&two, 1.0).await?;
        let leases: Api<Lease> = world.api(&agent);
        let transitions = async || -> Result<Option<i32>> {
            Ok(leases.get("toolset-operator").await?.spec.and_then(|spec| spec.lease_transitions))
        };
        let handed_over = transitions().await?;
        holds(Duration::from_secs(stopped), "the second leads", async || {
            ensure!(two.metric("dynamictoolset_leader").await? == Some(1.0));
            Ok(())
        })
        .await?;
        ensure!(transitions().await? == handed_over, "and has led all the time");
        let before = writes(accounts[0].user())?;
        // When it continues, there is a change that it has not seen, one that is not written yet, and drift.
        world.create(&services::prometheus_server(&agent)).await?;
        still.go_on()?;

        let both = ["grafana", "prometheus-server"];
        world.tools(&agent, "lists both", |tools| tools.names() == both).await?;
        leads(&one, 0.0).await?;
        eventually("it sees what was made meanwhile", async || {
            ensure!(one.metric("dynamictoolset_services_watched").await? == Some(2.0));
            Ok(())
        })
        .await?;
        assert_eq!(writes(accounts[0].user())?, before);
        leads(&two, 1.0).await
    })
    .await
}

/// A stopped process. It continues when this is dropped, because a stopped process cannot be ended.
struct Still<'a>(&'a mut Process);

impl<'a> Still<'a> {
    fn of(process: &'a mut Process) -> Result<Self> {
        process.signal(Signal::STOP)?;
        Ok(Self(process))
    }

    fn go_on(self) -> Result<()> {
        self.0.signal(Signal::CONT)
    }
}

impl Drop for Still<'_> {
    fn drop(&mut self) {
        // Nothing more can be done about it here.
        _ = self.0.signal(Signal::CONT);
    }
}
