//! What one event changed in the index.

use detectors::{ServiceKey, StringMap};

use super::recognised::Recognised;

/// One change. What is there now is in the index; a change holds what was there before.
#[derive(Debug)]
pub enum Change {
    /// A Service came, went or changed.
    Service {
        /// Which one.
        key: ServiceKey,
        /// As it was; `None` if it was not there.
        before: Option<Box<Recognised>>,
    },
    /// What the EndpointSlices of a Service say together changed.
    Readiness {
        /// The Service.
        key: ServiceKey,
    },
    /// A Namespace came, went or changed its labels.
    Namespace {
        /// Which one.
        name: Box<str>,
        /// Its labels as they were; `None` if it was not there.
        before: Option<StringMap>,
    },
}
