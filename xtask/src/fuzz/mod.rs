//! `cargo xtask fuzz`: runs the fuzz targets of the crate `fuzz` with libFuzzer.
//!
//! The pinned stable toolchain is sufficient: its code generator counts coverage (`-Cpasses=sancov-module`), and the
//! crate libfuzzer-sys contains the source of libFuzzer, which a C++ compiler builds. Only the sanitizers need a
//! nightly toolchain. They find faults in unsafe code, which this workspace forbids.

mod program;
mod report;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use self::{program::Program, report::Run};
use crate::{test, workspace};

/// Arguments of `cargo xtask fuzz`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask fuzz                       runs every target for a few seconds, one minute in total
  cargo xtask fuzz pods yaml             runs two targets, one minute in total
  cargo xtask fuzz --minutes 60          runs every target, one hour in total
  cargo xtask fuzz pods --input FILE     runs a target with one input, for example that of a finding

Findings and inputs that reach new code are kept in target/fuzzing. The next run starts with them.")]
pub(crate) struct Arguments {
    /// The targets to run [default: all]
    targets: Vec<String>,
    /// The time for all targets together, in minutes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_080))]
    minutes: u64,
    /// Run one target with only the input in this file
    #[arg(long, value_name = "FILE", conflicts_with = "minutes")]
    input: Option<PathBuf>,
}

/// Whether all targets ran, and what they found.
pub(crate) struct Summary {
    /// The targets with a finding.
    pub(crate) findings: Vec<String>,
    /// Why files are not compared with `PyYAML`.
    pub(crate) not_compared: Option<String>,
}

/// Runs the targets. The exit code is 1 if there is a finding.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let Some(input) = &arguments.input {
        let [target] = &arguments.targets[..] else { bail!("--input requires exactly one target") };
        let input = std::env::current_dir()?.join(input);
        ensure!(input.is_file(), "{} is not a file", input.display());
        let program = Program::build(test::python_with_yaml().ok())?;
        let is_fine = program.repeat(&program.chosen(std::slice::from_ref(target))?[0], &input)?;
        return Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let summary = run_for(&arguments.targets, Duration::from_secs(60 * arguments.minutes))?;
    Ok(if summary.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs these targets, or all, for this time in total, and prints the results.
pub(crate) fn run_for(targets: &[String], time: Duration) -> Result<Summary> {
    let python = test::python_with_yaml();
    let not_compared = python.as_ref().err().map(|error| format!("files are not compared with PyYAML: {error:#}"));
    if let Some(why) = &not_compared {
        writeln!(io::stderr(), "{why}")?;
    }
    let program = Program::build(python.ok())?;
    let targets = program.chosen(targets)?;
    let each = time / u32::try_from(targets.len()).unwrap_or(u32::MAX).max(1);
    let folder = folder()?;
    let mut runs = Vec::new();
    for target in &targets {
        writeln!(io::stderr(), "{target}: {} s", each.as_secs().max(1))?;
        let run = program.run(target, each, &folder)?;
        if let Some(finding) = &run.finding {
            writeln!(io::stderr(), "\n{}", run.log_of_finding())?;
            writeln!(
                io::stderr(),
                "finding of {target}: {}\nto repeat it: {}\n",
                finding.what,
                finding.repeat(target)
            )?;
        }
        runs.push(run);
    }
    report::print(&runs)?;
    let findings = runs.into_iter().filter(|run| run.finding.is_some()).map(|Run { target, .. }| target).collect();
    Ok(Summary { findings, not_compared })
}

/// The folder of inputs and findings, which is not in git.
fn folder() -> Result<PathBuf> {
    let here = workspace::built_here()?;
    let folder = here.parent().unwrap_or(Path::new("target")).join("fuzzing");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}
