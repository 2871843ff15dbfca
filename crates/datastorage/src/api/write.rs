//! Writing records.

use std::{collections::BTreeSet, time::Duration};

use audit::{
    Accepted, Defaults, FieldError, Kind, Reason,
    problem::{Problem, ProblemType},
};
use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{App, Caller, Failure, JsonBody, Notes, body::not_json, history::namespace_of, parameters::Parameters};
use crate::{
    auth::Verb,
    metrics::DualWriteFailure,
    writer::{Outcome, Position},
};

/// The path of a batch.
const BATCH: &str = "/api/v1/audit/events/batch";
/// The maximum number of records in a batch.
const RECORDS: usize = 500;
/// The maximum number of namespaces in a batch. Each of them needs an answer of the API server.
const NAMESPACES: usize = 16;
/// To write older records, a client needs the permission `import`.
const YOUNG: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Bodies from this size on are checked beside the other requests: redaction takes about a millisecond for 64 KiB.
const LARGE: usize = 32 * 1024;

/// The result for one record.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Written {
    /// The id of the record.
    pub event_id: Uuid,
    /// The number of the record. Only clients that can read all namespaces get it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The time at which the record was stored, from the clock of the database.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub recorded_at: Timestamp,
    /// Whether the same record was already stored.
    pub duplicate: bool,
}

/// The body of a batch.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    /// The records, 1 to 500.
    #[schemars(with = "Vec<audit::schema::NewRecord>", length(min = 1, max = 500))]
    pub events: Vec<Box<RawValue>>,
}

/// The results of a batch.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct BatchResult {
    /// The number of records that were stored.
    pub created: usize,
    /// The number of records that were already stored.
    pub duplicates: usize,
    /// The number of records that were rejected.
    pub rejected: usize,
    /// One result for each record, in the order of the request.
    pub results: Vec<ItemResult>,
}

/// The result for one record of a batch.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ItemResult {
    /// The id of the record. Null if the record was rejected and its id cannot be read.
    pub event_id: Option<Uuid>,
    /// The result.
    pub status: ItemStatus,
    /// The number of the record. Only clients that can read all namespaces get it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// Why the record was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// The result for one record of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ItemStatus {
    /// The record is durable.
    Created,
    /// The same record was already stored.
    Duplicate,
    /// A field is invalid.
    Invalid,
    /// A record with this id has other content or comes from another identity.
    Conflict,
}

/// `POST /api/v1/audit/events`.
pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    Extension(notes): Extension<Notes>,
    parameters: Parameters,
    body: JsonBody,
) -> Result<Response, Failure> {
    parameters.finish()?;
    // Before the body is read: who may not write pays for it as well.
    app.limits.write(&caller.identity.name, 1)?;
    let size = body.bytes().len();
    let accepted = beside(size, || accept(&app, body.bytes())).map_err(|errors| {
        app.refused(&errors);
        Failure::from(Problem::validation(errors))
    })?;
    let _memory = body.into_held();
    let kind = accepted.event().kind;
    notes.kind(kind.as_str());
    let id = accepted.event().event_id;
    app.authorize(&caller, std::iter::once(&accepted)).await?;
    let sees_seq = caller.has_everywhere(Verb::List).await.unwrap_or(false);
    let outcomes = app.write(&caller, vec![accepted]).await?;
    let outcome = outcomes.into_iter().next().ok_or_else(|| Failure::internal("the writer gave no outcome"))?;
    let answer = |position: Position, status: StatusCode| {
        let duplicate = status == StatusCode::OK;
        let seq = sees_seq.then_some(position.seq);
        let written = Written { event_id: id, seq, recorded_at: position.recorded_at, duplicate };
        let location = [(header::LOCATION, format!("/api/v1/audit/events/{id}"))];
        (status, location, Json(written)).into_response()
    };
    match outcome {
        Outcome::Created(position) => Ok(answer(position, StatusCode::CREATED)),
        Outcome::Duplicate(position) => Ok(answer(position, StatusCode::OK)),
        Outcome::Conflict => Err(conflict(id).into()),
        Outcome::Invalid(error) => Err(Problem::validation(vec![error]).into()),
    }
}

