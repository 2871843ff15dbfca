//! The project's own programs: those that are named, else those that cargo makes of this checkout, so that
//! `cargo test -p e2e` never tests old ones.

use std::{env, path::PathBuf, process::Output};

use anyhow::{Context as _, Result, ensure};
use tokio::sync::OnceCell;

use super::World;
use crate::controlplane::command;

/// Names a `toolset-controller` to test instead of the one that cargo builds.
const CONTROLLER: &str = "TOOLSET_CONTROLLER";
/// Names a `kubectl-toolset` likewise.
const KUBECTL_TOOLSET: &str = "KUBECTL_TOOLSET";

/// The operator.
pub(super) async fn toolset_controller() -> Result<PathBuf> {
    program("toolset-controller", CONTROLLER).await
}

/// The offline and read-only companion.
pub async fn kubectl_toolset_program() -> Result<PathBuf> {
    program("kubectl-toolset", KUBECTL_TOOLSET).await
}

/// Runs `kubectl-toolset` with the administrator's rights and returns what it said, whatever its exit code.
pub async fn kubectl_toolset(world: &World, arguments: &[&str]) -> Result<Output> {
    let mut command = command(kubectl_toolset_program().await?);
    command.env("KUBECONFIG", world.cluster().kubeconfig()).args(arguments);
    tokio::task::spawn_blocking(move || command.output()).await?.context("cannot run kubectl-toolset")
}

/// Runs `toolset-controller` without a cluster and returns what it said, whatever its exit code.
pub async fn toolset_controller_says(arguments: Vec<String>) -> Result<Output> {
    let mut command = command(toolset_controller().await?);
    command.args(arguments).env_remove("KUBECONFIG");
    tokio::task::spawn_blocking(move || command.output()).await?.context("cannot run toolset-controller")
}

/// The path of a program of the workspace, or the path in an environment variable.
pub(crate) async fn program(name: &str, variable: &str) -> Result<PathBuf> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    if let Some(path) = env::var_os(variable).filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let folder = BUILT.get_or_try_init(async || tokio::task::spawn_blocking(build).await?).await?;
    Ok(folder.join(name))
}

/// Builds all of them and returns the folder that they are in.
fn build() -> Result<PathBuf> {
    let mut cargo = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // For the whole workspace, so that dependencies keep the features that `cargo xtask test` builds them with.
    cargo.args(["build", "--quiet", "--workspace"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["toolset-controller", "kubectl-toolset", "datastorage"].iter().flat_map(|name| ["--bin", name]));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "cargo cannot build the project's programs");
    // target/<profile>/deps/<this test> or target/<profile>/<this program>
    let me = env::current_exe()?;
    let folder = me.parent().context("this program is in no folder")?;
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    Ok(profile.context("the test is in no target folder")?.to_owned())
}
