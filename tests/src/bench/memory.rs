//! Memory of the operator while it watches thousands of Services, after its first lists and after further ones.
//!
//! The operator starts after the Services exist, because it reads most at once in its first lists. Then the API server
//! is restarted, so that every watch starts again with a list.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{
    account, measured,
    operator::Operator,
    population,
    report::{Report, print},
    trusted_all,
};
use crate::{
    controlplane::ControlPlane,
    harness::{Account, World, within},
    usage::{Memory, mebibytes},
};

/// Resident memory with at most so many Services, in MiB.
const PROMISES: [(usize, f64); 2] = [(10_000, 20.0), (50_000, 70.0)];
/// How long the operator may take to list again: its watches wait up to 30 s between two tries.
const LISTED: Duration = Duration::from_secs(180);
/// How many tools are planned.
const TOOLS: &str = "dynamictoolset_tools";
/// The pause between two requests.
const PAUSE: Duration = Duration::from_millis(500);

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Services in the cluster, in ascending order; one in fifty is an observability system.
    pub services: Vec<usize>,
    /// How long the operator runs before its memory is read.
    pub settle: Duration,
}

/// Measures and prints. Returns whether the promises are kept.
pub async fn run(options: Options) -> Result<bool> {
    ensure!(options.services.is_sorted(), "the sizes are not in ascending order");
    measured("memory", false, async |world, plane| measure(world, plane, &options).await).await
}

async fn measure(world: &mut World, plane: &mut ControlPlane, options: &Options) -> Result<bool> {
    let most = options.services.last().copied().context("no size was asked for")?;
    let services = population::services(most, 50)?;
    // With effect Report, the output is as large as that of a healthy cluster, although the Services have no Pods.
    let agent = world.namespace("agent").await?;
    let account = account(world, &agent, "operator").await?;
    world.configure(&agent, "default", &trusted_all(&json!({"mode": "Endpoints", "effect": "Report"}))).await?;
    let mut report = Report::new("memory");
    let mut created = 0;
    for &size in &options.services {
        population::create_and_settle(&world.client(), &services[created..size]).await?;
        created = size;
        let measured = Measured::at(size, world, plane, (&account, &agent), options.settle).await?;
        measured.report(&mut report);
    }
    Ok(report.end())
}

/// What was measured with so many Services.
struct Measured {
    services: usize,
    first: Memory,
    relisted: Memory,
}

impl Measured {
    async fn at(
        services: usize,
        world: &mut World,
        plane: &mut ControlPlane,
        (account, agent): (&Account, &str),
        settle: Duration,
    ) -> Result<Self> {
        let mut operator = Operator::start(world, account, agent).await?;
        let watched = all_watched(&mut operator, services).await?;
        // This is read from the process, because the status may still be that of the previous process.
        let tools = within(LISTED, "the operator has planned", async || operator.total(TOOLS).await).await?;
        operator.applied(world, 1).await?;
        print(&format!(
            "{watched} Services watched, {tools} tools; planned {:.1} s after the start",
            operator.age().as_secs_f64()
        ));
        tokio::time::sleep(settle).await;
        let first = operator.memory()?;
        print(&format!("after the first lists:  {first}"));

        let before = [news(&operator, "Service").await?, news(&operator, "EndpointSlice").await?];
        plane.stop_apiserver()?;
        plane.start_apiserver().await?;
        for (input, before) in ["Service", "EndpointSlice"].into_iter().zip(before) {
            within(LISTED, "the operator has listed everything again", async || {
                let now = news(&operator, input).await?;
                if now <= before {
                    tokio::time::sleep(PAUSE).await;
                }
                ensure!(now > before, "there is no news of the input {input} since the API server was restarted");
                Ok(())
            })
            .await?;
        }
        all_watched(&mut operator, services).await?;
        operator.applied(world, 1).await?;
        tokio::time::sleep(settle).await;
        plane.require_running()?;
        let relisted = operator.memory()?;
        print(&format!("after they were repeated: {relisted}\n"));
        operator.stop().await?;
        Ok(Self { services, first, relisted })
    }

    fn report(&self, report: &mut Report) {
        let Self { services, first, relisted } = self;
        for (when, memory) in [("first", first), ("relisted", relisted)] {
            for (what, kib) in [("rss", memory.resident), ("anonymous", memory.anonymous), ("peak", memory.peak)] {
                report.number(format_args!("services{services}_{when}_{what}_mib"), Some(mebibytes(kib)));
            }
        }
        let Some(limit) = promised(self.services) else { return };
        for (when, memory) in [("after the first lists", self.first), ("after a relist", self.relisted)] {
            let what = format!("{} Services, resident {when}", self.services);
            report.at_most(limit, " MiB", what, Some(mebibytes(memory.resident)));
        }
    }
}

fn promised(services: usize) -> Option<f64> {
    PROMISES.into_iter().find(|(most, _)| services <= *most).map(|(_, limit)| limit)
}

/// Waits until the operator knows all Services, and returns how many.
async fn all_watched(operator: &mut Operator, services: usize) -> Result<f64> {
    within(LISTED, "the operator watches all Services", async || {
        let watched = operator.total("dynamictoolset_services_watched").await?;
        ensure!(watched >= f64::from(u32::try_from(services)?), "it watches {watched} Services and not {services}");
        Ok(watched)
    })
    .await
}

/// When an input last had an event. Nothing changes while memory is measured, so this is the end of a list.
async fn news(operator: &Operator, input: &str) -> Result<f64> {
    operator.total(&format!("dynamictoolset_watch_last_event_timestamp_seconds{{input=\"{input}\"}}")).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promise_is_that_of_the_next_larger_size() {
        let limits = [500, 10_000, 10_001, 50_000, 50_001].map(promised);
        assert_eq!(limits, [Some(20.0), Some(20.0), Some(70.0), Some(70.0), None]);
    }

    #[tokio::test]
    async fn sizes_in_another_order_are_refused_before_anything_is_started() {
        let options = Options { services: vec![10_000, 500], settle: Duration::ZERO };
        assert_eq!(run(options).await.unwrap_err().to_string(), "the sizes are not in ascending order");
    }
}
