//! Tools that the checks need and nobody should have to install by hand.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::workspace;

/// Pinned, so that a new release's new rules break nobody's build by surprise.
const CARGO_DENY: &str = "0.20.2";

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

/// `$XDG_CACHE_HOME/toolset-operator`, else `~/.cache/toolset-operator`: where the control plane's programs are, too.
fn cache() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .filter(|path| Path::new(path).is_absolute())
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("neither XDG_CACHE_HOME nor a home directory is known: set XDG_CACHE_HOME")?;
    Ok(base.join("toolset-operator"))
}
