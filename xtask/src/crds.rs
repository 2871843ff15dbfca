//! `cargo xtask crds`: the generated CustomResourceDefinitions.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{programs, workspace};

/// For people and for the chart, which reads only what is in its own folder.
const FILES: [&str; 2] = [
    "crds/toolsetconfigs.toolset.kubernaut.io.yaml",
    "charts/toolset-operator/files/crds/toolsetconfigs.toolset.kubernaut.io.yaml",
];

/// Arguments of `cargo xtask crds`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Write nothing; fail if a file is not as it would be written.
    #[arg(long)]
    check: bool,
}

/// Writes or checks.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.check {
        return Ok(if check()? { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let text = generate()?;
    for file in FILES {
        fs::write(workspace::root().join(file), &text).with_context(|| format!("cannot write {file}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the files are as they would be written; says which is not.
pub(crate) fn check() -> Result<bool> {
    let text = generate()?;
    let mut current = true;
    for file in FILES.iter().filter(|file| !is_current(&workspace::root().join(file), &text)) {
        writeln!(io::stderr(), "{file} is not what crates/crd-types says: run `cargo xtask crds`")?;
        current = false;
    }
    Ok(current)
}

fn generate() -> Result<String> {
    // What users get from it is what is in the repository.
    let [kubectl_toolset] = programs::build(["kubectl-toolset"])?;
    workspace::output(workspace::command(kubectl_toolset).arg("crds"))
}

/// A file that cannot be read is not current.
fn is_current(path: &Path, wanted: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|content| content == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_current_only_if_every_byte_is() {
        let path = std::env::temp_dir().join(format!("xtask-crds-{}", std::process::id()));
        assert!(!is_current(&path, "a: 1\n"));
        fs::write(&path, "a: 1\n").unwrap();
        assert!(is_current(&path, "a: 1\n"));
        assert!(!is_current(&path, "a: 1"));
        fs::remove_file(&path).unwrap();
    }
}
