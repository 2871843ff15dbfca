//! `cargo xtask crds`: generates the CustomResourceDefinitions.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{programs, workspace};

/// The generated files. The chart needs its own copy, because Helm reads only files in the folder of the chart.
const FILES: [&str; 2] = [
    "crds/toolsetconfigs.toolset.kubernaut.io.yaml",
    "charts/toolset-operator/files/crds/toolsetconfigs.toolset.kubernaut.io.yaml",
];

/// Arguments of `cargo xtask crds`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Do not write files; fail if a file is out of date
    #[arg(long)]
    check: bool,
}

/// Writes the files, or checks whether they are up to date.
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

/// Whether the files are up to date. Prints the files that are not.
pub(crate) fn check() -> Result<bool> {
    let text = generate()?;
    let mut current = true;
    for file in FILES.iter().filter(|file| !is_current(&workspace::root().join(file), &text)) {
        writeln!(io::stderr(), "{file} is out of date; run `cargo xtask crds`")?;
        current = false;
    }
    Ok(current)
}

fn generate() -> Result<String> {
    // The repository has the same CRDs that users get from this command.
    let [kubectl_toolset] = programs::build(["kubectl-toolset"])?;
    workspace::output(workspace::command(kubectl_toolset).arg("crds"))
}

/// Whether a file has the expected content. A file that cannot be read has not.
fn is_current(path: &Path, wanted: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|content| content == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_current_only_if_every_byte_is_equal() {
        let path = std::env::temp_dir().join(format!("xtask-crds-{}", std::process::id()));
        assert!(!is_current(&path, "a: 1\n"));
        fs::write(&path, "a: 1\n").unwrap();
        assert!(is_current(&path, "a: 1\n"));
        assert!(!is_current(&path, "a: 1"));
        fs::remove_file(&path).unwrap();
    }
}
