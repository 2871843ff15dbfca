//! The programs of the control plane: those that were built before, or else built from `tests/controlplane/`, whose
//! `go.mod` pins the versions.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use super::{build, keys::hex};

/// The variable by which envtest users name a folder of prebuilt programs.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// The names of the programs.
pub(super) const NAMES: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"];

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `etcd`.
    pub etcd: PathBuf,
    /// `kube-apiserver`.
    pub kube_apiserver: PathBuf,
    /// `kube-controller-manager`; `None` with `KUBEBUILDER_ASSETS`, whose folders hold none.
    pub kube_controller_manager: Option<PathBuf>,
    /// `kubectl`.
    pub kubectl: PathBuf,
}

impl Programs {
    /// Takes the programs of `KUBEBUILDER_ASSETS` where it is set, else those of the cache, which are built if they are
    /// not there yet (minutes, with progress on standard error).
    ///
    /// Fails with [`MissingTool`](super::MissingTool) where there is no Go toolchain to build with.
    pub fn locate() -> Result<Self> {
        if let Some(folder) = assets() {
            return Self::of_assets(&folder);
        }
        let module = Module::read()?;
        let folder = module.cache_folder()?;
        if !folder.is_dir() {
            build_once(&module, &folder)?;
        }
        let [etcd, kube_apiserver, kube_controller_manager, kubectl] = NAMES.map(|name| folder.join(name));
        Ok(Self { etcd, kube_apiserver, kube_controller_manager: Some(kube_controller_manager), kubectl })
    }

    fn of_assets(folder: &Path) -> Result<Self> {
        let required = |name: &str| {
            let path = folder.join(name);
            if path.is_file() { Ok(path) } else { bail!("{ASSETS}={} holds no {name}", folder.display()) }
        };
        Ok(Self {
            etcd: required("etcd")?,
            kube_apiserver: required("kube-apiserver")?,
            kube_controller_manager: required("kube-controller-manager").ok(),
            kubectl: required("kubectl")?,
        })
    }
}

/// Whether the control plane that this process would start or was handed runs the controller manager. Without it there
/// is no garbage collection and nobody makes EndpointSlices.
pub fn controllers_run() -> bool {
    assets().is_none_or(|folder| folder.join("kube-controller-manager").is_file())
}

fn assets() -> Option<PathBuf> {
    env::var_os(ASSETS).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// The Go module that pins the versions.
pub(super) struct Module {
    pub(super) folder: PathBuf,
    /// The version of Kubernetes, with its `v`.
    pub(super) kubernetes: String,
    /// Digest of everything that decides what is built.
    digest: String,
}

impl Module {
    fn read() -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane");
        let mut digest = Sha256::new();
        for path in sources(&folder)? {
            digest.update(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
        digest.update(build::RECIPE.join(" "));
        let go_mod = fs::read_to_string(folder.join("go.mod"))?;
        Ok(Self {
            kubernetes: required_version(&go_mod, "k8s.io/kubernetes")
                .context("go.mod requires no k8s.io/kubernetes")?,
            digest: hex(&digest.finalize()[..6]),
            folder,
        })
    }

    /// One folder per version and content of the module, so that checkouts share it and an upgrade does not mix.
    fn cache_folder(&self) -> Result<PathBuf> {
        let name = format!("{}-{}-{}-{}", self.kubernetes, env::consts::OS, env::consts::ARCH, self.digest);
        Ok(cache_root()?.join("controlplane").join(name))
    }
}

/// The files that decide what is built, in a fixed order.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    let is_source = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "go")
            || path.ends_with("go.mod")
            || path.ends_with("go.sum")
    };
    files.retain(is_source);
    files.sort();
    Ok(files)
}

/// The version that a `go.mod` requires of a module.
fn required_version(go_mod: &str, module: &str) -> Option<String> {
    go_mod.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        (words.next() == Some(module)).then(|| words.next().map(str::to_owned)).flatten()
    })
}

/// `$XDG_CACHE_HOME/toolset-operator`, else `~/.cache/toolset-operator`.
fn cache_root() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .filter(|path| Path::new(path).is_absolute())
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("neither XDG_CACHE_HOME nor a home directory is known: set XDG_CACHE_HOME")?;
    Ok(base.join("toolset-operator"))
}

/// Builds into a folder beside the wanted one and renames it, under a lock: two runs do not build the same twice, and a
/// build that was cut short leaves nothing that looks complete.
fn build_once(module: &Module, folder: &Path) -> Result<()> {
    let parent = folder.parent().context("the cache folder has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let lock = fs::File::create(parent.join(".lock"))?;
    if lock.try_lock().is_err() {
        // Nobody is hurt if this line cannot be written.
        _ = writeln!(std::io::stderr(), "waiting for another build of the control plane's programs");
        lock.lock().context("cannot lock the cache of the control plane's programs")?;
    }
    if folder.is_dir() {
        return Ok(());
    }
    let partial = parent.join("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir(&partial)?;
    build::programs(module, &partial)?;
    fs::rename(&partial, folder).with_context(|| format!("cannot rename to {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_required_version_is_read_from_a_block_and_from_a_line() {
        let block = "module m\n\nrequire (\n\tk8s.io/api v0.36.3\n\tk8s.io/kubernetes v1.36.3 // why\n)\n";
        assert_eq!(required_version(block, "k8s.io/kubernetes").as_deref(), Some("v1.36.3"));
        assert_eq!(required_version("require k8s.io/api v0.1.0\n", "k8s.io/api").as_deref(), Some("v0.1.0"));
        assert_eq!(required_version(block, "k8s.io/kube"), None);
    }

    #[test]
    fn every_go_file_of_the_program_decides_what_is_built() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["main.go", "go.mod", "go.sum", "controllers.go", "README.md"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let expected = ["controllers.go", "go.mod", "go.sum", "main.go"].map(|name| folder.path().join(name));
        assert_eq!(sources(folder.path()).unwrap(), expected);
    }

    #[test]
    fn a_folder_of_assets_without_a_controller_manager_is_taken_and_one_without_etcd_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["kube-apiserver", "kubectl"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let error = Programs::of_assets(folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("holds no etcd"), "{error}");

        fs::write(folder.path().join("etcd"), "").unwrap();
        let programs = Programs::of_assets(folder.path()).unwrap();
        assert_eq!(programs.kube_controller_manager, None);
    }
}
