//! Kubeconfig files.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use kube::config::Kubeconfig;
use serde_json::json;

/// How to reach an API server, without saying as whom.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) certificate_authority: PathBuf,
}

impl Endpoint {
    /// The endpoint that the first cluster of a kubeconfig file names.
    pub(super) fn of(kubeconfig: &Path) -> Result<Self> {
        let file = Kubeconfig::read_from(kubeconfig)
            .with_context(|| format!("cannot read the kubeconfig {}", kubeconfig.display()))?;
        let cluster = file.clusters.into_iter().next().and_then(|named| named.cluster);
        let cluster = cluster.with_context(|| format!("{} names no cluster", kubeconfig.display()))?;
        Ok(Self {
            url: cluster.server.with_context(|| format!("{} names no server", kubeconfig.display()))?,
            certificate_authority: cluster
                .certificate_authority
                .map(PathBuf::from)
                .with_context(|| format!("{} names no certificate-authority file", kubeconfig.display()))?,
        })
    }

    /// Writes a kubeconfig that only its owner can read. JSON is YAML, and nothing needs escaping twice.
    pub(super) fn write(&self, path: &Path, user: &str, token: &str) -> Result<()> {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "test",
                "cluster": {"server": self.url, "certificate-authority": self.certificate_authority},
            }],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "current-context": "test",
        });
        write_private(path, serde_json::to_string_pretty(&config)?.as_bytes())
    }
}

/// Writes a file with mode 0600.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_written_kubeconfig_is_private_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        let endpoint = Endpoint { url: "https://127.0.0.1:1".to_owned(), certificate_authority: "/ca.crt".into() };
        endpoint.write(&path, "admin", "secret").unwrap();

        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = Endpoint::of(&path).unwrap();
        assert_eq!(read.url, endpoint.url);
        assert_eq!(read.certificate_authority, endpoint.certificate_authority);
    }
}
