//! The canonical form of an event: JSON in the format of RFC 8785.
//!
//! It is the same before the database and after: PostgreSQL's `jsonb` writes `1e2` as `100`, keeps `1.0` and knows no
//! `-0`, but all numbers that it reads are the same doubles, and a double has one canonical form. Integers beyond
//! ±2^53 would not survive that, so they are refused on the way in.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Actor, Event, Kind, Phase, Status};

/// The canonical form. Fields that are absent are left out, so that a field that is added later does not change the
/// form of older records.
pub fn to_vec(event: &Event) -> Vec<u8> {
    // Strings as keys and finite numbers: there is nothing in an event that could not be written.
    serde_json_canonicalizer::to_vec(&Canonical::from(event)).unwrap_or_default()
}

#[derive(Serialize)]
struct Canonical<'a> {
    event_id: Uuid,
    kind: Kind,
    occurred_at: Timestamp,
    name: &'a str,
    namespace: &'a str,
    cluster: &'a str,
    phase: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    action_type: &'a str,
    correlation_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_event_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<CanonicalActor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
    data: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct CanonicalActor<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

impl<'a> From<&'a Event> for Canonical<'a> {
    fn from(event: &'a Event) -> Self {
        let actor = event.actor.as_ref().filter(|actor| **actor != Actor::default());
        Self {
            event_id: event.event_id,
            kind: event.kind,
            occurred_at: event.occurred_at,
            name: &event.name,
            namespace: &event.namespace,
            cluster: &event.cluster,
            phase: event.phase,
            status: event.status,
            action_type: &event.action_type,
            correlation_id: &event.correlation_id,
            parent_event_id: event.parent_event_id,
            severity: event.severity.as_deref(),
            environment: event.environment.as_deref(),
            target_resource: event.target_resource.as_deref(),
            fingerprint: event.fingerprint.as_deref(),
            actor: actor.map(|actor| CanonicalActor { r#type: actor.r#type.as_deref(), id: actor.id.as_deref() }),
            duration_ms: event.duration_ms,
            trace_id: event.trace_id.as_deref(),
            summary: event.summary.as_deref(),
            error_message: event.error_message.as_deref(),
            data: &event.data,
        }
    }
}
