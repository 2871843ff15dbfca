//! What the operator costs and writes while nothing changes.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::{
    account, measured,
    operator::Operator,
    population,
    report::{Report, print},
    requests::Requests,
    trusted_all,
};
use crate::{
    controlplane::ControlPlane,
    harness::{DEFAULT_CONFIG_MAP, World, toolset_configs, within},
    usage::mebibytes,
};

/// CPU, in thousandths of a core.
const CPU: f64 = 2.0;
/// Resident memory with 100 Services, in MiB.
const RESIDENT: f64 = 12.0;
/// The number of Services that the promises are about.
const PROMISED: usize = 100;
/// The start is over when nothing was written for this time.
const QUIET: Duration = Duration::from_secs(5);

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The duration of the measurement.
    pub duration: Duration,
    /// Services in the cluster; one in ten is an observability system.
    pub services: usize,
}

/// Measures and prints. Returns whether the promises are kept.
pub async fn run(options: Options) -> Result<bool> {
    measured("idle", true, async |world, plane| measure(world, plane, options).await).await
}

async fn measure(world: &mut World, plane: &mut ControlPlane, options: Options) -> Result<bool> {
    let agent = world.namespace("agent").await?;
    let services = population::services(options.services, 10)?;
    population::create(&world.client(), &services).await?;
    for service in services.iter().filter(|service| population::is_tool(service)) {
        world.backend(service).await?;
    }
    let account = account(world, &agent, "operator").await?;
    world.configure(&agent, "default", &trusted_all(&json!({"mode": "Endpoints"}))).await?;
    let mut operator = Operator::start(world, &account, &agent).await?;
    operator.applied(world, 1).await?;
    settle(plane, operator.user()).await?;

    print(&format!(
        "{} Services, a ToolsetConfig and a lease; nothing changes for {:?}",
        services.len(),
        options.duration
    ));
    let versions = versions(world, &agent).await?;
    let requests_before = plane.audited_requests()?.len();
    // The metrics are read before and after the measurement, because the answer also needs CPU.
    let reconciles_before = operator.reconciles().await?;
    let (cpu_before, started) = (operator.cpu()?, Instant::now());
    let mut most = operator.memory()?;
    while started.elapsed() < options.duration {
        let left = options.duration.saturating_sub(started.elapsed());
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
        plane.require_running()?;
        let now = operator.memory()?;
        if now.resident > most.resident {
            most = now;
        }
    }
    let (elapsed, used) = (started.elapsed(), operator.cpu()?.saturating_sub(cpu_before));
    let reconciles = (operator.reconciles().await? - reconciles_before) / elapsed.as_secs_f64() * 60.0;
    let requests = plane.audited_requests()?.split_off(requests_before);
    let (writes, all) = (Requests::writes_of(operator.user(), &requests), Requests::of(operator.user(), &requests));
    let unchanged = versions == self::versions(world, &agent).await?;

    let millicores = used.as_secs_f64() / elapsed.as_secs_f64() * 1000.0;
    let leases = writes.on("leases");
    let others = writes.total() - leases;
    let minutes = elapsed.as_secs_f64() / 60.0;
    print(&format!(
        "writes:   {leases} of the lease, {others} others{}",
        if others > 0 { format!(": {}", writes.per(1)) } else { String::new() }
    ));
    print(&format!("requests: {} ({:.0} a minute), watches aside", all.total(), f64::from(all.total()) / minutes));
    print(&format!("CPU:      {millicores:.2} thousandths of a core"));
    print(&format!("memory:   {most}"));
    print(&format!("reconciles in 60 s: {reconciles:.1}\n"));

    let mut report = Report::new("idle");
    report.pair("seconds", elapsed.as_secs());
    report.pair("services", services.len());
    report.pair("lease_writes", leases);
    report.pair("other_writes", others);
    report.pair("requests", all.total());
    report.number("reconciles_per_minute", Some(reconciles));
    report.number("cpu_millicores", Some(millicores));
    report.number("rss_mib", Some(mebibytes(most.resident)));
    report.number("anonymous_mib", Some(mebibytes(most.anonymous)));
    report.promise(others == 0 && unchanged, "no write but the lease");
    report.at_most(0.0, "", "reconciles in 60 s", Some(reconciles));
    report.at_most(CPU, " thousandths of a core", "CPU", Some(millicores));
    if options.services <= PROMISED {
        let what = format!("resident with {PROMISED} Services");
        report.at_most(RESIDENT, " MiB", what, Some(mebibytes(most.resident)));
    }
    Ok(report.end())
}

/// Waits until the operator has written nothing but the lease for [`QUIET`].
async fn settle(plane: &ControlPlane, user: &str) -> Result<()> {
    let written = || -> Result<u32> {
        let writes = Requests::writes_of(user, &plane.audited_requests()?);
        Ok(writes.total() - writes.on("leases"))
    };
    let mut last = (written()?, Instant::now());
    within(Duration::from_secs(120), "the operator is at rest", async || {
        let now = written()?;
        if now != last.0 {
            last = (now, Instant::now());
        }
        ensure!(last.1.elapsed() > QUIET, "it has written {now} times and goes on");
        Ok(())
    })
    .await
}

/// The versions of what the operator writes.
async fn versions(world: &World, agent: &str) -> Result<[Option<String>; 2]> {
    let config_maps: Api<ConfigMap> = world.api(agent);
    let config = toolset_configs(&world.client(), agent).get("default").await?;
    Ok([config_maps.get(DEFAULT_CONFIG_MAP).await?.resource_version(), config.resource_version()])
}
