//! The record as plain data.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::{Uuid, Variant};

use crate::{Kind, Phase, Status};

/// The user or program that did it, according to the client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct Actor {
    /// For example `service` or `user`.
    pub r#type: Option<String>,
    /// The name of the user or program.
    pub id: Option<String>,
}

/// A record as a client sends it. It is plain data. [`crate::Accepted`] guarantees that the fields are valid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct Event {
    /// The id, a UUID version 7. It contains the time at which the record was made.
    pub event_id: Uuid,
    /// The kind of the operation. `system` is for records of Data Storage itself.
    pub kind: Kind,
    /// The time at which it happened.
    pub occurred_at: Timestamp,
    /// The name of the operation, for example the name of a custom resource.
    pub name: String,
    /// The namespace of the record. It is empty for a cluster-scoped object.
    pub namespace: String,
    /// The name of the cluster.
    pub cluster: String,
    /// The progress of the operation.
    pub phase: Phase,
    /// The result of the operation.
    pub status: Option<Status>,
    /// The action, for example `restart_pod`.
    pub action_type: String,
    /// The id that all records of one operation have in common.
    pub correlation_id: String,
    /// The id of the record that caused this one.
    pub parent_event_id: Option<Uuid>,
    /// The severity.
    pub severity: Option<String>,
    /// The environment, for example `production`.
    pub environment: Option<String>,
    /// The object of the operation, as `Kind/namespace/name`.
    pub target_resource: Option<String>,
    /// The fingerprint of the alert.
    pub fingerprint: Option<String>,
    /// The user or program that did it, according to the client.
    pub actor: Option<Actor>,
    /// The duration of the operation in milliseconds.
    pub duration_ms: Option<i64>,
    /// The id of the trace.
    pub trace_id: Option<String>,
    /// What happened, in words.
    pub summary: Option<String>,
    /// The error, in words.
    pub error_message: Option<String>,
    /// Other data of the client.
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

/// A record as it is stored and read, with the fields that the service adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct Record {
    /// The record of the client, after defaults and redaction.
    #[serde(flatten)]
    pub event: Event,
    /// The number of the record, without gaps. Clients that can read only some namespaces do not get it, because the
    /// numbers show how much other clients write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// The time at which the record was stored, from the clock of the database.
    pub recorded_at: Timestamp,
    /// The authenticated identity of the client.
    pub recorded_by: String,
    /// The hash of the record in the chain, in hexadecimal digits. It is present together with `seq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_hash: Option<String>,
}
