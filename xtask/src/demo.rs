//! `cargo xtask demo`: README's first command.

use std::{env, ffi::OsString, os::unix::process::CommandExt as _, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};

use crate::workspace;

/// The operator, and the command-line tool that explains.
const SHOWN: [&str; 2] = ["toolset-controller", "kubectl-toolset"];

/// Builds the programs and becomes the demo. They are not optimised unless asked for: that is faster on the first run, and
/// the same build is what the tests use.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let release = arguments.iter().any(|argument| argument == "--release");
    build(&["demo"], false)?;
    build(&SHOWN, release)?;
    let shown = |name| -> Result<PathBuf> { if release { workspace::optimised(name) } else { workspace::built(name) } };
    let program = workspace::built("demo")?;
    let mut demo = workspace::command(&program);
    demo.args(arguments)
        .current_dir(env::current_dir()?)
        .env("TOOLSET_CONTROLLER", shown("toolset-controller")?)
        .env("KUBECTL_TOOLSET", shown("kubectl-toolset")?);
    Err(demo.exec()).with_context(|| format!("cannot run {}", program.display()))
}

/// Not quiet: the first build takes minutes, and somebody is watching.
fn build(programs: &[&str], release: bool) -> Result<()> {
    let mut build = workspace::cargo(&["build", "--workspace"]);
    if release {
        build.arg("--release");
    }
    for name in programs {
        build.args(["--bin", name]);
    }
    workspace::succeed(&mut build)
}
