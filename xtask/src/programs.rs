//! The programs of the crate `e2e`.

use std::{ffi::OsString, os::unix::process::CommandExt as _, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};

use crate::workspace;

/// Builds programs of the workspace and says where they are.
///
/// With the features of the whole workspace, not of one package: dependencies are built once for all commands.
pub(crate) fn build<const N: usize>(names: [&str; N]) -> Result<[PathBuf; N]> {
    let mut command = workspace::cargo(&["build", "--workspace"]);
    command.args(names.iter().flat_map(|name| ["--bin", name]));
    workspace::succeed(&mut command)?;
    let folder = workspace::built_here()?;
    Ok(names.map(|name| folder.join(name)))
}

/// Becomes a program of the workspace: signals and Ctrl-C reach it and nobody else.
pub(crate) fn replace_this_process(name: &str, arguments: &[OsString]) -> Result<ExitCode> {
    let [program] = build([name])?;
    let mut command = workspace::command(&program);
    // Paths that the user names are meant from where the user is.
    command.args(arguments).current_dir(std::env::current_dir()?);
    Err(command.exec()).with_context(|| format!("cannot run {}", program.display()))
}
