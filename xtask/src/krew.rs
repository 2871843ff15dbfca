//! `cargo xtask krew`: generates the manifest that `kubectl krew install toolset` uses.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::Args;

const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// The operating system and the architecture of every archive of a release, with the names of Kubernetes.
const PLATFORMS: [(&str, &str); 4] = [("linux", "amd64"), ("linux", "arm64"), ("darwin", "amd64"), ("darwin", "arm64")];

/// Arguments of `cargo xtask krew`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The file with the output of `sha256sum` for the files of the release
    checksums: PathBuf,
}

/// Prints the manifest.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let path = &arguments.checksums;
    let checksums = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    io::stdout().write_all(manifest(env!("CARGO_PKG_VERSION"), &checksums)?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The manifest. Fails if an archive has no checksum.
fn manifest(version: &str, checksums: &str) -> Result<String> {
    let platforms: Result<String> = PLATFORMS.iter().map(|(os, arch)| platform(version, os, arch, checksums)).collect();
    Ok(format!(
        "apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: toolset
spec:
  version: v{version}
  homepage: {REPOSITORY}
  shortDescription: Show which Services an AI agent can use
  description: |
    Shows which Services the toolset operator makes available to an AI operations agent such as HolmesGPT
    (render), and explains why a Service is a tool or why it is not (explain). It reads the Services from files
    or from a cluster, and it changes nothing. It also validates a ToolsetConfig without a cluster (validate) and
    prints the CustomResourceDefinition (crds).
  platforms:
{}",
        platforms?
    ))
}

fn platform(version: &str, os: &str, arch: &str, checksums: &str) -> Result<String> {
    let archive = format!("kubectl-toolset-{os}-{arch}.tar.gz");
    let checksum = checksums.lines().find_map(|line| {
        let (checksum, name) = line.split_once(char::is_whitespace)?;
        (name.trim_start_matches([' ', '*']) == archive).then_some(checksum)
    });
    let checksum = checksum.with_context(|| format!("{archive} has no checksum"))?;
    Ok(format!(
        "  - selector:
      matchLabels: {{os: {os}, arch: {arch}}}
    uri: {REPOSITORY}/releases/download/v{version}/{archive}
    sha256: \"{checksum}\"
    bin: kubectl-toolset
    files:
    - {{from: kubectl-toolset, to: .}}
    - {{from: LICENSE, to: .}}
"
    ))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::{Value, json};

    use super::*;

    fn checksums() -> String {
        let mut text = String::new();
        for (index, (os, arch)) in PLATFORMS.iter().enumerate() {
            writeln!(text, "{}  kubectl-toolset-{os}-{arch}.tar.gz", index.to_string().repeat(64)).unwrap();
        }
        text
    }

    #[test]
    fn every_platform_has_its_archive_and_checksum() {
        let manifest: Value = serde_saphyr::from_str(&manifest("1.2.3", &checksums()).unwrap()).unwrap();
        assert_eq!(manifest["spec"]["version"], "v1.2.3");
        let platform = &manifest["spec"]["platforms"][3];
        assert_eq!(platform["selector"]["matchLabels"], json!({"os": "darwin", "arch": "arm64"}));
        assert_eq!(platform["sha256"].as_str().unwrap(), "3".repeat(64));
        let uri = platform["uri"].as_str().unwrap();
        assert!(uri.starts_with("https://"), "{uri}");
        assert!(uri.ends_with("/releases/download/v1.2.3/kubectl-toolset-darwin-arm64.tar.gz"), "{uri}");
        let short = manifest["spec"]["shortDescription"].as_str().unwrap();
        assert!(short.len() <= 50, "krew's index takes 50 characters: {}", short.len());
    }

    #[test]
    fn an_archive_without_a_checksum_is_an_error() {
        let checksums = checksums();
        let (_, all_but_the_first) = checksums.split_once('\n').unwrap();
        let error = manifest("1.2.3", all_but_the_first).unwrap_err();
        assert_eq!(error.to_string(), "kubectl-toolset-linux-amd64.tar.gz has no checksum");
    }
}
