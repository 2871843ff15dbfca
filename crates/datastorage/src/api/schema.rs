//! What the OpenAPI document says about records and problems. These types exist only for it: the real ones belong to the crate
//! `audit`, which does not know of OpenAPI. A test compares their fields.

use audit::{Kind, Phase, Status};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// A record as a client sends it.
#[derive(Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRecord {
    /// A UUID of version 7. Its time is when the record was made. A second record with the same id and the same content is a
    /// duplicate, so a retry is safe. Without an id, the server makes one, and a retry is a new record.
    #[serde(default)]
    pub event_id: Option<Uuid>,
    /// What the record is about.
    #[schemars(with = "KindSchema")]
    pub kind: Kind,
    /// When it happened: within 24 hours of the time of the id, which is the default.
    #[serde(default)]
    #[schemars(extend("format" = "date-time"))]
    pub occurred_at: Option<String>,
    /// The name of the object.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// The namespace of the object, or an empty text for an object of the cluster.
    #[schemars(length(max = 255))]
    pub namespace: String,
    /// The cluster of the object. The default is the cluster of the service.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub cluster: Option<String>,
    /// How far it was.
    #[schemars(with = "PhaseSchema")]
    pub phase: Phase,
    /// The outcome.
    #[serde(default)]
    #[schemars(with = "Option<StatusSchema>")]
    pub status: Option<Status>,
    /// What was done.
    #[schemars(length(min = 1, max = 100))]
    pub action_type: String,
    /// What holds the records of one story together.
    #[schemars(length(min = 1, max = 255))]
    pub correlation_id: String,
    /// The record that led to this one.
    #[serde(default)]
    pub parent_event_id: Option<Uuid>,
    /// How severe it was.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub severity: Option<String>,
    /// For example `production`.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub environment: Option<String>,
    /// What was acted on: `Kind/namespace/name`.
    #[serde(default)]
    #[schemars(length(max = 512))]
    pub target_resource: Option<String>,
    /// A fingerprint of the alert.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub fingerprint: Option<String>,
    /// Who did it, as the client claims.
    #[serde(default)]
    pub actor: Option<NewActor>,
    /// How long it took, in milliseconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub duration_ms: Option<i64>,
    /// The trace that it belongs to.
    #[serde(default)]
    pub trace_id: Option<String>,
    /// What happened, in words.
    #[serde(default)]
    #[schemars(length(max = 2048))]
    pub summary: Option<String>,
    /// What went wrong, in words.
    #[serde(default)]
    #[schemars(length(max = 16384))]
    pub error_message: Option<String>,
    /// What else the client has to say, at most 64 KiB.
    #[serde(default)]
    pub data: Map<String, Value>,
}

/// Who did it, as the client claims.
#[derive(Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewActor {
    /// For example `service` or `user`.
    #[schemars(length(max = 50))]
    pub r#type: Option<String>,
    /// A name within that type.
    #[schemars(length(max = 255))]
    pub id: Option<String>,
}

/// Who did it, as the client claimed.
#[derive(Serialize, JsonSchema)]
pub struct Actor {
    /// For example `service` or `user`.
    pub r#type: Option<String>,
    /// A name within that type.
    pub id: Option<String>,
}

