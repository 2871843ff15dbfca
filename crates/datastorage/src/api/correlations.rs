//! The records with one `correlation_id`.

use std::collections::BTreeSet;

use audit::{Reason, Record};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    App, Caller, Failure,
    parameters::{Parameters, check_text},
};
use crate::{
    metrics::Operation,
    store::{Filters, Reader},
};

/// The records with one `correlation_id`, as far as the client is allowed to read them.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CorrelationAnswer {
    /// The `correlation_id`.
    pub correlation_id: String,
    /// The newest record. Clients of every namespace can use any `correlation_id`. See `namespaces` and the parameter
    /// `namespace`.
    pub current: Record,
    /// The namespaces of the records in `timeline`. Compare them with the namespaces that you expect.
    pub namespaces: Vec<String>,
    /// The time of the first record. Only the newest 5,000 records count.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub first_at: Timestamp,
    /// The time of the last record.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last_at: Timestamp,
    /// The newest 1,000 records, with the oldest one first.
    pub timeline: Vec<Record>,
    /// Whether there may be more records. To get older records, list the records with the same `correlation_id`. A
    /// client that can read only some namespaces may also miss namespaces. It can select them with the parameter
    /// `namespace`.
    pub truncated: bool,
}

/// `GET /api/v1/audit/correlations/{correlation_id}`.
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Json<CorrelationAnswer>, Failure> {
    let namespace = parameters.text("namespace");
    parameters.finish()?;
    let Ok(Path(id)) = id else {
        return Err(Failure::field("correlation_id", Reason::Invalid, "must be UTF-8, with percent-encoding"));
    };
    check_text(&id).map_err(|(reason, message)| Failure::field("correlation_id", reason, message))?;
    let (scope, more_namespaces) = if namespace.is_some() {
        (caller.scope(namespace.as_deref(), None).await?, false)
    } else {
        let filters = Filters { correlation_id: Some(id.clone()), ..Filters::default() };
        caller
            .scope_among(None, app.within(&caller.identity.name, app.store.namespaces(&app.cluster, &filters)))
            .await?
    };
    let reader = Reader { scope: &scope, cluster: &app.cluster };
    let found = app
        .query(&caller.identity.name, Operation::List, app.store.correlation(&reader, &id, namespace.as_deref()))
        .await?;
    let found = found.ok_or_else(Failure::no_record)?;
    let current = found.timeline.last().cloned().ok_or_else(Failure::no_record)?;
    let namespaces: BTreeSet<_> = found.timeline.iter().map(|record| record.event.namespace.clone()).collect();
    Ok(Json(CorrelationAnswer {
        correlation_id: id,
        current,
        namespaces: namespaces.into_iter().collect(),
        first_at: found.first_at,
        last_at: found.last_at,
        timeline: found.timeline,
        truncated: found.truncated || more_namespaces,
    }))
}
