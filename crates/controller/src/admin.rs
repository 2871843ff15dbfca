//! `/health`, `/ready` and `/metrics`.

mod server;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tracing::info;

use crate::{
    api::fence::Fence,
    cluster::Cluster,
    metrics::Metrics,
    probe::{LEADS, NOT_READY, STANDS_BY},
};

/// The state behind the endpoints.
pub(crate) struct Admin {
    cluster: Arc<Cluster>,
    metrics: Arc<Metrics>,
    fence: Arc<Fence>,
    /// Once ready, the program stays ready until it shuts down. The status, metrics and Events report a failing watch,
    /// so it does not make the pod unready.
    was_ready: AtomicBool,
    stopping: AtomicBool,
}

impl Admin {
    /// Not ready yet.
    pub(crate) fn new(cluster: Arc<Cluster>, metrics: Arc<Metrics>, fence: Arc<Fence>) -> Arc<Self> {
        let (was_ready, stopping) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { cluster, metrics, fence, was_ready, stopping })
    }

    /// Makes `/ready` answer 503 from now on.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// True once each watch that always runs has listed or been refused.
    fn is_ready(&self) -> bool {
        if self.stopping.load(Ordering::Relaxed) {
            return false;
        }
        if !self.was_ready.load(Ordering::Relaxed) && self.cluster.watches.all_answered(&self.cluster.scope.always()) {
            self.was_ready.store(true, Ordering::Relaxed);
        }
        self.was_ready.load(Ordering::Relaxed)
    }
}

/// Listens at both addresses and answers until dropped.
///
/// Fails if an address cannot be bound.
pub(crate) async fn serve(
    admin: Arc<Admin>,
    health: SocketAddr,
    metrics: SocketAddr,
) -> anyhow::Result<tokio::task::JoinSet<()>> {
    let mut tasks = tokio::task::JoinSet::new();
    let routes =
        Router::new().route("/health", get(|| async { "ok\n" })).route("/ready", get(ready)).with_state(admin.clone());
    tasks.spawn(listen("health", health, routes).await?);
    let routes = Router::new().route("/metrics", get(exposition)).with_state(admin);
    tasks.spawn(listen("metrics", metrics, routes).await?);
    Ok(tasks)
}

async fn listen(what: &'static str, address: SocketAddr, routes: Router) -> anyhow::Result<impl Future<Output = ()>> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("--{what}-addr {address}"))?;
    let address = listener.local_addr()?;
    info!(endpoint = what, %address, "listening");
    Ok(server::serve(listener, routes))
}

async fn ready(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    match admin.is_ready() {
        true if admin.fence.term().is_some() => (StatusCode::OK, LEADS),
        true => (StatusCode::OK, STANDS_BY),
        false => (StatusCode::SERVICE_UNAVAILABLE, NOT_READY),
    }
}

async fn exposition(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    match admin.metrics.encode() {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, CONTENT_TYPE)], text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], error.to_string()),
    }
}

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
