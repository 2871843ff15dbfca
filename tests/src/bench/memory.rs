//! Memory of the operator while it watches thousands of Services.
//!
//! It is started after they are there: the first lists are the most that it ever reads at once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{
    account, population,
    report::{Report, print},
    start_controller, trusted_all,
    usage::{Memory, mebibytes},
};
use crate::{
    controlplane::{ControlPlane, Options as PlaneOptions, controllers_run},
    harness::{World, isolated, within},
};

/// Resident memory with 10,000 Services, in MiB.
const PROMISE: f64 = 24.0;
/// The number of Services that the promise is about.
const PROMISED: usize = 10_000;
/// How long the EndpointSlice controller may take.
const PUBLISHED: Duration = Duration::from_secs(600);

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Services in the cluster; one in fifty is an observability system.
    pub services: usize,
    /// How long the operator runs before its memory is read.
    pub settle: Duration,
}

/// Measures and prints; the last line is `key=value` pairs. Returns whether the promise was kept.
pub async fn run(options: Options) -> Result<bool> {
    let mut met = false;
    let plane = PlaneOptions::default();
    isolated("memory", plane, async |world, plane| {
        met = measure(world, plane, options).await?;
        Ok(())
    })
    .await?;
    Ok(met)
}

async fn measure(world: &mut World, plane: &mut ControlPlane, options: Options) -> Result<bool> {
    let client = world.client();
    let services = population::services(options.services, 50)?;
    print(&format!("creating {} Services", services.len()));
    let started = Instant::now();
    population::create(&client, &services).await?;
    if controllers_run() {
        print(&format!("created in {:.0} s; waiting for their EndpointSlices", started.elapsed().as_secs_f64()));
        within(PUBLISHED, "every Service has an EndpointSlice", async || {
            let slices = population::endpoint_slices(&client).await?;
            ensure!(slices >= services.len(), "{slices} EndpointSlices");
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok(())
        })
        .await?;
    }

    // Report: no Pods stand behind them, and the output is to be as large as that of a healthy cluster.
    let agent = world.namespace("agent").await?;
    let operator = account(world, &agent, "operator").await?;
    world.configure(&agent, "default", &trusted_all(&json!({"mode": "Endpoints", "effect": "Report"}))).await?;
    let started = Instant::now();
    let mut controller = start_controller(world, &operator, &[]).await?;
    let config = world.ready(&agent, "default", ("True", "AsExpected")).await?;
    let first_write = started.elapsed();
    let watched = controller.metric("dynamictoolset_services_watched").await?.context("no services_watched metric")?;
    ensure!(
        watched >= f64::from(u32::try_from(services.len())?),
        "the operator watches {watched} Services and not {}",
        services.len()
    );
    tokio::time::sleep(options.settle).await;
    plane.require_running()?;
    let memory = Memory::of(controller.process().pid())?;

    let summary = &config.data["status"]["summary"];
    print(&format!(
        "{watched} Services watched, {} tools; Ready {:.1} s after the start",
        summary["tools"],
        first_write.as_secs_f64()
    ));
    print(&format!("{memory}\n"));
    let mut report = Report::new("memory");
    report.pair("services", watched);
    report.pair("tools", &summary["tools"]);
    report.pair("ready_ms", first_write.as_millis());
    report.pair("rss_mib", format_args!("{:.2}", mebibytes(memory.resident)));
    report.pair("anonymous_mib", format_args!("{:.2}", mebibytes(memory.anonymous)));
    report.pair("peak_mib", format_args!("{:.2}", mebibytes(memory.peak)));
    if options.services <= PROMISED {
        let what = format!("less than {PROMISE} MiB resident with {PROMISED} Services");
        report.promise(mebibytes(memory.resident) < PROMISE, &what);
    }
    Ok(report.end())
}
