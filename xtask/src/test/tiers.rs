//! The tiers, in the order in which they run. Fast tiers come first.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Write as _},
    iter,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::{MISSING_TOOL, agent, datastorage, fuzz, report::Outcome, ui};
use crate::{chart, crds, docs, postgres, programs, tools, workspace};

/// Tests on the API server mostly wait, so there are more threads than cores.
const API_THREADS: &str = "--test-threads=8";
/// The others also run Helm and PostgreSQL.
const THREADS: &str = "--test-threads=4";

/// The programs of the operator, with the environment variables that name them.
const OPERATOR: &[(&str, &str)] =
    &[("TOOLSET_CONTROLLER", "toolset-controller"), ("KUBECTL_TOOLSET", "kubectl-toolset")];

/// A set of checks or tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Tier {
    /// Formatting
    Fmt,
    /// Lints of all targets
    Clippy,
    /// Unit tests, integration tests of the crates, and documentation tests
    Unit,
    /// Whether the generated files are up to date
    Generated,
    /// Licences, bans and sources of the dependencies
    Deny,
    /// Tests with the real agent
    Agent,
    /// Tests on a real API server
    Api,
    /// Tests of the chart with Helm, a real API server and a real Prometheus
    Chart,
    /// Tests of `kubectl toolset ui` in a real browser
    Ui,
    /// Tests of Data Storage on a real PostgreSQL
    Datastorage,
    /// All fuzz targets for a minute
    Fuzz,
}

impl Tier {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Unit => "unit",
            Self::Generated => "generated",
            Self::Deny => "deny",
            Self::Agent => "agent",
            Self::Api => "api",
            Self::Chart => "chart",
            Self::Ui => "ui",
            Self::Datastorage => "datastorage",
            Self::Fuzz => "fuzz",
        }
    }

    /// Runs the tier. The test programs get `filter` as their arguments. Fails if a command fails.
    pub(super) fn run(self, filter: &[String]) -> Result<Outcome> {
        match self {
            Self::Fmt => cargo(&["fmt", "--all", "--check"]),
            Self::Clippy => cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
            Self::Unit => unit(filter),
            Self::Generated => generated(),
            Self::Deny => deny(),
            Self::Agent => agent::run(filter),
            Self::Api => api(filter),
            Self::Chart => chart(filter),
            Self::Ui => ui::run(filter),
            Self::Datastorage => datastorage::run(filter),
            Self::Fuzz => fuzz::run(filter),
        }
    }
}

fn cargo(arguments: &[&str]) -> Result<Outcome> {
    workspace::succeed(&mut workspace::cargo(arguments))?;
    Ok(Outcome::Passed)
}

fn unit(filter: &[String]) -> Result<Outcome> {
    let mut command = workspace::cargo(&["test", "--workspace", "--no-fail-fast", "--lib", "--bins"]);
    // The tests are listed by name. `--tests` would include the tests on the API server. Without their crate, cargo
    // would build the dependencies again with fewer features.
    for test in integration_tests()? {
        command.args(["--test", &test]);
    }
    workspace::succeed(command.arg("--").args(filter))?;
    workspace::succeed(workspace::cargo(&["test", "--workspace", "--doc", "--"]).args(filter))?;
    Ok(Outcome::Passed)
}

