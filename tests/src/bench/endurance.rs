//! The operator under changes and faults of all kinds for an hour. What is checked: [`crate::endurance`].

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher as _,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    measured,
    report::{Report, print},
};
use crate::{
    controlplane::controllers_run,
    endurance::{self, Outcome},
    harness::World,
};

/// The shortest and the longest round with faults.
const ROUND: (Duration, Duration) = (Duration::from_secs(18), Duration::from_secs(40));
/// How long nothing changes at the end.
const REST: Duration = Duration::from_secs(20);
/// How many problems are printed.
const PRINTED: usize = 20;

/// What is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The time during which new rounds start.
    pub duration: Duration,
    /// Decides on changes and faults; at random if there is none.
    pub seed: Option<u64>,
    /// Changes per second.
    pub changes: u32,
}

/// Runs and prints. Returns whether the promises are kept.
pub async fn run(options: Options) -> Result<bool> {
    anyhow::ensure!(controllers_run(), "EndpointSlices need kube-controller-manager");
    measured("endurance", false, async |world, plane| {
        let kept = measure(world, options).await?;
        plane.require_running()?;
        Ok(kept)
    })
    .await
}

async fn measure(world: &mut World, options: Options) -> Result<bool> {
    let seed = options.seed.unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
    let started = Instant::now();
    let options = endurance::Options {
        seed,
        duration: options.duration,
        round: ROUND,
        changes: options.changes,
        rest: REST,
        restricted: false,
        forget_logs: true,
    };
    let outcome = endurance::run(world, &options, print).await?;
    for log in &outcome.logs {
        print(&format!("--- the end of the log of a replica:\n{log}\n"));
    }
    let mut report = Report::new("endurance");
    report.pair("seconds", started.elapsed().as_secs());
    report.pair("seed", seed);
    write(&outcome, &mut report);
    Ok(report.end())
}

fn write(outcome: &Outcome, report: &mut Report) {
    for (key, number) in [
        ("rounds", outcome.rounds),
        ("changes", outcome.changes),
        ("versions", outcome.versions),
        ("faults", outcome.faults),
        ("stops", outcome.stops),
        ("kills", outcome.kills),
        ("in_flight", outcome.in_flight),
        ("repeated", outcome.repeated),
        ("problems", outcome.problems.len()),
    ] {
        report.pair(key, number);
    }
    report.number("converged_s", Some(outcome.converged));
    report.number("rss_mib", Some(outcome.memory));
    report.number("descriptors", Some(outcome.descriptors));
    for (key, third) in ["rss_mib", "descriptors"].into_iter().zip(outcome.thirds.into_iter().flatten()) {
        report.number(format_args!("first_third_{key}"), Some(third.0));
        report.number(format_args!("last_third_{key}"), Some(third.1));
    }
    for problem in outcome.problems.iter().take(PRINTED) {
        report.promise(false, problem);
    }
    if outcome.problems.is_empty() {
        report.promise(
            true,
            "every output as planned, no tool lost, no write without a change, memory and descriptors flat",
        );
    }
}
