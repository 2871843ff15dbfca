//! `cargo xtask bench`: measures the numbers that the project promises with optimised programs.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};
use clap::Subcommand;

use crate::{postgres, programs, tools, workspace};

/// Every benchmark prints its measurements and whether the promises are kept, and then one line of `key=value` pairs. It
/// exits with 1 if a promise is broken.
#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum Bench {
    /// Measure the time from a change of a Service to the change of the ConfigMap, and compare it with a minimal
    /// watch-and-apply loop.
    #[command(disable_help_flag = true)]
    Freshness {
        /// The options that `cargo xtask bench freshness --help` lists.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Count which of many ToolsetConfigs are planned because of an event, and measure what it costs.
    #[command(disable_help_flag = true)]
    Configs {
        /// The options that `cargo xtask bench configs --help` lists.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure the time to recognise and plan up to 50,000 Services, and the memory of the operator while it watches them.
    #[command(disable_help_flag = true)]
    Recognise {
        /// The options that `cargo xtask bench recognise --help` lists. Most apply to the measurement of memory.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure what the operator uses and writes while nothing changes for ten minutes.
    #[command(disable_help_flag = true)]
    Idle {
        /// The options that `cargo xtask bench idle --help` lists.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure what health probes cost, and whom they delay while some of the probed Services hang.
    #[command(disable_help_flag = true)]
    Probes {
        /// The options that `cargo xtask bench probes --help` lists.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure how fast Data Storage writes and reads, and compare it with PostgreSQL alone.
    #[command(disable_help_flag = true)]
    Datastorage {
        /// The options that `cargo xtask bench datastorage --help` lists.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Check every write of two replicas for an hour, while the cluster changes, requests fail and leaders die.
    #[command(disable_help_flag = true)]
    Endurance {
        /// The options that `cargo xtask bench endurance --help` lists.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// Builds the optimised programs and runs a benchmark.
pub(crate) fn run(bench: &Bench) -> Result<ExitCode> {
    let (name, arguments) = match bench {
        Bench::Freshness { arguments } => ("freshness", arguments),
        Bench::Configs { arguments } => ("configs", arguments),
        Bench::Recognise { arguments } => ("recognise", arguments),
        Bench::Idle { arguments } => ("idle", arguments),
        Bench::Probes { arguments } => ("probes", arguments),
        Bench::Datastorage { arguments } => ("datastorage", arguments),
        Bench::Endurance { arguments } => ("endurance", arguments),
    };
    if has(arguments, "--help") || has(arguments, "-h") {
        // The help needs no optimised build, which takes minutes.
        return programs::replace_this_process("bench", &[name.into(), "--help".into()]);
    }
    let mut command = vec![OsString::from(name)];
    if name == "recognise" {
        let kept = pure_part()?;
        if has(arguments, "--pure") {
            return Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        if !kept {
            command.push("--pure-broken".into());
        }
    }
    command.extend_from_slice(arguments);
    if name == "datastorage" { on_postgresql(&command) } else { on_the_api_server(&command) }
}

/// Runs the half of `recognise` that needs no API server. Returns whether its promises are kept.
fn pure_part() -> Result<bool> {
    const BENCH: [&str; 5] = ["bench", "--package", "toolset", "--bench", "recognise"];
    // Built first, so that a failure of the second command is a failure of the measurement.
    workspace::succeed(workspace::cargo(&BENCH).arg("--no-run"))?;
    Ok(workspace::status(&mut workspace::cargo(&BENCH))?.success())
}

/// Builds the optimised programs and replaces this process with a benchmark of the operator, so that Ctrl-C reaches only the benchmark.
fn on_the_api_server(arguments: &[OsString]) -> Result<ExitCode> {
    let mut command = optimised(&["toolset-controller"])?;
    command.env("TOOLSET_CONTROLLER", workspace::optimised("toolset-controller")?);
    if has(arguments, "--chart") {
        command.env("HELM", tools::helm()?);
    }
    replace_this_process(command.args(arguments))
}

/// The same for the benchmark of Data Storage. The service is built as for its image.
fn on_postgresql(arguments: &[OsString]) -> Result<ExitCode> {
    let postgres = postgres::variables()?;
    let service = ["build", "--profile", "service", "--package", "datastorage", "--bin", "datastorage"];
    workspace::succeed(&mut workspace::cargo(&service))?;
    let service = workspace::built_with("service", "datastorage")?;
    let mut command = optimised(&[])?;
    replace_this_process(command.env("DATASTORAGE_PROGRAM", service).envs(postgres).args(arguments))
}

/// Builds the optimised benchmarks, and these programs beside them.
fn optimised(programs: &[&str]) -> Result<Command> {
    // The build shows its progress, because the first one takes minutes.
    let mut build = vec!["build", "--release", "--workspace", "--bin", "bench"];
    build.extend(programs.iter().flat_map(|program| ["--bin", program]));
    workspace::succeed(&mut workspace::cargo(&build))?;
    let mut command = workspace::command(workspace::optimised("bench")?);
    command.current_dir(env::current_dir()?);
    Ok(command)
}

fn replace_this_process(command: &mut Command) -> Result<ExitCode> {
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", command.get_program().display()))
}

fn has(arguments: &[OsString], argument: &str) -> bool {
    arguments.iter().any(|one| one == OsStr::new(argument))
}
