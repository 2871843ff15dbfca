//! The records of one story.

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

/// The records of one story that the caller may read.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CorrelationAnswer {
    /// The story.
    pub correlation_id: String,
    /// The newest record. Any namespace can write about a story: see `namespaces`, and the parameter `namespace`.
    #[schemars(with = "super::schema::Record")]
    pub current: Record,
    /// The namespaces of the records in `timeline`. Compare them with those that you expect to write about this story.
    pub namespaces: Vec<String>,
    /// When the first of the records happened. Only the newest 5,000 count.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub first_at: Timestamp,
    /// When the last of the records happened.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last_at: Timestamp,
    /// The newest 1,000 records, the oldest first.
    #[schemars(with = "Vec<super::schema::Record>")]
    pub timeline: Vec<Record>,
    /// Whether there may be more records: older ones, which the list with the same `correlation_id` has, or, for a reader of
    /// single namespaces, those of further namespaces, which the parameter `namespace` selects.
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
