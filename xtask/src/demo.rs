//! `cargo xtask demo`: README's first command.

use std::{env, ffi::OsString, os::unix::process::CommandExt as _, process::ExitCode};

use anyhow::{Context as _, Result};

use crate::workspace;

/// What it builds: the demo, the operator that it shows, and the command-line tool that explains.
const PROGRAMS: [&str; 3] = ["demo", "toolset-controller", "kubectl-toolset"];

/// Builds the programs, not optimised since that is three times faster on the first run, and becomes the demo.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    // Not quiet: the first build takes minutes, and somebody is watching.
    let mut build = workspace::cargo(&["build", "--workspace"]);
    for name in PROGRAMS {
        build.args(["--bin", name]);
    }
    workspace::succeed(&mut build)?;
    let program = workspace::built("demo")?;
    let mut demo = workspace::command(&program);
    demo.args(arguments)
        .current_dir(env::current_dir()?)
        .env("TOOLSET_CONTROLLER", workspace::built("toolset-controller")?)
        .env("KUBECTL_TOOLSET", workspace::built("kubectl-toolset")?);
    Err(demo.exec()).with_context(|| format!("cannot run {}", program.display()))
}