/// The names of `crates/*/tests/*.rs` and `crates/*/tests/*/main.rs`.
fn integration_tests() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for krate in entries(&workspace::root().join("crates"))? {
        for path in entries(&krate.join("tests"))? {
            if path.extension() == Some(OsStr::new("rs")) || path.join("main.rs").is_file() {
                let stem = path.file_stem().and_then(OsStr::to_str).context("the file name of a test is not UTF-8")?;
                names.push(stem.to_owned());
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The paths in a folder. Empty if the folder does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(found) => Ok(found.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", folder.display())),
    }
}

fn generated() -> Result<Outcome> {
    if !crds::check()? {
        return Ok(Outcome::Failed("the CRDs are out of date; run `cargo xtask crds`".to_owned()));
    }
    chart::run(workspace::root(), true)?;
    docs::run(workspace::root(), true)?;
    Ok(Outcome::Passed)
}

/// Does not check advisories, because their database is a git repository that a machine without a network cannot fetch.
/// CI checks them.
fn deny() -> Result<Outcome> {
    let program = match tools::cargo_deny() {
        Ok(program) => program,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    workspace::succeed(workspace::command(program).args(["check", "bans", "licenses", "sources"]))?;
    Ok(Outcome::Passed)
}

fn api(filter: &[String]) -> Result<Outcome> {
    // Without the agent, its tests print that they are skipped, or fail in CI.
    let agent = agent::tested_python().map(|python| ("TOOLSET_AGENT_PYTHON", python));
    if let Err(error) = &agent {
        writeln!(io::stderr(), "the agent cannot be installed: {error:#}")?;
    }
    let mut variables = Vec::from_iter(agent.ok());
    // Likewise without the programs that are asked which product they are.
    let asked = [
        ("PROMETHEUS", tools::prometheus()),
        ("PUSHGATEWAY", tools::debian("prometheus-pushgateway")),
        ("NODE_EXPORTER", tools::debian("prometheus-node-exporter")),
    ];
    for (variable, found) in asked {
        match found {
            Ok(folder) => variables.push((variable, folder)),
            Err(error) => writeln!(io::stderr(), "a program to ask cannot be unpacked: {error:#}")?,
        }
    }
    on_the_control_plane("api", OPERATOR, &variables, filter)
}

fn chart(filter: &[String]) -> Result<Outcome> {
    let found = tools::helm().and_then(|helm| Ok((helm, tools::prometheus()?)));
    let (helm, prometheus) = match found {
        Ok(found) => found,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let mut variables = vec![("HELM", helm), ("PROMETHEUS", prometheus)];
    // Without PostgreSQL, the test that needs it prints that it is skipped, or fails in CI.
    match postgres::variables() {
        Ok(installed) => variables.extend(installed),
        Err(error) => writeln!(io::stderr(), "PostgreSQL cannot be installed: {error:#}")?,
    }
    let tested = [OPERATOR, datastorage::PROGRAM].concat();
    on_the_control_plane("chart", &tested, &variables, filter)
}

/// Runs a test program of the crate `e2e`. `tested` are the programs under test, with the environment variables that name
/// them. `variables` are additional environment variables.
pub(super) fn on_the_control_plane(
    tests: &str,
    tested: &[(&str, &str)],
    variables: &[(&str, PathBuf)],
    filter: &[String],
) -> Result<Outcome> {
    let names: Vec<&str> = iter::once("cluster").chain(tested.iter().map(|&(_, program)| program)).collect();
    let programs = programs::build_all(&names)?;
    let (cluster, programs) = programs.split_first().context("no program")?;
    // This is a separate step, so that the first build does not look like a slow test. It prints the paths of the
    // programs.
    let prepared = workspace::status(workspace::command(cluster).arg("--prepare").stdout(Stdio::null()))?;
    if prepared.code() == Some(MISSING_TOOL) {
        return Ok(Outcome::Skipped("Go is missing to build the control plane (see the line above)".to_owned()));
    }
    let name = tests;
    let threads = if name == "api" { API_THREADS } else { THREADS };
    let tests = workspace::cargo(&["test", "--workspace", "--test", tests, "--", threads]);
    let mut command = workspace::command(cluster);
    // Not for the others: PostgreSQL does not run as root.
    let within: &[&str] = if name == "api" { own_networks() } else { &[] };
    command.arg("--").args(within).arg(tests.get_program()).args(tests.get_args()).args(filter);
    command.envs(tested.iter().map(|&(variable, _)| variable).zip(programs));
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    // A backtrace of a failed test shows only where the error was printed, so it does not help.
    if std::env::var_os("RUST_LIB_BACKTRACE").is_none() {
        command.env("RUST_LIB_BACKTRACE", "0");
    }
    let passed = workspace::status(&mut command)?.success();
    Ok(if passed { Outcome::Passed } else { Outcome::Failed("see the output above".to_owned()) })
}

/// What a command begins with whose tests make networks of their own. A user who is not root may do that in a user
/// namespace, where the system allows them. Otherwise these tests print that they are skipped, or fail in CI.
fn own_networks() -> &'static [&'static str] {
    const IN_USER_NAMESPACE: &[&str] = &["unshare", "--user", "--map-root-user"];
    let [program, arguments @ ..] = IN_USER_NAMESPACE else { return &[] };
    let mut trial = workspace::command(program);
    trial.args(arguments).args(["unshare", "--net", "true"]).stdin(Stdio::null()).stderr(Stdio::null());
    if !tools::is_root() && trial.status().is_ok_and(|status| status.success()) { IN_USER_NAMESPACE } else { &[] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_on_the_api_server_are_not_unit_tests() {
        let names = integration_tests().unwrap();
        assert!(names.contains(&"rules".to_owned()), "{names:?}");
        assert!(!names.contains(&"api".to_owned()), "{names:?}");
    }

    #[test]
    fn a_tier_has_the_same_name_on_the_command_line_and_in_the_report() {
        for tier in Tier::value_variants() {
            let on_the_command_line = tier.to_possible_value().unwrap();
            assert_eq!(on_the_command_line.get_name(), tier.name());
        }
    }
}
