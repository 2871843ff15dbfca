//! The programs that the tests of Data Storage run.

use std::{
    env,
    path::PathBuf,
    process::{Command, Output},
    str::FromStr,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{controlplane::command, harness::program};

/// A version of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The oldest version that Data Storage supports.
    V16,
    /// The newest version that Data Storage is tested with.
    V18,
}

impl Version {
    /// The version in the variable `DATASTORAGE_TEST_POSTGRES`. 16 by default.
    pub fn of_the_run() -> Result<Self> {
        match env::var("DATASTORAGE_TEST_POSTGRES") {
            Ok(version) => version.parse().context("DATASTORAGE_TEST_POSTGRES"),
            Err(_) => Ok(Self::V16),
        }
    }

    /// The folder with `postgres`, `initdb` and `pgbench`.
    pub fn programs(self) -> Result<PathBuf> {
        let variable = match self {
            Self::V16 => "DATASTORAGE_POSTGRES_16",
            Self::V18 => "DATASTORAGE_POSTGRES_18",
        };
        let folder = env::var_os(variable).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let folder = folder.with_context(|| {
            format!(
                "{variable} is not set; run the tests with `cargo xtask test datastorage`, which installs PostgreSQL"
            )
        })?;
        ensure!(folder.join("postgres").is_file(), "{variable}={} has no program postgres", folder.display());
        Ok(folder)
    }
}

/// The folder with the programs of a PostgreSQL 15, which is too old, if there is one.
pub fn too_old() -> Result<Option<PathBuf>> {
    let Some(folder) = env::var_os(TOO_OLD).filter(|folder| !folder.is_empty()).map(PathBuf::from) else {
        return Ok(None);
    };
    ensure!(folder.join("postgres").is_file(), "{TOO_OLD}={} has no program postgres", folder.display());
    Ok(Some(folder))
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(version: &str) -> Result<Self> {
        match version {
            "16" => Ok(Self::V16),
            "18" => Ok(Self::V18),
            other => bail!("{other} is not a version that is tested; use 16 or 18"),
        }
    }
}

/// Names the folder of a PostgreSQL that is too old.
const TOO_OLD: &str = "DATASTORAGE_POSTGRES_15";

/// Names a `datastorage` to test instead of the one that cargo builds.
const PROGRAM: &str = "DATASTORAGE_PROGRAM";

/// A command of the service's program. Its environment has none of its settings.
pub async fn datastorage() -> Result<Command> {
    let mut command = command(program("datastorage", PROGRAM).await?);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("DATASTORAGE_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Runs a command to its end, whatever its exit code.
pub async fn run(mut command: Command) -> Result<Output> {
    let name = command.get_program().display().to_string();
    tokio::task::spawn_blocking(move || command.output()).await?.with_context(|| format!("cannot run {name}"))
}
