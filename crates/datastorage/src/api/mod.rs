//! The HTTP API.
//!
//! Each endpoint has its own file. [`envelope`] wraps all handlers. [`Failure`] is the error type of all handlers, and
//! [`Caller`] is the client of a request.

mod body;
mod caller;
mod checkpoint;
mod correlations;
mod cursor;
mod envelope;
mod events;
mod export;
mod failure;
mod health;
mod history;
mod openapi;
mod parameters;
mod search;
mod sending;
mod write;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    routing::{get, post},
};
use tokio::{sync::Semaphore, time::timeout};

pub use self::{
    body::{Bodies, JsonBody},
    caller::Caller,
    envelope::Notes,
    export::AT_ONCE as EXPORTS,
    failure::Failure,
    health::{Readiness, health_routes, metrics_routes},
    openapi::document as openapi_document,
};
use crate::{
    auth::Auth,
    embeddings::Embeddings,
    limits::Limits,
    metrics::{Metrics, Operation},
    store::{Store, StoreError},
    writer::Writer,
};

/// What every handler needs. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub store: Store,
    /// The only way in.
    pub writer: Writer,
    /// Authentication and authorization.
    pub auth: Auth,
    /// The limits of each identity.
    pub limits: Limits,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The name of this cluster, which every record without one gets.
    pub cluster: Arc<str>,
    /// Vectors, if `--embedding` is not off.
    pub embedding: Option<Embeddings>,
    /// The longest time of a query.
    pub query_timeout: Duration,
    /// The maximum age of records that clients with the permission `import` can write.
    pub retention: Duration,
    /// The memory of all bodies.
    pub bodies: Bodies,
    /// The permits for concurrent exports.
    pub exports: Arc<Semaphore>,
    /// Whether requests should come here.
    pub readiness: Readiness,
}

impl App {
    /// Whether records with this name of a cluster are of this cluster. Those without a name are from before it was given one.
    pub fn is_this_cluster(&self, cluster: &str) -> bool {
        cluster.is_empty() || *cluster == *self.cluster
    }

    /// Runs a query for an identity within the query timeout, and updates the metrics. The statement is cancelled at
    /// the timeout, or if the client disconnects, because then this future is dropped.
    pub async fn query<T, E: Into<Failure>>(
        &self,
        identity: &Arc<str>,
        operation: Operation,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        let result = self.within(identity, work).await;
        // What the client did wrong is no failure of the service.
        let succeeded = result.as_ref().err().is_none_or(|failure: &Failure| failure.problem.status < 500);
        self.metrics.query(operation, succeeded, began.elapsed());
        result
    }

    /// Asks the database within the time of a query, for what is only a part of a request.
    pub async fn within<T, E: Into<Failure>>(
        &self,
        identity: &Arc<str>,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        let _one_of_its_reads = self.limits.allowance(identity).read().await?;
        match timeout(self.query_timeout, work).await {
            Ok(result) => result.map_err(Into::into),
            Err(_elapsed) => Err(StoreError::Timeout.into()),
        }
    }
}

/// The API, and what `more` makes of it: routes that ask the API themselves.
pub fn routes(app: App, more: impl FnOnce(Router) -> Router<App>) -> Router {
    let routes = Router::new()
        .route("/api/v1/audit/events", get(events::list).post(write::one))
        .route("/api/v1/audit/events/batch", post(write::batch))
        .route("/api/v1/audit/events/{event_id}", get(events::get))
        .route("/api/v1/audit/correlations/{*correlation_id}", get(correlations::get))
        .route("/api/v1/audit/history", get(history::get))
        .route("/api/v1/audit/export", get(export::get))
        .route("/api/v1/audit/checkpoint", get(checkpoint::get))
        .route("/api/v1/search", post(search::post))
        .route("/openapi.json", get(openapi::get))
        .merge(health::routes());
    let more = more(envelope::around(routes.clone()).with_state(app.clone()));
    envelope::around(routes.merge(more)).with_state(app)
}