/// `POST /api/v1/audit/events/batch`.
pub(super) async fn batch(
    State(app): State<App>,
    caller: Caller,
    Extension(notes): Extension<Notes>,
    parameters: Parameters,
    body: JsonBody,
) -> Result<Json<BatchResult>, Failure> {
    parameters.finish()?;
    let items = beside(body.bytes().len(), || {
        let batch: Batch = serde_json::from_slice(body.bytes()).map_err(|error| not_json(&error))?;
        if batch.events.is_empty() {
            return Err(Failure::field("events", Reason::Required, "must have at least one record"));
        }
        if batch.events.len() > RECORDS {
            let message = format!("must have at most {RECORDS} records; send more batches");
            return Err(Failure::field("events", Reason::LengthExceeded, message));
        }
        app.limits.write(&caller.identity.name, batch.events.len())?;
        Ok(batch.events.iter().map(|event| Item::read(&app, event)).collect::<Vec<_>>())
    })?;
    let _memory = body.into_held();
    let accepted = || items.iter().filter_map(|item| item.accepted.as_ref().ok());
    let kinds: BTreeSet<Kind> = accepted().map(|accepted| accepted.event().kind).collect();
    if let Some(kind) = kinds.first() {
        notes.kind(if kinds.len() == 1 { kind.as_str() } else { "several" });
    }
    app.authorize(&caller, accepted()).await?;
    let sees_seq = caller.has_everywhere(Verb::List).await.unwrap_or(false);

    let mut refused = Vec::with_capacity(items.len());
    let mut valid = Vec::with_capacity(items.len());
    for item in items {
        match item.accepted {
            Ok(accepted) => {
                refused.push((item.event_id, None));
                valid.push(accepted);
            }
            Err(errors) => {
                app.refused(&errors);
                refused.push((item.event_id, Some(errors)));
            }
        }
    }
    let outcomes = if valid.is_empty() { Vec::new() } else { app.write(&caller, valid).await? };
    let mut outcomes = outcomes.into_iter();
    let mut result = BatchResult::default();
    for (event_id, errors) in refused {
        let outcome = match errors {
            Some(errors) => Err(Problem::validation(errors)),
            None => Ok(outcomes.next().ok_or_else(|| Failure::internal("the writer gave too few outcomes"))?),
        };
        result.push(event_id, outcome, sees_seq, &notes);
    }
    Ok(Json(result))
}

impl BatchResult {
    fn push(&mut self, event_id: Option<Uuid>, outcome: Result<Outcome, Problem>, sees_seq: bool, notes: &Notes) {
        let (status, position, problem) = match outcome {
            Ok(Outcome::Created(position)) => (ItemStatus::Created, Some(position), None),
            Ok(Outcome::Duplicate(position)) => (ItemStatus::Duplicate, Some(position), None),
            Ok(Outcome::Conflict) => (ItemStatus::Conflict, None, event_id.map(conflict)),
            Ok(Outcome::Invalid(error)) => (ItemStatus::Invalid, None, Some(Problem::validation(vec![error]))),
            Err(problem) => (ItemStatus::Invalid, None, Some(problem)),
        };
        *match status {
            ItemStatus::Created => &mut self.created,
            ItemStatus::Duplicate => &mut self.duplicates,
            ItemStatus::Invalid | ItemStatus::Conflict => &mut self.rejected,
        } += 1;
        let seq = position.filter(|_| sees_seq).map(|position| position.seq);
        let problem = problem.map(|problem| problem.at(BATCH, notes.id().unwrap_or_default()));
        self.results.push(ItemResult { event_id, status, seq, problem });
    }
}

/// A record of a batch.
struct Item {
    event_id: Option<Uuid>,
    accepted: Result<Accepted, Vec<FieldError>>,
}

