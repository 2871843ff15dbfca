//! The client of the API server, its timeouts, and an observer for the connection of a watch.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    body::Bytes,
    http::{Request, Response},
};
use http_body::Frame;
use http_body_util::{BodyExt as _, combinators::MapFrame};
use hyper_util::{
    client::legacy::{Client as Connections, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt as _},
    config::KubeConfigOptions,
};
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceBuilder};

use super::error::Error;

/// How long one request may take, from the first byte sent to the last one read. Watches have a timeout of their own.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the API server may take to begin its answer to a list or a watch. Without this limit, a watch on a dead
/// connection of the pool would wait until TCP gives up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

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
        None => Config::infer().await.context("no cluster is configured; set KUBECONFIG or run in a pod")?,
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
        anyhow::bail!("proxy {proxy} is configured, but the operator can only connect directly; remove the proxy");
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

/// When a watch last read bytes from its connection. The latency of an event counts from then, so it includes parsing.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastRead(Arc<Mutex<Option<Instant>>>);

impl LastRead {
    /// The time of the last read, or now if nothing has been read yet.
    pub(crate) fn get(&self) -> Instant {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(Instant::now)
    }

    fn set(&self, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }
}

/// Makes a client for one watch. It calls `on_contact` for every successful answer, and notes when bytes arrive.
///
/// kube's `watcher` yields nothing while a watch is quiet, and nothing when a watch is established or allowed again.
/// Without this client the operator could detect neither a stale watch nor a watch that recovered without an event.
pub(crate) fn observed(client: &Client, on_contact: impl Fn() + Send + Sync + 'static) -> (Client, LastRead) {
    let namespace = client.default_namespace().to_owned();
    let last_read = LastRead::default();
    let observed = Observed { client: client.clone(), on_contact: Arc::new(on_contact), last_read: last_read.clone() };
    (Client::new(observed, namespace), last_read)
}

#[derive(Clone)]
struct Observed {
    client: Client,
    on_contact: Arc<dyn Fn() + Send + Sync>,
    last_read: LastRead,
}

type NoteFrame = Box<dyn FnMut(Frame<Bytes>) -> Frame<Bytes> + Send>;

impl Service<Request<Body>> for Observed {
    type Response = Response<MapFrame<Body, NoteFrame>>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, kube::Error>> + Send>>;

    /// Always ready, because the client below queues.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            // The timeout ends when the answer begins, because a watch then stays open.
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, this.client.send(request));
            let response = answer.await.map_err(|elapsed| kube::Error::Service(elapsed.into()))??;
            if response.status().is_success() {
                (this.on_contact)();
            }
            let last_read = this.last_read;
            let note: NoteFrame = Box::new(move |frame| {
                last_read.set(Instant::now());
                frame
            });
            Ok(response.map(|body| body.map_frame(note)))
        })
    }
}
