//! The tier `agent`: the real agent loads the files of the operator.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::report::Outcome;
use crate::{programs, tools, workspace};

/// Runs the cases of `tests/agent` whose names contain one of `parts`. Without `parts`, runs all cases.
pub(super) fn run(parts: &[String]) -> Result<Outcome> {
    let python = match python() {
        Ok(python) => python,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let [program] = programs::build(["kubectl-toolset"])?;
    let mut command = workspace::command(python);
    command.arg(folder().join("run.py")).arg("--kubectl-toolset").arg(program).args(parts);
    workspace::succeed(&mut command)?;
    Ok(Outcome::Passed)
}

/// The Python of the virtual environment with the agent. The environment is created on first use in a folder that all
/// checkouts share.
pub(super) fn python() -> Result<PathBuf> {
    let requirements = folder().join("requirements.txt");
    let wanted = fs::read(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    let environment = tools::cache()?.join(format!("agent-{:016x}", hasher.finish()));
    let python = environment.join("bin/python");
    // This file is written last, so that an interrupted installation starts again.
    let done = environment.join("requirements.txt");
    if !done.is_file() {
        writeln!(
            io::stderr(),
            "installing the agent in {} (this takes a minute or two the first time)",
            environment.display()
        )?;
        install(&environment, &python, &requirements)?;
        fs::write(&done, &wanted).with_context(|| format!("cannot write {}", done.display()))?;
    }
    Ok(python)
}

fn install(environment: &Path, python: &Path, requirements: &Path) -> Result<()> {
    workspace::succeed(workspace::command("python3").args(["-m", "venv", "--clear"]).arg(environment))
        .context("cannot create a virtual environment for the agent; install Python 3 with venv")?;
    let mut pip = workspace::command(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements);
    workspace::succeed(&mut pip).context("cannot install the agent with pip")
}

fn folder() -> PathBuf {
    workspace::root().join("tests/agent")
}
