//! `/health`, `/ready` and `/metrics`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use audit::problem::ProblemType;
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header;
use serde_json::json;

use super::{App, Failure, envelope};

/// Whether requests should come here.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

const STARTING: u8 = 0;
const STARTED: u8 = 1;
const STOPPING: u8 = 2;

impl Readiness {
    /// The schema is known to be right.
    pub fn start(&self) {
        self.0.store(STARTED, Ordering::Release);
    }

    /// From now on, `/ready` returns 503, because the service is stopping.
    pub fn stop(&self) {
        self.0.store(STOPPING, Ordering::Release);
    }
}

/// `/health` and `/ready`, for a router of the API.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/health", get(health)).route("/ready", get(ready))
}

/// The port of `/health` and `/ready`.
pub fn health_routes(app: App) -> Router {
    envelope::around(routes()).with_state(app)
}

/// The port of `/metrics`.
pub fn metrics_routes(app: App) -> Router {
    envelope::around(Router::new().route("/metrics", get(metrics))).with_state(app)
}

async fn health() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

async fn ready(State(app): State<App>) -> Result<Response, Failure> {
    let not_ready = match app.readiness.0.load(Ordering::Acquire) {
        STARTING => Some("starting"),
        STOPPING => Some("stopping"),
        _ => None,
    };
    if let Some(status) = not_ready {
        if status == "starting" {
            // A service that waits for its database learns of it early.
            app.metrics.database_up(app.store.ready().await.is_ok());
        }
        let detail = format!("the service is {status}");
        return Err(Failure::new(ProblemType::DatabaseUnavailable, detail).after(Duration::from_secs(1)));
    }
    let answer = app.store.ready().await;
    app.metrics.database_up(answer.is_ok());
    answer?;
    if let Some(reason) = app.store.cannot_write() {
        return Err(Failure::new(ProblemType::DatabaseUnavailable, reason).after(Duration::from_secs(10)));
    }
    Ok(Json(json!({"status": "ready"})).into_response())
}

async fn metrics(State(app): State<App>) -> Result<Response, Failure> {
    // Kept for a second, so a scrape costs the database nothing besides the question of the kubelet.
    app.metrics.database_up(app.store.ready().await.is_ok());
    let (used, idle) = app.store.connections();
    app.metrics.pool_connections(used, idle);
    let text = app.metrics.render().map_err(|error| Failure::internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response())
}
