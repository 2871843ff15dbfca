//! Builds and starts programs of the workspace.

use std::{ffi::OsString, os::unix::process::CommandExt as _, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, anyhow};

use crate::workspace;

/// Builds programs of the workspace and returns their paths.
///
/// The build uses the features of the whole workspace, so that all commands share the same build of the dependencies.
pub(crate) fn build<const N: usize>(names: [&str; N]) -> Result<[PathBuf; N]> {
    build_all(&names)?.try_into().map_err(|_| anyhow!("a program is missing"))
}

/// [`build`] for any number of programs.
pub(crate) fn build_all(names: &[&str]) -> Result<Vec<PathBuf>> {
    let mut command = workspace::cargo(&["build", "--workspace"]);
    command.args(names.iter().flat_map(|name| ["--bin", name]));
    workspace::succeed(&mut command)?;
    let folder = workspace::built_here()?;
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

/// Replaces this process with a program of the workspace, so that signals and Ctrl-C reach only the program.
pub(crate) fn replace_this_process(name: &str, arguments: &[OsString]) -> Result<ExitCode> {
    let [program] = build([name])?;
    let mut command = workspace::command(&program);
    // Paths in the arguments are relative to the user's current directory.
    command.args(arguments).current_dir(std::env::current_dir()?);
    Err(command.exec()).with_context(|| format!("cannot run {}", program.display()))
}
