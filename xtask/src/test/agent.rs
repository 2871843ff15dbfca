//! The tier `agent`: several versions of the real agent load the files of the operator.

use std::{
    fs,
    io::{self, Write as _},
    iter,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Parser;
use serde_json::{Value, json};

use super::report::Outcome;
use crate::{programs, tools, workspace};

/// The arguments after `--`.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask test agent --", disable_version_flag = true)]
struct Options {
    /// Also write the matrix of docs/compatibility.md
    #[arg(long)]
    update: bool,
    /// Use the newest release that pip can install, write it to tests/agent/versions.json, and write the matrix
    #[arg(long, conflicts_with = "on")]
    newest: bool,
    /// Run the cases only with this version
    #[arg(long, value_name = "VERSION", conflicts_with = "update")]
    on: Option<String>,
    /// Run only the cases whose names contain one of these, only with the tested version
    parts: Vec<String>,
}

/// The versions of the agent, in `tests/agent/versions.json`. They are pinned, so that a new release of the agent does not
/// break the build.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Versions {
    /// The oldest version that Robusta's chart pins.
    oldest: String,
    /// The version that the operator is written for. All cases run with it.
    tested: String,
    /// The newest version that installed when somebody last looked.
    newest: String,
}

impl Versions {
    fn read() -> Result<Self> {
        let path = Self::path();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let versions: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
        let version = |name: &str| {
            let version = versions[name].as_str().map(str::to_owned);
            version.with_context(|| format!("{} has no version {name}", path.display()))
        };
        Ok(Self { oldest: version("oldest")?, tested: version("tested")?, newest: version("newest")? })
    }

