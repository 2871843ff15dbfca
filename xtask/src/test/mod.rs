//! `cargo xtask test`: runs all checks and tests, in tiers.

mod agent;
mod datastorage;
mod fuzz;
mod report;
mod tiers;
mod ui;

use std::{env, process::ExitCode, time::Instant};

use anyhow::Result;
use clap::{Args, ValueEnum as _};

use self::{
    report::{Line, Outcome},
    tiers::Tier,
};

pub(crate) use self::agent::tested_python as python_with_yaml;

/// The exit code of `cluster` if a tool of the machine is missing.
const MISSING_TOOL: i32 = 69;

/// Arguments of `cargo xtask test`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask test                           runs all tiers
  cargo xtask test fmt clippy unit           runs three tiers
  cargo xtask test api -- a_new_service      runs the tests on the real API server whose names contain a_new_service

If a tool is missing, the tier is skipped. If CI is set, a skipped tier is a failure.")]
pub(crate) struct Arguments {
    /// The tiers to run [default: all]
    #[arg(value_enum)]
    tiers: Vec<Tier>,
    /// Arguments for the test programs: parts of test names, or options of libtest (not for the tier agent)
    #[arg(last = true)]
    filter: Vec<String>,
}

/// Runs the tiers one after the other. If a tier fails, the next tiers run too.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let tiers = if arguments.tiers.is_empty() { Tier::value_variants() } else { &arguments.tiers };
    let ci = env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
    let mut lines = Vec::new();
    for &tier in tiers {
        report::announce(tier.name())?;
        let started = Instant::now();
        let outcome = match tier.run(&arguments.filter) {
            Ok(outcome) => outcome.fail_if_skipped(ci),
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        let line = Line { tier: tier.name(), outcome, took: started.elapsed() };
        report::result(&line)?;
        lines.push(line);
    }
    report::summary(&lines)?;
    let failed = lines.iter().any(|line| matches!(line.outcome, Outcome::Failed(_)));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
