//! The client of the API server: its timeouts, and a view of each watch's contact with the server.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Context as _;
use axum::http::{Request, Response};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
    config::KubeConfigOptions,
};
use tower_service::Service;

use crate::error::Error;

/// How long one request may take, from the first byte sent to the last one read. Watches are bounded by their own timeout.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the API server may take to begin its answer to a list or a watch. A connection that died in the pool would
/// otherwise be waited for until TCP gives up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A client for the cluster of KUBECONFIG, else the one the program runs in.
///
/// Fails if neither configuration can be read. Whether the API server answers is not asked: it may come later.
pub async fn connect() -> anyhow::Result<(Client, String)> {
    // Whoever sets KUBECONFIG means that file: kube would go on to look for a pod's configuration and tell of both.
    let mut config = match std::env::var_os("KUBECONFIG") {
        Some(path) => Config::from_kubeconfig(&KubeConfigOptions::default())
            .await
            .with_context(|| format!("KUBECONFIG {}", path.display()))?,
        None => Config::infer().await.context("no cluster: set KUBECONFIG, or run in a pod")?,
    };
    config.connect_timeout = Some(REQUEST_TIMEOUT);
    config.write_timeout = Some(REQUEST_TIMEOUT);
    // kube's own retries may sleep for minutes inside one call. Everything here is recomputed from the whole state, so
    // whoever failed asks again later, with what is true then.
    config.default_retry = false;
    let url = config.cluster_url.to_string();
    let client = ClientBuilder::try_from(config).context("cannot make a client of this configuration")?.build();
    Ok((client, url))
}

/// Runs one request, and gives up after [`REQUEST_TIMEOUT`].
pub async fn within_timeout<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(Error::from),
        Err(_elapsed) => Err(Error::Timeout(REQUEST_TIMEOUT)),
    }
}

/// A client whose every successful answer is announced.
///
/// kube's `watcher` yields nothing while a watch is quiet, re-established or allowed again. Without this, neither a stale
/// watch nor one that has recovered without news can be told.
pub fn announcing(client: &Client, on_contact: impl Fn() + Send + Sync + 'static) -> Client {
    let namespace = client.default_namespace().to_owned();
    Client::new(Announcing { client: client.clone(), on_contact: Arc::new(on_contact) }, namespace)
}

#[derive(Clone)]
struct Announcing {
    client: Client,
    on_contact: Arc<dyn Fn() + Send + Sync>,
}

impl Service<Request<Body>> for Announcing {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, kube::Error>> + Send>>;

    /// Always ready: the client below queues.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            // Only until the answer begins: a watch goes on for as long as it may.
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, this.client.send(request));
            let response = answer.await.map_err(|elapsed| kube::Error::Service(elapsed.into()))??;
            if response.status().is_success() {
                (this.on_contact)();
            }
            Ok(response)
        })
    }
}
