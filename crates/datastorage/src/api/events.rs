//! Lists of records and single records.

use audit::{Reason, Record};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{
    App, Caller, Failure, Notes,
    cursor::{Cursor, Digest},
    parameters::{FILTERS, Parameters},
};
use crate::{
    auth::Verb,
    metrics::Operation,
    store::{Filters, Reader, Scope, Start},
};

/// The default number of records in a page.
const LIMIT: i64 = 100;
/// The maximum number of records in a page.
const MOST: i64 = 1000;

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct List {
    /// The records.
    pub items: Vec<Record>,
    /// To get the next page, repeat all parameters and set `cursor` to this value. Null on the last page. If a filter
    /// matches few records, a page can have few or no records although there is a next page, because the service
    /// searches for a limited time in each request.
    pub next_cursor: Option<String>,
}

/// `GET /api/v1/audit/events`.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    axum::Extension(notes): axum::Extension<Notes>,
    mut parameters: Parameters,
) -> Result<Json<List>, Failure> {
    let (query, digest) = ListQuery::read(&mut parameters)?;
    parameters.finish()?;
    if let Some(kind) = query.filters.kind {
        notes.kind(kind.as_str());
    }
    let filters = &query.filters;
    let scope = caller.scope(filters.namespace.as_deref(), filters.cluster.as_deref()).await?;
    if matches!(query.start, Start::AfterSeq(_)) && scope != Scope::Cluster {
        caller.require(Verb::List, None).await?;
    }
    let reader = Reader { scope: &scope, cluster: &app.cluster };
    let page = app
        .query(&caller.identity.name, Operation::List, app.store.list(&reader, filters, query.start, query.limit))
        .await?;
    if let (Start::AfterSeq(after), true) = (query.start, page.records.is_empty()) {
        let newest = app.query(&caller.identity.name, Operation::List, app.store.newest_seq()).await?;
        if after > newest {
            // After a restore of the database, numbers are given out again. Who waited for the next one would miss these records.
            let message = format!(
                "must not be greater than the number of the newest record, {newest}; if the database was restored, \
                 start again after the number of an existing record"
            );
            return Err(Failure::field("after_seq", Reason::Invalid, message));
        }
    }
    let cursor = |start| Cursor { start, since: filters.since, until: filters.until }.encode(digest);
    let next_cursor = page.resume.map(cursor);
    Ok(Json(List { items: page.records, next_cursor }))
}

/// `GET /api/v1/audit/events/{event_id}`.
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    parameters: Parameters,
) -> Result<Json<Record>, Failure> {
    parameters.finish()?;
    let id = id.ok().and_then(|Path(id)| Uuid::try_parse(&id).ok());
    let id = id.ok_or_else(|| Failure::field("event_id", Reason::Invalid, "must be a UUID"))?;
    let everywhere = caller.has_everywhere(Verb::Get).await?;
    // The namespace of the record is not known before it is read.
    let reader = Reader { scope: &Scope::Cluster, cluster: &app.cluster };
    let found = app.query(&caller.identity.name, Operation::Get, app.store.get(&reader, id)).await?;
    let mut record = found.ok_or_else(Failure::no_record)?;
    if everywhere {
        return Ok(Json(record));
    }
    let is_of_this_cluster = app.is_this_cluster(&record.event.cluster) && !record.event.namespace.is_empty();
    if !is_of_this_cluster || !caller.has(Verb::Get, &record.event.namespace).await? {
        return Err(Failure::no_record());
    }
    (record.seq, record.chain_hash) = (None, None);
    Ok(Json(record))
}

/// What a list is asked for.
struct ListQuery {
    filters: Filters,
    start: Start,
    limit: u16,
}

impl ListQuery {
    fn read(parameters: &mut Parameters) -> Result<(Self, Digest), Failure> {
        let names = FILTERS.iter().copied().chain(["order", "after_seq"]).collect::<Vec<_>>();
        let digest = Digest::of(&parameters.raw(&names));
        let mut filters = parameters.filters(Timestamp::now());
        let limit = parameters.number("limit", 1, MOST).unwrap_or(LIMIT);
        let after_seq = parameters.number("after_seq", 0, i64::MAX);
        let order = parameters.text("order");
        let mut start = match (order.as_deref(), after_seq) {
            (None, Some(after)) => Start::AfterSeq(after),
            (Some(_), Some(_)) => {
                parameters.refuse(
                    "order",
                    Reason::Invalid,
                    "must not be used together with after_seq, which has its own order",
                );
                Start::Newest(None)
            }
            (None | Some("desc"), None) => Start::Newest(None),
            (Some("asc"), None) => Start::Oldest(None),
            (Some(_), None) => {
                parameters.refuse("order", Reason::Invalid, "must be desc or asc");
                Start::Newest(None)
            }
        };
        if let Some(cursor) = parameters.text("cursor") {
            let cursor = Cursor::decode(&cursor, digest)?;
            start = cursor.start;
            (filters.since, filters.until) = (cursor.since, cursor.until);
        }
        Ok((Self { filters, start, limit: limit.try_into().unwrap_or(u16::MAX) }, digest))
    }
}
