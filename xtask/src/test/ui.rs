//! The tier `ui`: the page of `kubectl toolset ui` in a real browser.

use std::{fs, path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result};

use super::{MISSING_TOOL, report::Outcome};
use crate::{programs, tools, workspace};

/// Runs the tests of `tests/ui` with Node.js and Chromium, on a control plane. `filter` is given to Node.js.
pub(super) fn run(filter: &[String]) -> Result<Outcome> {
    let found = tools::node().and_then(|node| Ok((node, tools::chromium()?)));
    let (node, chromium) = match found {
        Ok(found) => found,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let packages = install_packages();
    if let Err(error) = packages {
        return Ok(Outcome::Skipped(format!("{error:#}")));
    }
    let [cluster, controller, kubectl] = programs::build(["cluster", "toolset-controller", "kubectl-toolset"])?;
    let prepared = workspace::status(workspace::command(&cluster).arg("--prepare").stdout(Stdio::null()))?;
    if prepared.code() == Some(MISSING_TOOL) {
        return Ok(Outcome::Skipped("Go is missing to build the control plane (see the line above)".to_owned()));
    }
    let mut command = workspace::command(cluster);
    command.arg("--").arg(node).args(["--test", "--test-reporter=spec", "--test-concurrency=1"]);
    command.args(filter).args(tests()?);
    command.env("KUBECTL_TOOLSET", kubectl).env("TOOLSET_CONTROLLER", controller).env("CHROMIUM", chromium);
    let passed = workspace::status(&mut command)?.success();
    Ok(if passed { Outcome::Passed } else { Outcome::Failed("see the output above".to_owned()) })
}

fn folder() -> PathBuf {
    workspace::root().join("tests/ui")
}

/// The files with tests, in a fixed order.
fn tests() -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder()).with_context(|| format!("cannot read {}", folder().display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    files.sort();
    Ok(files)
}

/// Installs the packages of the lock file, unless they are installed.
fn install_packages() -> Result<()> {
    let lock = fs::read(folder().join("package-lock.json")).context("cannot read tests/ui/package-lock.json")?;
    let installed = folder().join("node_modules/.of-lock-file");
    if fs::read(&installed).is_ok_and(|of| of == lock) {
        return Ok(());
    }
    let mut install = workspace::command("npm");
    install.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder());
    workspace::succeed(&mut install).context("cannot install the packages of tests/ui with npm")?;
    fs::write(&installed, lock).with_context(|| format!("cannot write {}", installed.display()))
}
