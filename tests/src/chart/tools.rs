//! The programs that the tests stand on.

use std::{env, io::Write as _, path::PathBuf};

use anyhow::{Result, bail};

use crate::controlplane;

/// Helm, or `None` and a named skip.
pub(super) fn helm() -> Result<Option<PathBuf>> {
    let in_path =
        || env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join("helm")).find(|path| path.is_file());
    let helm = env::var_os("HELM").map(PathBuf::from).or_else(in_path);
    if helm.is_none() {
        skipped("no Helm: `cargo xtask test chart` brings one")?;
    }
    Ok(helm)
}

/// A program of Prometheus', or `None` and a named skip.
pub fn of_prometheus(name: &str) -> Result<Option<PathBuf>> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::var_os("PROMETHEUS").map(PathBuf::from).into_iter().chain(env::split_paths(&path));
    let program = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    if program.is_none() {
        skipped(&format!("no {name}: `cargo xtask test chart` brings Prometheus"))?;
    }
    Ok(program)
}

/// Whether the control plane runs its controllers; where not, that is a named skip.
pub fn controllers_run() -> Result<bool> {
    let run = controlplane::controllers_run();
    if !run {
        skipped("EndpointSlices and garbage collection need kube-controller-manager")?;
    }
    Ok(run)
}

/// Says so past libtest's capture, and fails where everything must run.
pub fn skipped(reason: &str) -> Result<()> {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    if env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false") {
        bail!("cannot run: {reason}");
    }
    writeln!(std::io::stderr(), "SKIPPED {test}: {reason}")?;
    Ok(())
}
