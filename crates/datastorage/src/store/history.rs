//! What was tried on a target.

use audit::{Phase, Status};
use jiff::Timestamp;
use serde::Deserialize;
use tokio_postgres::types::{Json, Type};

use super::{
    Reader, Store, StoreError,
    events::id_at,
    names_of,
    select::{Select, Word, text, texts, value},
};

/// The most records that a history is made of: the newest ones. An object that somebody writes about every minute has more than
/// a hundred thousand in 90 days.
const RECORDS: i64 = 5_000;

/// Which history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The target.
    pub target: String,
    /// Only records of this namespace.
    pub namespace: Option<String>,
    /// The cluster of the target: equal names in other clusters are other objects.
    pub cluster: String,
    /// Only records made at this time or later, as their ids say.
    pub since: Timestamp,
    /// The hash of the target's spec as it is now, or as somebody wants it to be.
    pub spec_hash: Option<String>,
    /// The most attempts.
    pub limit: i64,
}

/// One attempt: the records of one action of one story in one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The namespace of its records.
    pub namespace: String,
    /// The authenticated identity that wrote its newest record.
    pub recorded_by: String,
    /// The story.
    pub correlation_id: String,
    /// What was done.
    pub action_type: String,
    /// How far it went.
    pub phase: Phase,
    /// The outcome.
    pub status: Option<Status>,
    /// When its first record happened.
    pub started_at: Timestamp,
    /// When its last record happened.
    pub last_at: Timestamp,
    /// What went wrong.
    pub error_message: Option<String>,
    /// Whether the hash is that of the spec before it.
    pub matches_pre: bool,
    /// Whether the hash is that of the spec after it.
    pub matches_post: bool,
}

/// How often an action was tried, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ActionCount {
    /// The action.
    pub action_type: String,
    /// How many attempts helped.
    pub success: i64,
    /// How many did not.
    pub failure: i64,
}

/// What was tried on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The newest attempts, the newest first.
    pub attempts: Vec<Attempt>,
    /// All attempts by their action.
    pub by_action: Vec<ActionCount>,
    /// Whether the hash is that of the spec before a remediation.
    pub regression: bool,
    /// Whether there are older records than those that were looked at.
    pub truncated: bool,
}

/// The newest records, the attempts that they are of, and all outcomes. The newest record of an attempt says how it ended, the
/// others when it began. Errors are long, so they are read only for the attempts that are shown. What another namespace says
/// about the same story is an attempt of its own: it cannot replace an outcome.
const ATTEMPTS: &str = ", newest AS MATERIALIZED (SELECT * FROM matching ORDER BY event_id DESC LIMIT ?), \
     attempt AS MATERIALIZED (SELECT DISTINCT ON (namespace, correlation_id, action_type) event_id, namespace, recorded_by, \
     correlation_id, action_type, phase, status, min(occurred_at) OVER same AS started_at, \
     max(occurred_at) OVER same AS last_at, bool_or(pre) OVER same AS pre, bool_or(post) OVER same AS post FROM newest \
     WINDOW same AS (PARTITION BY namespace, correlation_id, action_type) \
     ORDER BY namespace, correlation_id, action_type, event_id DESC), \
     outcome AS (SELECT action_type, \
     count(*) FILTER (WHERE status = 'success' OR (status IS NULL AND phase = 'completed')) AS success, \
     count(*) FILTER (WHERE status = 'failure' OR (status IS NULL AND phase = 'failed')) AS failure \
     FROM attempt GROUP BY action_type) \
     SELECT attempt.*, (SELECT error_message FROM audit_event WHERE audit_event.event_id = attempt.event_id) AS error_message, \
     (SELECT json_agg(outcome ORDER BY action_type) FROM outcome) AS outcomes, \
     (SELECT bool_or(pre) FROM attempt) AS regression, (SELECT count(*) FROM matching) AS records \
     FROM attempt ORDER BY event_id DESC LIMIT ?";

impl Store {
    /// What was tried on a target, as far as the reader may see it.
    pub async fn history(&self, reader: &Reader<'_>, query: &HistoryQuery) -> Result<History, StoreError> {
        let select = attempts(reader, query);
        let client = self.read().await?;
        let rows = client.query_typed(select.sql(), &select.parameters()).await?;
        client.done();
        let mut history = History {
            attempts: Vec::with_capacity(rows.len()),
            by_action: Vec::new(),
            regression: false,
            truncated: false,
        };
        // What is about all attempts stands in each row.
        if let Some(row) = rows.first() {
            history.by_action = row.try_get::<_, Json<_>>("outcomes")?.0;
            history.regression = row.try_get::<_, Option<bool>>("regression")?.unwrap_or(false);
            history.truncated = row.try_get::<_, i64>("records")? > RECORDS;
        }
        for row in rows {
            let status: Option<Word<Status>> = row.try_get("status")?;
            history.attempts.push(Attempt {
                namespace: row.try_get("namespace")?,
                recorded_by: row.try_get("recorded_by")?,
                correlation_id: row.try_get("correlation_id")?,
                action_type: row.try_get("action_type")?,
                phase: row.try_get::<_, Word<Phase>>("phase")?.0,
                status: status.map(|word| word.0),
                started_at: row.try_get("started_at")?,
                last_at: row.try_get("last_at")?,
                error_message: row.try_get("error_message")?,
                matches_pre: row.try_get::<_, Option<bool>>("pre")?.unwrap_or(false),
                matches_post: row.try_get::<_, Option<bool>>("post")?.unwrap_or(false),
            });
        }
        Ok(history)
    }
}

fn attempts(reader: &Reader<'_>, query: &HistoryQuery) -> Select {
    let mut select = Select::new(
        "WITH matching AS MATERIALIZED (SELECT event_id, namespace, recorded_by, correlation_id, action_type, phase, status, \
         occurred_at, ",
    );
    // Hashes mean the same only in remediations: other kinds have keys of their own.
    match &query.spec_hash {
        None => select.push("false AS pre, false AS post FROM audit_event", []),
        Some(hash) => select.push(
            "kind = 'remediation' AND data->>'pre_spec_hash' = ? AS pre, \
             kind = 'remediation' AND data->>'post_spec_hash' = ? AS post FROM audit_event",
            [text(hash), text(hash)],
        ),
    };
    let clusters = names_of(&query.cluster, reader.cluster);
    select.and("target_resource = ? AND cluster = ANY(?)", [text(&query.target), texts(clusters)]);
    select.and("event_id >= ?", [value(id_at(query.since), Type::UUID)]).visible_to(reader);
    if let Some(namespace) = &query.namespace {
        select.and("namespace = ?", [text(namespace)]);
    }
    select.push(" ORDER BY event_id DESC LIMIT ?)", [value(RECORDS + 1, Type::INT8)]);
    select.push(ATTEMPTS, [value(RECORDS, Type::INT8), value(query.limit, Type::INT8)]);
    select
}
