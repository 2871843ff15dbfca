//! `cargo xtask corpus`: how right the built-in rules are.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;

use crate::workspace;

/// Arguments of `cargo xtask corpus`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Corpus files; without any, those that are found beside the project.
    files: Vec<PathBuf>,
}

/// Scores the rules; its exit code is the scorer's.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut command =
        workspace::cargo(&["run", "--release", "--quiet", "-p", "detectors", "--example", "corpus", "--"]);
    command.args(&arguments.files).current_dir(std::env::current_dir()?);
    let code = workspace::status(&mut command)?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
