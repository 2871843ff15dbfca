//! Writes and checks generated files.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

/// Arguments of the commands that generate files.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Do not write files; fail if a file is out of date
    #[arg(long)]
    pub(crate) check: bool,
}

/// A generated file.
#[derive(Debug)]
pub(crate) struct Generated {
    /// The path of the file.
    pub(crate) path: PathBuf,
    /// The content of the file.
    pub(crate) text: String,
}

/// Writes the files that differ. With `check`, writes nothing and fails if a file differs.
///
/// `command` is the command that updates the files. The error message contains it.
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
        bail!("out of date: {}; run `{command}`", stale.join(", "));
    }
    Ok(())
}
