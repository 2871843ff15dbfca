//! `cargo xtask corpus`: measures precision and recall of the built-in rules, and compares them with the discovery of
//! the agent itself.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;

use crate::workspace;

/// Arguments of `cargo xtask corpus`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The corpus files [default: the files next to the project]
    files: Vec<PathBuf>,
}

/// Scores the rules. The exit code is that of the program that scores them.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut command =
        workspace::cargo(&["run", "--release", "--quiet", "-p", "detectors", "--example", "corpus", "--"]);
    command.args(&arguments.files).current_dir(std::env::current_dir()?);
    let code = workspace::status(&mut command)?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
