//! What an Event says.

use k8s_openapi::jiff::Timestamp;

use crate::api::{fence::Term, name::NamespacedName};

/// What an Event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Config {
        name: NamespacedName,
        uid: String,
    },
    /// A Service. Its uid is read when the Event is sent, because `kubectl describe` finds Events by uid.
    Service(NamespacedName),
}

/// The type of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Normal.
    Normal,
    /// Warning. Somebody should act.
    Warning,
}

/// One Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The term in which the cause was observed. The Event is not sent in another term.
    pub(crate) term: Term,
    pub(crate) about: About,
    pub(crate) kind: Kind,
    /// A reason from a closed set.
    pub(crate) reason: &'static str,
    /// What the operator was doing.
    pub(crate) action: &'static str,
    pub(crate) note: String,
    /// Whether this happened before. Then an Event that exists is counted. If it is false, the Event may exist because an
    /// earlier leader has sent it.
    pub(crate) repeats: bool,
}

/// An Event with the time of its cause, which may be long before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Observed {
    pub(super) event: Event,
    /// In whole microseconds, as the API server stores it.
    pub(super) at: Timestamp,
}

impl Observed {
    pub(super) fn now(event: Event) -> Self {
        let now = Timestamp::now();
        Self { event, at: Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now) }
    }
}
