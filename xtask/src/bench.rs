//! `cargo xtask bench`: the numbers that the project promises, measured with optimised programs.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt as _,
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::Subcommand;

use crate::{programs, tools, workspace};

/// Each prints what it measured and whether the promises are kept, then one line of `key=value` pairs. It exits with 1 if a
/// promise is broken.
#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum Bench {
    /// Time from a Service's change to the ConfigMap's, beside that of a bare watch-and-apply loop, and CPU per change.
    #[command(disable_help_flag = true)]
    Freshness {
        /// What `cargo xtask bench freshness --help` says.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Which of many ToolsetConfigs an event costs something.
    #[command(disable_help_flag = true)]
    Configs {
        /// What `cargo xtask bench configs --help` says.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Time to recognise and plan up to 50,000 Services, and the operator's memory while it watches as many.
    #[command(disable_help_flag = true)]
    Recognise {
        /// What `cargo xtask bench recognise --help` says, nearly all about the second half.
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
    let (name, arguments) = match bench {
        Bench::Freshness { arguments } => ("freshness", arguments),
        Bench::Configs { arguments } => ("configs", arguments),
        Bench::Recognise { arguments } => ("recognise", arguments),
        Bench::Idle { arguments } => ("idle", arguments),
    };
    if has(arguments, "--help") || has(arguments, "-h") {
        // Nobody waits for an optimised build to read it.
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
    on_the_api_server(&command)
}

/// The half of `recognise` that needs no API server; returns whether its promises are kept.
fn pure_part() -> Result<bool> {
    const BENCH: [&str; 5] = ["bench", "--package", "toolset", "--bench", "recognise"];
    // Apart, so that a failure of the second command is one of the measurement.
    workspace::succeed(workspace::cargo(&BENCH).arg("--no-run"))?;
    Ok(workspace::status(&mut workspace::cargo(&BENCH))?.success())
}

/// Builds the optimised programs and becomes the benchmark with these arguments: Ctrl-C reaches it and nobody else.
fn on_the_api_server(arguments: &[OsString]) -> Result<ExitCode> {
    // Not quiet: the first build takes minutes.
    let build = ["build", "--release", "--workspace", "--bin", "bench", "--bin", "toolset-controller"];
    workspace::succeed(&mut workspace::cargo(&build))?;
    let program = workspace::optimised("bench")?;
    let mut command = workspace::command(&program);
    command
        .args(arguments)
        .current_dir(env::current_dir()?)
        .env("TOOLSET_CONTROLLER", workspace::optimised("toolset-controller")?);
    if has(arguments, "--chart") {
        command.env("HELM", tools::helm()?);
    }
    Err(command.exec()).with_context(|| format!("cannot run {}", program.display()))
}

fn has(arguments: &[OsString], argument: &str) -> bool {
    arguments.iter().any(|one| one == OsStr::new(argument))
}
