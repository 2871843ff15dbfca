//! Runs the program once as a container would: its layer is the whole file system, and it is nobody in particular.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::{layer::Layer, layout::digest};
use crate::workspace;

const USER: u32 = 65532;

/// Unpacks the layer of the layout into `root`, asks the program for its version there, and returns what it said.
///
/// Fails if it does not run; without the rights to change the root, a user namespace is made.
pub(super) fn run(root: &Path, layout: &Path, layer: &Layer, program: &str) -> Result<String> {
    fs::create_dir_all(root)?;
    // From the file, not from memory: what is tried is what is shipped.
    let blob = layout.join("blobs/sha256").join(digest(&layer.compressed));
    workspace::succeed(
        workspace::command("tar").args(["--extract", "--gzip", "--file"]).arg(blob).arg("-C").arg(root),
    )?;
    let program = format!("/{program}");
    let is_root = workspace::output(workspace::command("id").arg("-u"))?.trim() == "0";
    let mut command = if is_root {
        let mut chroot = workspace::command("chroot");
        chroot.arg(format!("--userspec={USER}:{USER}")).arg(root);
        chroot
    } else {
        let mut unshare = workspace::command("unshare");
        unshare.args(["--user", &format!("--map-user={USER}"), &format!("--map-group={USER}")]);
        unshare.arg("--root").arg(root);
        unshare
    };
    said(command.arg(program).arg("--version"))
}

fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the program does not run from its root ({}): {errors}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