impl Item {
    fn read(app: &App, event: &RawValue) -> Self {
        /// The id of a record whose other fields may be invalid.
        #[derive(Deserialize)]
        struct Id {
            event_id: Uuid,
        }
        let accepted = accept(app, event.get().as_bytes());
        let event_id = match &accepted {
            Ok(accepted) => Some(accepted.event().event_id),
            Err(_) => serde_json::from_str::<Id>(event.get()).ok().map(|id| id.event_id),
        };
        Self { event_id, accepted }
    }
}

fn conflict(id: Uuid) -> Problem {
    let detail = format!(
        "a record with the id {id} exists, and it has other content or comes from another identity; use a new \
         event_id for a new record"
    );
    Problem::new(ProblemType::Conflict, detail)
}

fn accept(app: &App, json: &[u8]) -> Result<Accepted, Vec<FieldError>> {
    let defaults = Defaults { now: Timestamp::now(), cluster: &app.cluster, max_age: app.retention };
    Accepted::parse(json, &defaults)
}

/// Runs the work on a large body in another thread, so that other requests continue.
fn beside<T>(size: usize, work: impl FnOnce() -> T) -> T {
    if size >= LARGE { tokio::task::block_in_place(work) } else { work() }
}

/// The time at which a record was made, from its id.
fn made_at(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
}

impl App {
    /// Fails if the client is not allowed to write one of these records.
    async fn authorize(&self, caller: &Caller, records: impl Iterator<Item = &Accepted>) -> Result<(), Failure> {
        let young = Timestamp::now() - YOUNG;
        let mut rights: BTreeSet<(Option<&str>, bool)> = BTreeSet::new();
        let mut about_another = None;
        let mut namespaces = BTreeSet::new();
        for record in records {
            let event = record.event();
            let is_in_namespace = !event.namespace.is_empty() && self.is_this_cluster(&event.cluster);
            let namespace = is_in_namespace.then_some(event.namespace.as_str());
            namespaces.extend(namespace);
            // A record about an object of a namespace comes from that namespace, or from a client with the cluster-wide right.
            let target = event.target_resource.as_deref().and_then(namespace_of);
            let is_about_another = namespace.is_some_and(|namespace| target.is_some_and(|target| target != namespace));
            let namespace = namespace.filter(|_| !is_about_another);
            if is_about_another {
                about_another = target;
            }
            rights.insert((namespace, false));
            if made_at(event.event_id).is_some_and(|made_at| made_at < young) {
                rights.insert((namespace, true));
            }
        }
        if namespaces.len() > NAMESPACES {
            let message = format!("must have records of at most {NAMESPACES} namespaces; send several batches");
            return Err(Failure::field("events", Reason::Invalid, message));
        }
        for (namespace, imports) in rights {
            let verb = if imports { Verb::Import } else { Verb::Create };
            caller.require(verb, namespace).await.map_err(|mut failure| {
                if let (ProblemType::Forbidden, None, Some(target)) = (failure.problem.r#type, namespace, about_another)
                {
                    let detail = &failure.problem.detail;
                    failure.problem.detail = format!(
                        "{detail}; the target_resource is in namespace {target}, but the record is in another namespace"
                    );
                }
                failure
            })?;
        }
        Ok(())
    }

    /// Writes records, and counts the secrets that were replaced in them.
    async fn write(&self, caller: &Caller, records: Vec<Accepted>) -> Result<Vec<Outcome>, Failure> {
        for (class, count) in records.iter().flat_map(Accepted::redactions) {
            self.metrics.redactions(*class, u64::from(*count));
        }
        Ok(self.writer.write(records, caller.identity.name.clone()).await?)
    }

    /// Counts the invalid fields of a record.
    fn refused(&self, errors: &[FieldError]) {
        for error in errors {
            self.metrics.validation_failure(&error.field, error.reason);
        }
        self.metrics.dualwrite_failure(DualWriteFailure::ValidationFailure, 1);
    }
}
