//! The tier `datastorage`: Data Storage on a real PostgreSQL.

use std::{
    env,
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Result;

use super::{agent, report::Outcome, tiers::on_the_control_plane};
use crate::{mcp_client, postgres, tools};

/// The program under test, with the environment variable that names it.
pub(super) const PROGRAM: &[(&str, &str)] = &[("DATASTORAGE_PROGRAM", "datastorage")];

/// The operator, which discovers the service in one of the tests.
const OPERATOR: (&str, &str) = ("TOOLSET_CONTROLLER", "toolset-controller");

/// The version of PostgreSQL that the tests use, `16` or `18`.
const VERSION: &str = "DATASTORAGE_TEST_POSTGRES";

/// The tests that also run on the newer version: what depends on how PostgreSQL stores, locks, plans and migrates. All of
/// them run on it with `DATASTORAGE_TEST_POSTGRES=18`.
const ON_BOTH_VERSIONS: [&str; 5] = ["chain::", "migrations::", "partitions::", "roles::", "search::"];

/// Runs the tests of `tests/datastorage`. The control plane checks the tokens in the tests of authentication.
pub(super) fn run(filter: &[String]) -> Result<Outcome> {
    let installed = match postgres::variables() {
        Ok(installed) => installed,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    // If one of these cannot be installed, the tests that need it print that they are skipped, and fail in CI.
    let mut others: Vec<(&str, PathBuf)> = mcp_client::variables().unwrap_or_default();
    match postgres::too_old() {
        Ok(old) => others.push(old),
        // The test then says that it is not on a real one.
        Err(error) => writeln!(io::stderr(), "there is no PostgreSQL 15: {error:#}")?,
    }
    others.extend(agent::tested_python().ok().map(|python| ("TOOLSET_AGENT_PYTHON", python)));
    others.extend(tools::helm().ok().map(|helm| ("HELM", helm)));
    let on = |version: &str, filter: &[String]| {
        let mut variables: Vec<(&str, PathBuf)> = installed.iter().chain(&others).cloned().collect();
        variables.push((VERSION, version.into()));
        on_the_control_plane("datastorage", &[PROGRAM, &[OPERATOR]].concat(), &variables, filter)
    };
    if let Ok(version) = env::var(VERSION) {
        return on(&version, filter);
    }
    let outcome = on("16", filter)?;
    if !filter.is_empty() || outcome != Outcome::Passed {
        return Ok(outcome);
    }
    on("18", &ON_BOTH_VERSIONS.map(str::to_owned))
}
