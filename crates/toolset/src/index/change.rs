//! What an event or a list changed in the index.

use detectors::{ServiceKey, StringMap};

use super::{recognised::Recognised, slices::Readiness};

/// One change. The index holds the new state, and the change holds the old one.
#[derive(Debug)]
pub enum Change {
    /// A Service came, went or changed.
    Service {
        /// Which one.
        key: ServiceKey,
        /// As it was; `None` if it was not there.
        before: Option<Box<Recognised>>,
    },
    /// The readiness of a Service changed.
    Readiness {
        /// The Service.
        key: ServiceKey,
        /// Its readiness as it was.
        before: Readiness,
    },
    /// The Pods of a Service say something else than before.
    Pods {
        /// The Service.
        key: ServiceKey,
    },
    /// A Service has answered something else about its identity than before.
    Identity {
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
