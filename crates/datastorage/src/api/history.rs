//! What was tried on a target, and whether it helped.

use std::time::Duration;

use audit::{Reason, Status};
use axum::{Json, extract::State};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{App, Caller, Failure, parameters::Parameters};
use crate::{
    metrics::Operation,
    store::{ActionCount, Attempt, Filters, History, HistoryQuery, Reader},
};

/// The default time range of the history.
const SINCE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// The default number of attempts.
const LIMIT: i64 = 50;
/// The maximum number of attempts.
const MOST: i64 = 500;

/// What was tried on an object.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct HistoryAnswer {
    /// The attempts, with the newest one first.
    pub attempts: Vec<AttemptAnswer>,
    /// The numbers of all attempts in the time range, by action.
    pub by_action: Vec<ActionAnswer>,
    /// Whether the object had the spec with the hash `spec_hash` before an earlier remediation. Then the remediation
    /// was reverted, or is about to be reverted.
    pub regression: bool,
    /// Whether there may be more attempts. The service reads the newest 5,000 records, and for a client that can read
    /// only some namespaces, at most 16 namespaces. To get all attempts, use `since` or `namespace`.
    pub truncated: bool,
}

/// One attempt. It combines the records of one namespace that have the same action and the same `correlation_id`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AttemptAnswer {
    /// The namespace of the records.
    pub namespace: String,
    /// The authenticated identity that wrote the newest record.
    pub recorded_by: String,
    /// The `correlation_id` of the records.
    pub correlation_id: String,
    /// The action.
    pub action_type: String,
    /// The progress, from the newest record.
    pub phase: audit::Phase,
    /// The result, from the newest record.
    pub status: Option<Status>,
    /// The time of the first record.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// The time of the last record. Null if the operation is in progress.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ended_at: Option<Timestamp>,
    /// The error, from the newest record.
    pub error_message: Option<String>,
    /// Whether `spec_hash` is the hash of the spec before the attempt, after it, or neither.
    pub spec_match: SpecMatch,
}

/// Which spec of an attempt has the hash `spec_hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SpecMatch {
    /// The spec before the attempt.
    Pre,
    /// The spec after the attempt.
    Post,
    /// Neither, or the request has no `spec_hash`.
    None,
}

/// How often an action was tried.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ActionAnswer {
    /// The action.
    pub action_type: String,
    /// The number of attempts that succeeded.
    pub success: i64,
    /// The number of attempts that failed.
    pub failure: i64,
}

/// `GET /api/v1/audit/history`.
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Json<HistoryAnswer>, Failure> {
    let now = Timestamp::now();
    let target = parameters.text("target");
    if target.is_none() {
        parameters.refuse("target", Reason::Required, "must be the object, for example Deployment/prod/payments-api");
    }
    let query = HistoryQuery {
        target: target.unwrap_or_default(),
        namespace: parameters.text("namespace"),
        cluster: parameters.text("cluster").unwrap_or_else(|| app.cluster.to_string()),
        since: parameters.time("since", now).unwrap_or(now - SINCE),
        spec_hash: parameters.text("spec_hash"),
        limit: parameters.number("limit", 1, MOST).unwrap_or(LIMIT),
    };
    parameters.finish()?;
    let (scope, more_namespaces) = if let Some(namespace) = &query.namespace {
        (caller.scope(Some(namespace), Some(&query.cluster)).await?, false)
    } else {
        let filters = Filters { target: Some(query.target.clone()), since: Some(query.since), ..Filters::default() };
        let namespaces = async {
            let mut found = app.within(&caller.identity.name, app.store.namespaces(&app.cluster, &filters)).await?;
            // However many others write about it, its own namespace is asked about.
            if let Some(own) = namespace_of(&query.target) {
                found.names.retain(|name| name != own);
                found.names.insert(0, own.to_owned());
            }
            Ok(found)
        };
        caller.scope_among(Some(&query.cluster), namespaces).await?
    };
    let reader = Reader { scope: &scope, cluster: &app.cluster };
    let history = app.query(&caller.identity.name, Operation::History, app.store.history(&reader, &query)).await?;
    let mut answer = HistoryAnswer::from(history);
    answer.truncated |= more_namespaces;
    Ok(Json(answer))
}

/// The namespace of a target in the form `Kind/namespace/name`. To write a record about such a target, a client needs
/// the permission in this namespace or in all namespaces. So the records about it come only from these clients.
pub(super) fn namespace_of(target: &str) -> Option<&str> {
    let mut parts = target.split('/');
    let (_kind, namespace, _name, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    Some(namespace)
}

impl From<History> for HistoryAnswer {
    fn from(history: History) -> Self {
        Self {
            truncated: history.truncated,
            attempts: history.attempts.into_iter().map(Into::into).collect(),
            by_action: history.by_action.into_iter().map(Into::into).collect(),
            regression: history.regression,
        }
    }
}

impl From<Attempt> for AttemptAnswer {
    fn from(attempt: Attempt) -> Self {
        let ended = matches!(attempt.phase, audit::Phase::Completed | audit::Phase::Failed);
        Self {
            namespace: attempt.namespace,
            recorded_by: attempt.recorded_by,
            correlation_id: attempt.correlation_id,
            action_type: attempt.action_type,
            phase: attempt.phase,
            status: attempt.status,
            started_at: attempt.started_at,
            ended_at: ended.then_some(attempt.last_at),
            error_message: attempt.error_message,
            spec_match: match (attempt.matches_pre, attempt.matches_post) {
                // A change that changed nothing matches both. The state after it is the newer fact.
                (_, true) => SpecMatch::Post,
                (true, false) => SpecMatch::Pre,
                (false, false) => SpecMatch::None,
            },
        }
    }
}

impl From<ActionCount> for ActionAnswer {
    fn from(count: ActionCount) -> Self {
        Self { action_type: count.action_type, success: count.success, failure: count.failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_target_of_three_parts_has_a_namespace() {
        assert_eq!(namespace_of("Deployment/prod/payments-api"), Some("prod"));
        assert_eq!(namespace_of("Deployment//payments-api"), Some(""));
        for other in ["", "payments-api", "Node/worker-1", "apps/v1/Deployment/prod/payments-api"] {
            assert_eq!(namespace_of(other), None, "{other}");
        }
    }
}
