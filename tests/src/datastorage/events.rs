//! Records as a client writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A record as JSON, of which a test changes what it is about. It may be one that the service must refuse.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Event(Map<String, Value>);

/// A complete record with an id of its own.
pub fn sample() -> Event {
    minimal()
        .with("event_id", Uuid::now_v7().to_string())
        .with("cluster", "")
        .with("status", "failure")
        .with("severity", "critical")
        .with("environment", "production")
        .with("target_resource", "Deployment/prod/payments-api")
        .with("fingerprint", "fp-123")
        .with("actor", json!({"type": "service", "id": "workflow-engine"}))
        .with("duration_ms", 4200)
        .with("summary", "Restarted after OOMKilled; memory limit too low")
        .with("error_message", "quota exceeded")
        .with("data", json!({"dry_run": false}))
}

/// A complete record about an object of a namespace.
pub fn sample_in(namespace: &str) -> Event {
    sample().with("namespace", namespace).with("target_resource", format!("Deployment/{namespace}/payments-api"))
}

/// The id of a record that was made so long ago.
pub fn id_made(ago: Duration) -> String {
    let made = (SystemTime::now() - ago).duration_since(UNIX_EPOCH).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, made.as_secs(), made.subsec_nanos())).to_string()
}

/// A record with the required fields only. The service makes its id.
pub fn minimal() -> Event {
    Event(Map::new())
        .with("kind", "execution")
        .with("name", "restart-payments-api")
        .with("namespace", "prod")
        .with("phase", "completed")
        .with("action_type", "restart_pod")
        .with("correlation_id", "rr-2026-001")
}

impl Event {
    /// The same record with another value of a field.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }

    /// The same record without a field.
    #[must_use]
    pub fn without(mut self, field: &str) -> Self {
        self.0.remove(field);
        self
    }

    /// The same record with a new id.
    #[must_use]
    pub fn renewed(&self) -> Self {
        self.clone().with("event_id", Uuid::now_v7().to_string())
    }

    /// Its id. Empty if it has none.
    pub fn id(&self) -> &str {
        self.0.get("event_id").and_then(Value::as_str).unwrap_or_default()
    }

    /// The value of a field. Null if it has none.
    pub fn get(&self, field: &str) -> &Value {
        self.0.get(field).unwrap_or(&Value::Null)
    }

    /// The record as JSON.
    pub fn json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}
