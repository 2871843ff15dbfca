//! Installs the tools that the tests need.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace;

/// The versions are pinned, because a new release could have new rules that fail the build.
const CARGO_DENY: &str = "0.20.2";
const HELM: &str = "v4.3.1";

/// The path of `cargo-deny`. Installs it on first use in a folder that all checkouts share.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let folder = cache()?.join(format!("tools/cargo-deny-{CARGO_DENY}"));
    let program = folder.join("bin/cargo-deny");
    if !program.is_file() {
        let mut install = workspace::cargo(&["install", "--locked", "cargo-deny", "--version", CARGO_DENY, "--root"]);
        workspace::succeed(install.arg(&folder)).with_context(|| format!("cannot install cargo-deny {CARGO_DENY}"))?;
    }
    Ok(program)
}

/// The path of Helm. Uses the variable `HELM`, or the Helm in PATH, or builds Helm on first use.
pub(crate) fn helm() -> Result<PathBuf> {
    if let Some(present) = helm_that_is_present()? {
        return Ok(present);
    }
    let folder = helm_folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let package = format!("helm.sh/helm/v4/cmd/helm@{HELM}");
    let mut install = workspace::command("go");
    install.args(["install", &package]).env("GOBIN", &folder).env("CGO_ENABLED", "0").env_remove("GOFLAGS");
    workspace::succeed(&mut install).with_context(|| format!("cannot install Helm {HELM} with Go"))?;
    Ok(folder.join("helm"))
}

/// The path of Helm, without building it.
pub(crate) fn helm_that_is_present() -> Result<Option<PathBuf>> {
    let built = helm_folder()?.join("helm");
    Ok(named_or_in_path("HELM", "helm").or(Some(built).filter(|path| path.is_file())))
}

fn helm_folder() -> Result<PathBuf> {
    Ok(cache()?.join(format!("tools/helm-{HELM}")))
}

/// A folder with `prometheus` and `promtool`. Uses the programs in PATH, or unpacks Debian's package. The package is
/// not installed, so that no service starts.
pub(crate) fn prometheus() -> Result<PathBuf> {
    let holds_both = |folder: &Path| ["prometheus", "promtool"].iter().all(|name| folder.join(name).is_file());
    let in_path = env::var_os("PATH").and_then(|path| env::split_paths(&path).find(|folder| holds_both(folder)));
    if let Some(folder) = in_path {
        return Ok(folder);
    }
    let folder = cache()?.join("tools/prometheus-debian");
    let programs = folder.join("usr/bin");
    if !holds_both(&programs) {
        unpack_debian("prometheus", &folder)
            .context("prometheus and promtool are not in PATH; install Prometheus, or correct apt-get")?;
    }
    Ok(programs)
}

/// The folder with the program of one of Debian's packages, which is unpacked on first use. The program has the name of
/// the package.
pub(crate) fn debian(package: &str) -> Result<PathBuf> {
    let folder = cache()?.join(format!("tools/{package}-debian"));
    let programs = folder.join("usr/bin");
    if !programs.join(package).is_file() {
        unpack_debian(package, &folder)?;
    }
    Ok(programs)
}

/// Unpacks a package of Debian in a folder. It is not installed, so that no service starts. Fails if this system does not offer it.
pub(crate) fn unpack_debian(name: &str, folder: &Path) -> Result<()> {
    ensure!(named_or_in_path("", "apt-get").is_some(), "apt-get is missing to download the package {name}");
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let apt = |arguments: &[&str]| {
        workspace::succeed(workspace::command("apt-get").args(arguments).current_dir(folder))
            .with_context(|| format!("apt-get cannot download the package {name}"))
    };
    let download = ["download", "--quiet", name];
    match apt(&download) {
        Ok(()) => {}
        // The list of packages may be missing or old.
        Err(_) if is_root() => apt(&["update", "--quiet"]).and_then(|()| apt(&download))?,
        Err(error) => return Err(error),
    }
    let files = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let Some(package) = files.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).last() else {
        bail!("apt-get downloaded no package to {}", folder.display());
    };
    workspace::succeed(workspace::command("dpkg-deb").arg("--extract").arg(&package).arg(folder))?;
    fs::remove_file(&package).with_context(|| format!("cannot remove {}", package.display()))
}

/// The path of Node.js.
pub(crate) fn node() -> Result<PathBuf> {
    named_or_in_path("NODE", "node")
        .filter(|_| named_or_in_path("", "npm").is_some())
        .context("node and npm are not in PATH; install Node.js 20 or newer")
}

/// The path of Chromium. Uses the variable `CHROMIUM` or a program in PATH, or installs Debian's package if this user may.
pub(crate) fn chromium() -> Result<PathBuf> {
    let present = || {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        names.iter().find_map(|name| named_or_in_path("CHROMIUM", name))
    };
    if let Some(program) = present() {
        return Ok(program);
    }
    let advice = "Chromium is not in PATH; install it, for example with apt-get install chromium, or set CHROMIUM";
    ensure!(named_or_in_path("", "apt-get").is_some() && is_root(), advice);
    let apt = |arguments: &[&str]| {
        workspace::succeed(workspace::command("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let install = ["install", "--yes", "--quiet", "--no-install-recommends", "chromium", "fonts-liberation"];
    // The list of packages may be missing or old.
    apt(&["update", "--quiet"]).and_then(|()| apt(&install)).context("cannot install Chromium")?;
    present().context(advice)
}

/// The C++ compiler that the crate cc finds.
pub(crate) fn cxx() -> Option<PathBuf> {
    named_or_in_path("CXX", "c++")
}

/// Whether this user is root.
pub(crate) fn is_root() -> bool {
    workspace::output(workspace::command("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// The path in an environment variable, or the path of the program in PATH.
fn named_or_in_path(variable: &str, program: &str) -> Option<PathBuf> {
    let named = env::var_os(variable).filter(|path| !variable.is_empty() && !path.is_empty()).map(PathBuf::from);
    let in_path =
        || env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file());
    named.or_else(in_path)
}

/// The cache folder, which also has the control plane: `$XDG_CACHE_HOME/toolset-operator` or
/// `~/.cache/toolset-operator`.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .filter(|path| Path::new(path).is_absolute())
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("cannot find the cache folder, because there is no home directory; set XDG_CACHE_HOME")?;
    Ok(base.join("toolset-operator"))
}
