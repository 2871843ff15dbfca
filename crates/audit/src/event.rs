//! The record as plain data.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::{Uuid, Variant};

use crate::{Kind, Phase, Status};

/// Who did it, as the client claims.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// For example `service` or `user`.
    pub r#type: Option<String>,
    /// A name within that type.
    pub id: Option<String>,
}

/// What a client records. Plain data: [`crate::Accepted`] is the proof that the fields obey their rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// A UUID of version 7. Its time is when the record was made.
    pub event_id: Uuid,
    /// What the record is about.
    pub kind: Kind,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The name of the object that the record is about.
    pub name: String,
    /// The namespace of that object; empty for an object of the cluster.
    pub namespace: String,
    /// The cluster.
    pub cluster: String,
    /// How far the thing was.
    pub phase: Phase,
    /// The outcome.
    pub status: Option<Status>,
    /// What was done.
    pub action_type: String,
    /// What holds the records of one story together.
    pub correlation_id: String,
    /// The record that led to this one.
    pub parent_event_id: Option<Uuid>,
    /// How severe it was.
    pub severity: Option<String>,
    /// For example `production`.
    pub environment: Option<String>,
    /// What was acted on: `Kind/namespace/name`.
    pub target_resource: Option<String>,
    /// A fingerprint of the alert.
    pub fingerprint: Option<String>,
    /// Who did it, as the client claims.
    pub actor: Option<Actor>,
    /// How long it took.
    pub duration_ms: Option<i64>,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// What happened, in words.
    pub summary: Option<String>,
    /// What went wrong, in words.
    pub error_message: Option<String>,
    /// What else the client has to say.
    pub data: Map<String, Value>,
}

impl Event {
    /// An event that happens now, with a new id and the required fields. For clients.
    pub fn new(
        kind: Kind,
        name: impl Into<String>,
        namespace: impl Into<String>,
        phase: Phase,
        action_type: impl Into<String>,
        correlation_id: impl Into<String>,
    ) -> Self {
        let event_id = Uuid::now_v7();
        Self {
            event_id,
            kind,
            occurred_at: id_time(&event_id).unwrap_or_default(),
            name: name.into(),
            namespace: namespace.into(),
            cluster: String::new(),
            phase,
            status: None,
            action_type: action_type.into(),
            correlation_id: correlation_id.into(),
            parent_event_id: None,
            severity: None,
            environment: None,
            target_resource: None,
            fingerprint: None,
            actor: None,
            duration_ms: None,
            trace_id: None,
            summary: None,
            error_message: None,
            data: Map::new(),
        }
    }
}

/// The time in an id of version 7; none for other ids.
pub(crate) fn id_time(id: &Uuid) -> Option<Timestamp> {
    if id.get_version_num() != 7 || id.get_variant() != Variant::RFC4122 {
        return None;
    }
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
}

/// An event as it is stored and read: with what the server stamped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What the client recorded, after defaults and redaction.
    #[serde(flatten)]
    pub event: Event,
    /// The place in the order of recording. Readers of one namespace do not get it: numbers without gaps show the
    /// rate of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// When it was recorded, by the clock of the database.
    pub recorded_at: Timestamp,
    /// The authenticated identity that wrote it.
    pub recorded_by: String,
    /// The hash of the chain in hexadecimal digits; present together with `seq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_hash: Option<String>,
}
