//! What the operator costs and writes while nothing changes.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::{
    account, population,
    report::{Report, print},
    requests::Requests,
    start_controller, trusted_all,
    usage::{Memory, cpu, mebibytes},
};
use crate::{
    controlplane::{ControlPlane, Options as PlaneOptions},
    harness::{DEFAULT_CONFIG_MAP, World, isolated, toolset_configs, within},
};

/// CPU, in thousandths of a core.
const CPU: f64 = 2.0;
/// Resident memory with 100 Services, in MiB.
const RESIDENT: f64 = 12.0;
/// The number of Services that the promises are about.
const PROMISED: usize = 100;
/// Nothing was written for so long: the start is over.
const QUIET: Duration = Duration::from_secs(5);

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// For how long.
    pub duration: Duration,
    /// Services in the cluster; one in ten is an observability system.
    pub services: usize,
}

/// Measures and prints; the last line is `key=value` pairs. Returns whether the promises were kept.
pub async fn run(options: Options) -> Result<bool> {
    let mut met = false;
    let plane = PlaneOptions { audit_log: true, ..PlaneOptions::default() };
    isolated("idle", plane, async |world, plane| {
        met = measure(world, plane, options).await?;
        Ok(())
    })
    .await?;
    Ok(met)
}

async fn measure(world: &mut World, plane: &mut ControlPlane, options: Options) -> Result<bool> {
    let agent = world.namespace("agent").await?;
    let services = population::services(options.services, 10)?;
    population::create(&world.client(), &services).await?;
    for service in services.iter().filter(|service| population::is_tool(service)) {
        world.backend(service).await?;
    }
    let operator = account(world, &agent, "operator").await?;
    let lease = ["--leader-elect".to_owned(), format!("--lease-namespace={agent}")];
    let mut controller = start_controller(world, &operator, &lease).await?;
    world.configure(&agent, "default", &trusted_all(&json!({"mode": "Endpoints"}))).await?;
    world.ready(&agent, "default", ("True", "AsExpected")).await?;
    settle(plane, &operator.user()).await?;

    let pid = controller.process().pid();
    print(&format!(
        "{} Services, a ToolsetConfig and a lease; nothing changes for {:?}",
        services.len(),
        options.duration
    ));
    let versions = versions(world, &agent).await?;
    let requests_before = plane.audited_requests()?.len();
    let (cpu_before, started) = (cpu(pid)?, Instant::now());
    let mut most = Memory::of(pid)?;
    while started.elapsed() < options.duration {
        let left = options.duration.saturating_sub(started.elapsed());
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
        plane.require_running()?;
        let now = Memory::of(pid)?;
        if now.resident > most.resident {
            most = now;
        }
    }
    let (elapsed, used) = (started.elapsed(), cpu(pid)?.saturating_sub(cpu_before));
    let requests = plane.audited_requests()?.split_off(requests_before);
    let (writes, all) = (Requests::writes_of(&operator.user(), &requests), Requests::of(&operator.user(), &requests));
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
    print(&format!("CPU:      {millicores:.2} m"));
    print(&format!("memory:   {most}\n"));

    let mut report = Report::new("idle");
    report.pair("seconds", elapsed.as_secs());
    report.pair("services", services.len());
    report.pair("lease_writes", leases);
    report.pair("other_writes", others);
    report.pair("requests", all.total());
    report.pair("cpu_millicores", format_args!("{millicores:.2}"));
    report.pair("rss_mib", format_args!("{:.2}", mebibytes(most.resident)));
    report.pair("anonymous_mib", format_args!("{:.2}", mebibytes(most.anonymous)));
    report.promise(others == 0 && unchanged, "no write but the lease");
    report.promise(millicores < CPU, &format!("less than {CPU} thousandths of a core"));
    if options.services <= PROMISED {
        let what = format!("less than {RESIDENT} MiB resident with {PROMISED} Services");
        report.promise(mebibytes(most.resident) < RESIDENT, &what);
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