/// A record as it is stored. Secrets in it were replaced by `[REDACTED:<class>]`.
#[derive(Serialize, JsonSchema)]
pub struct Record {
    /// The id.
    pub event_id: Uuid,
    /// What the record is about. `system` is what Data Storage says about itself.
    #[schemars(with = "StoredKindSchema")]
    pub kind: Kind,
    /// When it happened.
    #[schemars(extend("format" = "date-time"))]
    pub occurred_at: String,
    /// The name of the object.
    pub name: String,
    /// The namespace of the object, or an empty text for an object of the cluster.
    pub namespace: String,
    /// The cluster of the object.
    pub cluster: String,
    /// How far it was.
    #[schemars(with = "PhaseSchema")]
    pub phase: Phase,
    /// The outcome.
    #[schemars(with = "Option<StatusSchema>")]
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
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// The trace that it belongs to.
    pub trace_id: Option<String>,
    /// What happened, in words.
    pub summary: Option<String>,
    /// What went wrong, in words.
    pub error_message: Option<String>,
    /// What else the client had to say.
    pub data: Map<String, Value>,
    /// The place in the order of recording, without holes. Only for identities that may read the whole cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
    /// When it was recorded, by the clock of the database.
    #[schemars(extend("format" = "date-time"))]
    pub recorded_at: String,
    /// The authenticated identity that wrote it.
    pub recorded_by: String,
    /// The hash of the chain. Only for identities that may read the whole cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_hash: Option<String>,
}

/// An error, as RFC 9457 describes it.
#[derive(Serialize, JsonSchema)]
pub struct Problem {
    /// The type, a URN.
    pub r#type: String,
    /// The type in words.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// The path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The id of the request, which the log of the service contains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// What is wrong with a field.
#[derive(Serialize, JsonSchema)]
pub struct FieldError {
    /// The field, for example `actor.id`, or `body` if no field can be named.
    pub field: String,
    /// What kind of error it is.
    #[schemars(with = "ReasonSchema")]
    pub reason: audit::Reason,
    /// What is wrong and what is expected.
    pub message: String,
}

/// Where the chain stood at a time.
#[derive(Serialize, JsonSchema)]
pub struct Checkpoint {
    /// The number of the newest record. 0 before the first.
    pub seq: i64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
    /// The key of its hash. 0 for none.
    pub key_id: i16,
    /// The time of the database.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
}

/// A type whose schema is the words of a vocabulary.
macro_rules! words {
    ($($name:ident: $words:expr;)+) => {
        $(
            pub(super) struct $name;

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> std::borrow::Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                    schemars::json_schema!({"type": "string", "enum": $words})
                }
            }
        )+
    };
}

words! {
    KindSchema: Kind::ALL.map(Kind::as_str);
    StoredKindSchema: Kind::ALL.into_iter().chain([Kind::System]).map(Kind::as_str).collect::<Vec<_>>();
    PhaseSchema: Phase::ALL.map(Phase::as_str);
    StatusSchema: Status::ALL.map(Status::as_str);
    ReasonSchema: audit::Reason::ALL.map(audit::Reason::as_str);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(schema: &schemars::Schema) -> BTreeSet<String> {
        schema.get("properties").unwrap().as_object().unwrap().keys().cloned().collect()
    }

    fn keys(value: impl Serialize) -> BTreeSet<String> {
        serde_json::to_value(value).unwrap().as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_documented_fields_are_those_of_the_record() {
        let event = audit::Event::new(Kind::Execution, "a", "b", Phase::Pending, "c", "d");
        assert_eq!(names(&schemars::schema_for!(NewRecord)), keys(&event));
        let record = audit::Record {
            recorded_at: event.occurred_at,
            event,
            seq: Some(1),
            recorded_by: "e".into(),
            chain_hash: Some("f".into()),
        };
        assert_eq!(names(&schemars::schema_for!(Record)), keys(record));
    }

    #[test]
    fn the_documented_fields_are_those_of_a_checkpoint() {
        let checkpoint =
            crate::store::Checkpoint { seq: 1, hash: String::new(), key_id: 0, at: jiff::Timestamp::UNIX_EPOCH };
        assert_eq!(names(&schemars::schema_for!(Checkpoint)), keys(checkpoint));
    }

    #[test]
    fn the_documented_fields_are_those_of_a_problem() {
        let error = audit::FieldError::new("name", audit::Reason::Required, "is missing");
        let problem = audit::problem::Problem::validation(vec![error.clone()]).at("/", "1");
        assert_eq!(names(&schemars::schema_for!(Problem)), keys(problem));
        assert_eq!(names(&schemars::schema_for!(FieldError)), keys(error));
    }
}
