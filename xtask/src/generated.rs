//! Files that are generated from other files of the project, and never edited.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

/// Arguments of the commands that generate files.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Write nothing; fail if a file is not as it would be written.
    #[arg(long)]
    pub(crate) check: bool,
}

/// A generated file.
#[derive(Debug)]
pub(crate) struct Generated {
    /// Where it belongs.
    pub(crate) path: PathBuf,
    /// What it has to hold.
    pub(crate) text: String,
}

/// Writes what differs; with `check`, writes nothing and fails if anything differs.
///
/// `command` is what brings the files up to date, for the message.
pub(crate) fn write_or_check(files: &[Generated], check: bool, command: &str) -> Result<()> {
    let mut stale = Vec::new();
    for file in files {
        if fs::read_to_string(&file.path).is_ok_and(|present| present == file.text) {
            continue;
        }
        if check {
            stale.push(file.path.display().to_string());
            continue;
        }
        if let Some(folder) = file.path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        fs::write(&file.path, &file.text).with_context(|| format!("cannot write {}", file.path.display()))?;
    }
    if !stale.is_empty() {
        bail!("not up to date: {}; run `{command}`", stale.join(", "));
    }
    Ok(())
}