    fn write(&self) -> Result<()> {
        let path = Self::path();
        let versions = json!({"oldest": self.oldest, "tested": self.tested, "newest": self.newest});
        let text = serde_json::to_string_pretty(&versions)? + "\n";
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn path() -> PathBuf {
        folder().join("versions.json")
    }

    /// Each version once, the oldest first.
    fn all(&self) -> Vec<&str> {
        let mut all = vec![self.oldest.as_str(), &self.tested, &self.newest];
        all.dedup();
        all
    }
}

/// Runs the cases of `tests/agent`. Without arguments, all cases run with the tested version, the contract runs with the
/// other versions, and the matrix of `docs/compatibility.md` is checked.
pub(super) fn run(arguments: &[String]) -> Result<Outcome> {
    let options = Options::try_parse_from(iter::once("agent").chain(arguments.iter().map(String::as_str)));
    let options = options.map_err(|error| anyhow!("{}", error.render()))?;
    let mut versions = Versions::read()?;
    let python = match python(&versions.tested) {
        Ok(python) => python,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let cases = Cases { program: programs::build(["kubectl-toolset"])?.into_iter().next().context("no program")? };
    if let Some(version) = &options.on {
        cases.run(&self::python(version)?, &options.parts)?;
        return Ok(Outcome::Passed);
    }
    if !options.parts.is_empty() {
        cases.run(&python, &options.parts)?;
        return Ok(Outcome::Passed);
    }
    if options.newest {
        versions.newest = newest(&python)?;
        writeln!(io::stderr(), "the newest release that pip can install is {}", versions.newest)?;
    }
    let outcome = cases.all(&versions, &python, options.update || options.newest)?;
    if options.newest && matches!(outcome, Outcome::Passed) {
        versions.write()?;
    }
    Ok(outcome)
}

/// The test cases.
struct Cases {
    /// The program under test.
    program: PathBuf,
}

impl Cases {
    /// Runs all cases with the tested version and the contract with the others, and compares the matrix.
    fn all(&self, versions: &Versions, python: &Path, update: bool) -> Result<Outcome> {
        let results = workspace::root().join("target/agent-results");
        fs::create_dir_all(&results).with_context(|| format!("cannot create {}", results.display()))?;
        let (mut files, mut missing, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for version in versions.all() {
            let is_tested = version == versions.tested;
            let python = match if is_tested { Ok(python.to_owned()) } else { self::python(version) } {
                Ok(python) => python,
                Err(error) => {
                    missing.push(format!("{error:#}"));
                    continue;
                }
            };
            let file = results.join(format!("{version}.json"));
            let mut arguments = vec!["--results".into(), file.clone().into_os_string()];
            if !is_tested {
                arguments.push("--contract".into());
            }
            writeln!(io::stderr(), "\nHolmesGPT {version}{}", if is_tested { "" } else { ": only the contract" })?;
            if self.run(&python, &arguments).is_err() {
                failed.push(version);
            }
            files.push(file);
        }
        if !failed.is_empty() {
            bail!("cases failed with HolmesGPT {}; see the output above", failed.join(" and "));
        }
        if !missing.is_empty() {
            return Ok(Outcome::Skipped(format!("the cases of the other versions passed, but {}", missing.join("; "))));
        }
        let mut matrix = workspace::command(python);
        matrix.arg(folder().join("matrix.py")).args(files);
        if update {
            matrix.arg("--update");
        }
        workspace::succeed(&mut matrix).context("docs/compatibility.md is out of date; see the output above")?;
        Ok(Outcome::Passed)
    }

    fn run(&self, python: &Path, arguments: &[impl AsRef<std::ffi::OsStr>]) -> Result<()> {
        let mut command = workspace::command(python);
        command.arg(folder().join("run.py")).arg("--kubectl-toolset").arg(&self.program).args(arguments);
        workspace::succeed(&mut command)
    }
}

/// The Python of the virtual environment with the version that the operator is written for.
pub(crate) fn tested_python() -> Result<PathBuf> {
    python(&Versions::read()?.tested)
}

/// The Python of a virtual environment with a version of the agent. The environment is created on first use in a folder
/// that all checkouts share.
fn python(version: &str) -> Result<PathBuf> {
    let environment = tools::cache()?.join(format!("agent-{version}"));
    let python = environment.join("bin/python");
    // This file is written last, so that an interrupted installation starts again.
    let done = environment.join("installed");
    if !done.is_file() {
        writeln!(
            io::stderr(),
            "installing HolmesGPT {version} in {} (this takes a minute or two the first time)",
            environment.display()
        )?;
        install(&environment, &python, version)?;
        fs::write(&done, "").with_context(|| format!("cannot write {}", done.display()))?;
    }
    Ok(python)
}

fn install(environment: &Path, python: &Path, version: &str) -> Result<()> {
    workspace::succeed(workspace::command("python3").args(["-m", "venv", "--clear"]).arg(environment))
        .context("cannot create a virtual environment for HolmesGPT; install Python 3 with venv")?;
    // Python compiles the modules that the cases import when it imports them, which is a small part of all modules.
    workspace::succeed(pip(python).args(["install", "--no-compile"]).arg(format!("holmesgpt=={version}"))).with_context(
        || {
            let used = workspace::output(workspace::command(python).arg("--version")).unwrap_or_default();
            format!("pip cannot install HolmesGPT {version} with {}; see the output above", used.trim())
        },
    )
}

/// The newest release that pip can install with this Python.
fn newest(python: &Path) -> Result<String> {
    let mut report = pip(python);
    report.args(["install", "--dry-run", "--ignore-installed", "--no-deps", "--report", "-", "holmesgpt"]);
    let report: Value = serde_json::from_str(&workspace::output(&mut report)?)?;
    let version = report["install"][0]["metadata"]["version"].as_str();
    Ok(version.context("pip does not say which release of HolmesGPT it would install")?.to_owned())
}

fn pip(python: &Path) -> std::process::Command {
    let mut pip = workspace::command(python);
    pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]);
    pip
}

fn folder() -> PathBuf {
    workspace::root().join("tests/agent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_runs_once() {
        let mut versions = Versions { oldest: "1".to_owned(), tested: "2".to_owned(), newest: "2".to_owned() };
        assert_eq!(versions.all(), ["1", "2"]);
        versions.newest = "3".to_owned();
        assert_eq!(versions.all(), ["1", "2", "3"]);
    }

    #[test]
    fn the_versions_are_complete() {
        Versions::read().unwrap();
    }
}
