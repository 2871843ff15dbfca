//! `cargo xtask demo`: shows the operator at work.

use std::{env, ffi::OsString, os::unix::process::CommandExt as _, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};

use crate::workspace;

/// The programs that the demo shows.
const SHOWN: [&str; 2] = ["toolset-controller", "kubectl-toolset"];

/// Builds the programs and replaces this process with the demo. The programs are optimised only with `--release`,
/// because the other build is faster and the tests use it too.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let release = arguments.iter().any(|argument| argument == "--release");
    if release {
        build(&["demo"], false)?;
        build(&SHOWN, true)?;
    } else {
        // One call, so that all cores have work until the end.
        build(&["demo", SHOWN[0], SHOWN[1]], false)?;
    }
    let shown = |name| -> Result<PathBuf> { if release { workspace::optimised(name) } else { workspace::built(name) } };
    let program = workspace::built("demo")?;
    let mut demo = workspace::command(&program);
    demo.args(arguments)
        .current_dir(env::current_dir()?)
        .env("TOOLSET_CONTROLLER", shown("toolset-controller")?)
        .env("KUBECTL_TOOLSET", shown("kubectl-toolset")?);
    Err(demo.exec()).with_context(|| format!("cannot run {}", program.display()))
}

/// Builds programs. The build shows its progress, because the first one takes minutes.
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
