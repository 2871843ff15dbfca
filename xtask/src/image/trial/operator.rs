//! The trial of the operator.

use std::{fs, path::Path};

use anyhow::Result;

use super::{free_port, inside, start_and_stop};

/// A kubeconfig with an API server that does not exist. The program starts, sets up TLS and keeps trying to connect.
/// The image has no CA certificates. In a pod the CA certificate of the cluster is mounted, and here it is a
/// certificate whose key was discarded.
const KUBECONFIG: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "c",
 "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
 "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", "certificate-authority": "/ca.pem"}}],
 "users": [{"name": "u", "user": {"token": "t"}}]}"#;

/// Starts the operator, waits until it answers, and stops it.
pub(super) fn run(root: &Path, program: &str) -> Result<()> {
    fs::write(root.join("kubeconfig"), KUBECONFIG)?;
    fs::write(root.join("ca.pem"), include_str!("ca.pem"))?;
    let port = free_port()?;
    let mut command = inside(root)?;
    command
        .arg(program)
        .arg(format!("--health-addr=127.0.0.1:{port}"))
        .args(["--metrics-addr=127.0.0.1:0", "--lease-namespace=default", "--leader-elect=true"])
        .env("KUBECONFIG", "/kubeconfig");
    start_and_stop(&mut command, port, |_| Ok(()))
}
