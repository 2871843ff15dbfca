//! Installs the Python clients of the Model Context Protocol for the tests of Data Storage.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{tools, workspace};

/// The packages, pinned, with the variables that name their Python. Agents use version 1. Version 2 negotiates the version of the
/// protocol in another way.
const PACKAGES: [(&str, &str); 2] =
    [("DATASTORAGE_MCP_PYTHON_1", "mcp==1.30.0"), ("DATASTORAGE_MCP_PYTHON_2", "mcp==2.3.0")];

/// The environment variables with the programs of Python that have a client. Installs the clients on first use in a folder
/// that all checkouts share.
pub(crate) fn variables() -> Result<Vec<(&'static str, PathBuf)>> {
    PACKAGES.into_iter().map(|(variable, package)| Ok((variable, python(package)?))).collect()
}

fn python(package: &str) -> Result<PathBuf> {
    let environment = tools::cache()?.join("tools").join(package.replace("==", "-"));
    let python = environment.join("bin/python");
    // This file is written last, so that an interrupted installation starts again.
    let done = environment.join("installed");
    if !done.is_file() {
        writeln!(io::stderr(), "installing the client of MCP ({package}) in {}", environment.display())?;
        install(&environment, &python, package)?;
        fs::write(&done, "").with_context(|| format!("cannot write {}", done.display()))?;
    }
    Ok(python)
}

fn install(environment: &Path, python: &Path, package: &str) -> Result<()> {
    workspace::succeed(workspace::command("python3").args(["-m", "venv", "--clear"]).arg(environment))
        .context("cannot create a virtual environment for the client of MCP; install Python 3 with venv")?;
    let mut pip = workspace::command(python);
    pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-compile", package]);
    workspace::succeed(&mut pip).with_context(|| format!("pip cannot install {package}; see the output above"))
}
