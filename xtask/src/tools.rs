//! Tools that the checks need and nobody should have to install by hand.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace;

/// Pinned, so that a new release's new rules break nobody's build by surprise.
const CARGO_DENY: &str = "0.20.2";
const HELM: &str = "v4.3.1";

/// `cargo-deny`, installed on first use into a folder that all checkouts share.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let folder = cache()?.join(format!("tools/cargo-deny-{CARGO_DENY}"));
    let program = folder.join("bin/cargo-deny");
    if !program.is_file() {
        let mut install = workspace::cargo(&["install", "--locked", "cargo-deny", "--version", CARGO_DENY, "--root"]);
        workspace::succeed(install.arg(&folder))
            .with_context(|| format!("cargo-deny {CARGO_DENY} cannot be installed"))?;
    }
    Ok(program)
}

/// Helm: the one that `HELM` names, the one in PATH, or one that is built on first use.
pub(crate) fn helm() -> Result<PathBuf> {
    if let Some(present) = helm_that_is_present()? {
        return Ok(present);
    }
    let folder = helm_folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let package = format!("helm.sh/helm/v4/cmd/helm@{HELM}");
    let mut install = workspace::command("go");
    install.args(["install", &package]).env("GOBIN", &folder).env("CGO_ENABLED", "0").env_remove("GOFLAGS");
    workspace::succeed(&mut install).with_context(|| format!("Helm {HELM} cannot be installed with Go"))?;
    Ok(folder.join("helm"))
}

/// The same, but nothing is built.
pub(crate) fn helm_that_is_present() -> Result<Option<PathBuf>> {
    let built = helm_folder()?.join("helm");
    Ok(named_or_in_path("HELM", "helm").or(Some(built).filter(|path| path.is_file())))
}

fn helm_folder() -> Result<PathBuf> {
    Ok(cache()?.join(format!("tools/helm-{HELM}")))
}

/// A folder with `prometheus` and `promtool`: those in PATH, or those of Debian's package, unpacked and not installed, so
/// that no service starts.
pub(crate) fn prometheus() -> Result<PathBuf> {
    let holds_both = |folder: &Path| ["prometheus", "promtool"].iter().all(|name| folder.join(name).is_file());
    let in_path = env::var_os("PATH").and_then(|path| env::split_paths(&path).find(|folder| holds_both(folder)));
    if let Some(folder) = in_path {
        return Ok(folder);
    }
    let folder = cache()?.join("tools/prometheus-debian");
    let programs = folder.join("usr/bin");
    if !holds_both(&programs) {
        ensure!(named_or_in_path("", "apt-get").is_some(), "install Prometheus, with its promtool, into PATH");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        workspace::succeed(
            workspace::command("apt-get").args(["download", "--quiet", "prometheus"]).current_dir(&folder),
        )?;
        let package = fs::read_dir(&folder)?.filter_map(|entry| Some(entry.ok()?.path()));
        let Some(package) = package.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).last()
        else {
            bail!("apt-get download left no package in {}", folder.display());
        };
        workspace::succeed(workspace::command("dpkg-deb").arg("--extract").arg(&package).arg(&folder))?;
    }
    Ok(programs)
}

/// What a variable names, else the program of that name in PATH.
fn named_or_in_path(variable: &str, program: &str) -> Option<PathBuf> {
    let named = env::var_os(variable).filter(|path| !variable.is_empty() && !path.is_empty()).map(PathBuf::from);
    let in_path =
        || env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file());
    named.or_else(in_path)
}

/// `$XDG_CACHE_HOME/toolset-operator`, else `~/.cache/toolset-operator`: where the control plane's programs are, too.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .filter(|path| Path::new(path).is_absolute())
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("neither XDG_CACHE_HOME nor a home directory is known: set XDG_CACHE_HOME")?;
    Ok(base.join("toolset-operator"))
}
