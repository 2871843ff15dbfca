//! The connection to the API server.

use std::time::Duration;

use anyhow::Context as _;
use kube::{Client, Config, config::KubeConfigOptions};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A client for the cluster of KUBECONFIG, or else for the cluster that the program runs in.
///
/// Fails if neither configuration can be read. It sends no request, because the API server may start later.
pub async fn connect() -> anyhow::Result<Client> {
    let mut config = match std::env::var_os("KUBECONFIG") {
        Some(path) => Config::from_kubeconfig(&KubeConfigOptions::default())
            .await
            .with_context(|| format!("KUBECONFIG {}", path.display()))?,
        None => {
            Config::infer().await.context("no cluster is configured; set KUBECONFIG, or run the service in a Pod")?
        }
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // kube's retries may sleep for long inside one call. A request that waits has a short time of its own.
    config.default_retry = false;
    Client::try_from(config).context("cannot create a client from this configuration")
}
