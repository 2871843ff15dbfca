//! `cargo xtask demo`: shows the operator at work.

use std::{env, ffi::OsString, os::unix::process::CommandExt as _, process::ExitCode};

use anyhow::{Context as _, Result};

use crate::{postgres, workspace};

/// The programs that the demo shows, with the environment variables that name them.
const SHOWN: [(&str, &str); 2] = [("toolset-controller", "TOOLSET_CONTROLLER"), ("kubectl-toolset", "KUBECTL_TOOLSET")];

/// The program that it also shows if it is asked for.
const RECORDS: (&str, &str) = ("datastorage", "DATASTORAGE_PROGRAM");

/// Builds the programs and replaces this process with the demo. The programs are optimised only with `--release`,
/// because the other build is faster and the tests use it too.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let asks_for = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let (release, records) = (asks_for("--release"), asks_for("--with-data-storage"));
    let shown: Vec<_> = SHOWN.into_iter().chain(records.then_some(RECORDS)).collect();
    let names = shown.iter().map(|&(name, _)| name);
    if release {
        build(&["demo"], false)?;
        build(&names.collect::<Vec<_>>(), true)?;
    } else {
        // One call, so that all cores have work until the end.
        build(&["demo"].into_iter().chain(names).collect::<Vec<_>>(), false)?;
    }
    let program = workspace::built("demo")?;
    let mut demo = workspace::command(&program);
    demo.args(arguments).current_dir(env::current_dir()?);
    for (name, variable) in shown {
        demo.env(variable, if release { workspace::optimised(name)? } else { workspace::built(name)? });
    }
    if records {
        demo.envs(postgres::variables()?);
    }
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
