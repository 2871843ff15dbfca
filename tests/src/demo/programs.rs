//! The programs whose output the demo shows.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::controlplane::command;

/// Where they are.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    pub(super) kubectl: PathBuf,
    pub(super) toolset: PathBuf,
}

impl Programs {
    /// What `kubectl` prints.
    pub(super) async fn kubectl(&self, kubeconfig: &Path, arguments: &[&str]) -> Result<String> {
        output(&self.kubectl, kubeconfig, arguments).await
    }

    /// What `kubectl toolset` prints.
    pub(super) async fn toolset(&self, kubeconfig: &Path, colour: bool, arguments: &[&str]) -> Result<String> {
        let colour = if colour { "--color=always" } else { "--color=never" };
        output(&self.toolset, kubeconfig, &[&[colour], arguments].concat()).await
    }
}

async fn output(program: &Path, kubeconfig: &Path, arguments: &[&str]) -> Result<String> {
    let mut command: Command = command(program);
    command.env("KUBECONFIG", kubeconfig).args(arguments);
    let line = format!("{} {}", program.display(), arguments.join(" "));
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    let output = output.with_context(|| format!("cannot run {line}"))?;
    ensure!(output.status.success(), "{line} failed:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
