//! The connection to the API server.

use std::time::Duration;

use anyhow::Context as _;
use kube::{Client, Config, config::KubeConfigOptions};

/// The timeout for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A client for the cluster in KUBECONFIG, otherwise for the cluster in which the program runs.
///
/// Fails if neither configuration can be read. It sends no request, because the API server may start later.
pub async fn connect() -> anyhow::Result<Client> {
    let mut config = match std::env::var_os("KUBECONFIG") {
        Some(path) => Config::from_kubeconfig(&KubeConfigOptions::default())
            .await
            .with_context(|| format!("KUBECONFIG {}", path.display()))?,
        None => Config::infer()
            .await
            .context("the address of the API server is not known; set KUBECONFIG, or run the service in a Pod")?,
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // kube's retries may sleep for long inside one call. A request that waits has a short time of its own.
    config.default_retry = false;
    Client::try_from(config).context("cannot create a client from this configuration")
}
