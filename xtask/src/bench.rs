//! `cargo xtask bench`: the numbers that the README promises, measured with optimised programs.

use std::{env, ffi::OsString, os::unix::process::CommandExt as _, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Subcommand;

use crate::{programs, tools, workspace};

/// Each prints what it measured, then one line of `key=value` pairs.
#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum Bench {
    /// Time from a Service's change to the ConfigMap's, beside that of a bare watch-and-apply loop.
    #[command(disable_help_flag = true)]
    Freshness {
        /// What `cargo xtask bench freshness --help` says.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Time to recognise and plan 10,000 Services, and the operator's memory while it watches as many.
    #[command(disable_help_flag = true)]
    Recognise {
        /// What `cargo xtask bench recognise --help` says: all about the second half.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// What the operator costs and writes while nothing changes, for ten minutes.
    #[command(disable_help_flag = true)]
    Idle {
        /// What `cargo xtask bench idle --help` says.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// Builds what is measured, optimised, and measures.
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

/// Builds the optimised programs and becomes the benchmark of this name.
fn on_the_api_server(bench: &str, arguments: &[OsString]) -> Result<ExitCode> {
    if asks_for_help(arguments) {
        // Nobody waits for an optimised build to read it.
        return programs::replace_this_process("bench", &[bench.into(), "--help".into()]);
    }
    // Not quiet: the first build takes minutes.
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
