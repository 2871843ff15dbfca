//! From the bytes of a request to an event that obeys the rules.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use uuid::{ContextV7, Uuid};

use crate::event::id_time;
use crate::fields::{self, Texts};
use crate::redact::{self, Class};
use crate::{Actor, Event, FieldError, Kind, Phase, Reason, chain, data, json, rfc3339};

/// The maximum difference between `occurred_at` and the time of the id.
const OCCURRED_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// The maximum time by which the clock of a client can be ahead.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// The defaults for fields that the client omits, and the limits of times.
#[derive(Debug, Clone, Copy)]
pub struct Defaults<'a> {
    /// The time of the request.
    pub now: Timestamp,
    /// The cluster of records that name none.
    pub cluster: &'a str,
    /// The maximum age of an id: seven days, or the retention for identities with the permission `import`.
    pub max_age: Duration,
}

/// An event that was parsed, checked, completed and redacted.
///
/// Only [`Accepted::parse`] and [`Accepted::system`] make one, so that nothing else can reach the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    event: Event,
    content_hash: chain::Hash,
    redactions: Vec<(Class, u32)>,
}

impl Accepted {
    /// Reads one event.
    ///
    /// The errors are all that could be found, and at least one. Messages name what is expected; they repeat no value
    /// that could hold a secret.
    pub fn parse(json: &[u8], defaults: &Defaults<'_>) -> Result<Self, Vec<FieldError>> {
        let json::Fields { mut values, mut errors } = json::read(json).map_err(|error| vec![error])?;
        errors.extend(values.keys().filter(|field| !fields::is_known(field)).map(|field| fields::unknown(field)));
        let times = Times::read(&mut values, defaults, &mut errors);
        let parent_event_id = id("parent_event_id", values.remove("parent_event_id"), &mut errors);
        let duration_ms = duration(values.remove("duration_ms"), &mut errors);
        let mut texts = Texts::read(&mut values, &mut errors);
        let kind = texts.word::<Kind>("kind", &mut errors);
        if kind == Some(Kind::System) {
            errors.push(FieldError::new(
                "kind",
                Reason::Invalid,
                "clients cannot use the kind system, which is for records of the service itself",
            ));
        }
        let phase = texts.word::<Phase>("phase", &mut errors);
        let status = texts.word("status", &mut errors);
        let data = data::read(values.remove("data"), kind, &mut errors);
        let (Some(times), Some(kind), Some(phase), true) = (times, kind, phase, errors.is_empty()) else {
            return Err(errors);
        };
        let actor = Actor { r#type: texts.take("actor.type"), id: texts.take("actor.id") };
        let accepted = Self::of(Event {
            event_id: times.event_id,
            kind,
            occurred_at: times.occurred_at,
            name: texts.required("name"),
            namespace: texts.required("namespace"),
            cluster: texts.take("cluster").unwrap_or_else(|| defaults.cluster.to_owned()),
            phase,
            status,
            action_type: texts.required("action_type"),
            correlation_id: texts.required("correlation_id"),
            parent_event_id,
            severity: texts.take("severity"),
            environment: texts.take("environment"),
            target_resource: texts.take("target_resource"),
            fingerprint: texts.take("fingerprint"),
            actor: Some(actor),
            duration_ms,
            trace_id: texts.take("trace_id"),
            summary: texts.take("summary"),
            error_message: texts.take("error_message"),
            data,
        });
        accepted.sizes()?;
        Ok(accepted)
    }

    /// Fails if the words in the place of the secrets made a text much longer.
    fn sizes(&self) -> Result<(), Vec<FieldError>> {
        let errors: Vec<FieldError> = [
            fields::check_redacted("summary", self.event.summary.as_deref()),
            fields::check_redacted("error_message", self.event.error_message.as_deref()),
            if self.redactions.is_empty() { Ok(()) } else { data::check_size(&self.event.data) },
        ]
        .into_iter()
        .filter_map(Result::err)
        .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// A record of the server's own, for example that a range of records was removed.
    pub fn system(event: Event) -> Self {
        Self::of(event)
    }

    /// The event.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The SHA-256 of the canonical form.
    pub fn content_hash(&self) -> &[u8; 32] {
        &self.content_hash
    }

    /// How many secrets of each class were replaced.
    pub fn redactions(&self) -> &[(Class, u32)] {
        &self.redactions
    }

    /// The event, for the store.
    pub fn into_event(self) -> Event {
        self.event
    }

    /// Brings an event into the one form that the database gives back, without secrets, and hashes it.
    fn of(mut event: Event) -> Self {
        let mut counts = redact::Counts::default();
        for text in [&mut event.summary, &mut event.error_message].into_iter().flatten() {
            if let Cow::Owned(redacted) = redact::scan(text, &mut counts) {
                *text = redacted;
            }
        }
        redact::walk_object(&mut event.data, &mut counts);
        event.actor = event.actor.filter(|actor| *actor != Actor::default());
        event.occurred_at = microseconds(event.occurred_at);
        let content_hash = chain::content_hash(&event);
        Self { event, content_hash, redactions: counts.found() }
    }
}

/// The id and the time of an event.
struct Times {
    event_id: Uuid,
    occurred_at: Timestamp,
}

impl Times {
    /// None if an error was found.
    fn read(
        values: &mut BTreeMap<String, Value>,
        defaults: &Defaults<'_>,
        errors: &mut Vec<FieldError>,
    ) -> Option<Self> {
        let before = errors.len();
        let given = values.remove("event_id").filter(|value| !value.is_null());
        let event_id = match given {
            None => Some(new_id(defaults.now)),
            Some(value) => id("event_id", Some(value), errors),
        };
        let made_at = event_id.and_then(|id| made_at(&id, defaults, errors));
        let occurred_at = match values.remove("occurred_at") {
            None | Some(Value::Null) => made_at,
            Some(value) => occurred_at(&value, made_at, defaults, errors),
        };
        (errors.len() == before).then_some(Self { event_id: event_id?, occurred_at: occurred_at? })
    }
}

fn made_at(id: &Uuid, defaults: &Defaults<'_>, errors: &mut Vec<FieldError>) -> Option<Timestamp> {
    let mut refuse = |message: String| {
        errors.push(FieldError::new("event_id", Reason::Invalid, message));
        None
    };
    let Some(made_at) = id_time(id) else {
        return refuse("expected a UUID of version 7".to_owned());
    };
    if made_at.duration_since(defaults.now) > AHEAD {
        return refuse("the time of the id is more than 5 minutes in the future".to_owned());
    }
    let max_age = SignedDuration::try_from(defaults.max_age).unwrap_or(SignedDuration::MAX);
    if defaults.now.duration_since(made_at) > max_age {
        let hours = max_age.as_hours();
        let age = if hours > 48 { format!("{} days", hours / 24) } else { format!("{hours} hours") };
        return refuse(format!("the time of the id is older than {age}"));
    }
    Some(made_at)
}

fn occurred_at(
    value: &Value,
    made_at: Option<Timestamp>,
    defaults: &Defaults<'_>,
    errors: &mut Vec<FieldError>,
) -> Option<Timestamp> {
    let mut refuse = |message: &str| {
        errors.push(FieldError::new("occurred_at", Reason::Invalid, message));
        None
    };
    let Some(at) = value.as_str().and_then(rfc3339) else {
        return refuse("expected a time in the format of RFC 3339, for example 2026-01-31T12:00:00Z");
    };
    if at.duration_since(defaults.now) > AHEAD {
        return refuse("is more than 5 minutes in the future");
    }
    if made_at.is_some_and(|made| at.duration_since(made).abs() > OCCURRED_WITHIN) {
        return refuse("differs by more than 24 hours from the time of event_id, or from now if there is no event_id");
    }
    Some(microseconds(at))
}

/// An id as everybody writes it: 36 characters with hyphens.
fn id(field: &str, value: Option<Value>, errors: &mut Vec<FieldError>) -> Option<Uuid> {
    let text = match value {
        None | Some(Value::Null) => return None,
        Some(Value::String(text)) => text,
        Some(_) => String::new(),
    };
    let parsed = if text.len() == 36 { Uuid::parse_str(&text).ok() } else { None };
    if parsed.is_none() {
        errors.push(FieldError::new(field, Reason::Invalid, "expected a UUID of 36 characters"));
    }
    parsed
}

fn duration(value: Option<Value>, errors: &mut Vec<FieldError>) -> Option<i64> {
    let value = value.filter(|value| !value.is_null())?;
    let duration = data::integer(&value).filter(|ms| *ms >= 0);
    if duration.is_none() {
        let message = "expected an integer of milliseconds that is not negative";
        errors.push(FieldError::new("duration_ms", Reason::Invalid, message));
    }
    duration
}

fn new_id(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(ContextV7::new(), seconds, nanoseconds))
}

/// The database keeps microseconds.
fn microseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}
