//! The client of the API server, and its timeout.

use std::{future::Future, time::Duration};

use anyhow::Context as _;
use hyper_util::{
    client::legacy::{Client as Connections, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt as _},
    config::KubeConfigOptions,
};
use tower::{BoxError, ServiceBuilder};

use super::error::Error;

/// How long one request may take, from the first byte sent to the last one read. Watches have a timeout of their own.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes a client for the cluster of KUBECONFIG, or else for the cluster that the program runs in.
///
/// Fails if neither configuration can be read. It sends no request, because the API server may start later.
pub(crate) async fn connect() -> anyhow::Result<(Client, String)> {
    // If KUBECONFIG is set, only that file is used. kube would also try the configuration of a pod and report both
    // errors.
    let config = match std::env::var_os("KUBECONFIG") {
        Some(path) => Config::from_kubeconfig(&KubeConfigOptions::default())
            .await
            .with_context(|| format!("KUBECONFIG {}", path.display()))?,
        None => {
            Config::infer().await.context("no cluster is configured; set KUBECONFIG, or run the operator in a Pod")?
        }
    };
    let url = config.cluster_url.to_string();
    let client = build(config).context("cannot create a client from this configuration")?;
    Ok((client, url))
}

/// The HTTP stack. It differs from kube's default in three ways:
///
/// - Nagle's algorithm is off. With it, the second of two small writes waits for the acknowledgement of the first,
///   which the other side may delay by 40 ms.
/// - It does not retry. kube's retries may sleep for minutes inside one call. The operator recomputes everything from
///   the whole state, so it tries again later with the state at that time.
/// - It has no timers of its own, because every request and every watch has a timeout.
fn build(config: Config) -> anyhow::Result<Client> {
    if let Some(proxy) = &config.proxy_url {
        anyhow::bail!(
            "proxy {proxy} is configured, but the operator supports only direct connections; remove the proxy"
        );
    }
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(REQUEST_TIMEOUT));
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(Connections::builder(TokioExecutor::new()).build::<_, Body>(connector));
    Ok(Client::new(service, config.default_namespace))
}

/// Runs one request, and gives up after [`REQUEST_TIMEOUT`].
pub(crate) async fn within_timeout<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(Error::from),
        Err(_elapsed) => Err(Error::Timeout(REQUEST_TIMEOUT)),
    }
}
