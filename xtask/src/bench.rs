//! `cargo xtask bench`: measures the numbers in the README with optimised programs.

use std::{env, ffi::OsString, os::unix::process::CommandExt as _, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Subcommand;

use crate::{programs, tools, workspace};

/// Every benchmark prints its measurements, and then one line of `key=value` pairs.
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
    /// Measure the time to recognise and plan 10,000 Services, and the memory of the operator while it watches them.
    #[command(disable_help_flag = true)]
    Recognise {
        /// The options that `cargo xtask bench recognise --help` lists. They apply to the measurement of memory.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure what the operator uses and writes in ten minutes without changes.
    #[command(disable_help_flag = true)]
    Idle {
        /// The options that `cargo xtask bench idle --help` lists.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// Builds the optimised programs and runs a benchmark.
pub(crate) fn run(bench: &Bench) -> Result<ExitCode> {
    match bench {
        Bench::Freshness { arguments } => on_the_api_server("freshness", arguments),
        Bench::Idle { arguments } => on_the_api_server("idle", arguments),
        Bench::Recognise { arguments } => {
            if !asks_for_help(arguments) {
                workspace::succeed(&mut workspace::cargo(&["bench", "--package", "toolset", "--bench", "recognise"]))?;
            }
            on_the_api_server("recognise", arguments)
        }
    }
}

/// Builds the optimised programs and replaces this process with a benchmark.
fn on_the_api_server(bench: &str, arguments: &[OsString]) -> Result<ExitCode> {
    if asks_for_help(arguments) {
        // The help text does not need the optimised build, which takes long.
        return programs::replace_this_process("bench", &[bench.into(), "--help".into()]);
    }
    // The build shows its progress, because the first one takes minutes.
    let build = ["build", "--release", "--workspace", "--bin", "bench", "--bin", "toolset-controller"];
    workspace::succeed(&mut workspace::cargo(&build))?;
    let program = workspace::optimised("bench")?;
    let mut command = workspace::command(&program);
    command
        .arg(bench)
        .args(arguments)
        .current_dir(env::current_dir()?)
        .env("TOOLSET_CONTROLLER", workspace::optimised("toolset-controller")?);
    if arguments.iter().any(|argument| argument == "--chart") {
        command.env("HELM", tools::helm()?);
    }
    Err(command.exec()).with_context(|| format!("cannot run {}", program.display()))
}

fn asks_for_help(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| argument == "--help" || argument == "-h")
}
