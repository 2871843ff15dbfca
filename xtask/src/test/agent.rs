//! The tier `agent`: the agent itself, from its package, loads what the operator writes.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::report::Outcome;
use crate::{programs, tools, workspace};

/// Runs the cases of `tests/agent` whose names contain one of `parts`; all without any.
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

/// The Python of a virtual environment that holds the agent, made on first use in a folder that all checkouts share.
fn python() -> Result<PathBuf> {
    let requirements = folder().join("requirements.txt");
    let wanted = fs::read(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    let environment = tools::cache()?.join(format!("agent-{:016x}", hasher.finish()));
    let python = environment.join("bin/python");
    // Written last, so that an installation that was interrupted is begun anew.
    let done = environment.join("requirements.txt");
    if !done.is_file() {
        writeln!(io::stderr(), "installing the agent into {} (once; a minute or two)", environment.display())?;
        install(&environment, &python, &requirements)?;
        fs::write(&done, &wanted).with_context(|| format!("cannot write {}", done.display()))?;
    }
    Ok(python)
}

fn install(environment: &Path, python: &Path, requirements: &Path) -> Result<()> {
    workspace::succeed(workspace::command("python3").args(["-m", "venv", "--clear"]).arg(environment))
        .context("no Python 3 with venv to install the agent with")?;
    let mut pip = workspace::command(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements);
    workspace::succeed(&mut pip).context("the agent cannot be installed from its package")
}

fn folder() -> PathBuf {
    workspace::root().join("tests/agent")
}
