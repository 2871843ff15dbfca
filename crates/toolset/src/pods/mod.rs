//! Which Pods of a Service are read, and what they say together. Pure.
//!
//! ```text
//! EndpointSlices ──► PodRef ──► representatives ──► (read) ──► ReadPod ──► evidence ──► PodEvidence
//! ```

mod agreement;
mod evidence;
mod names;
mod representatives;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use detectors::{ServiceView, pods::PodView};
use k8s_openapi::api::core::v1::PodSpec;

pub use self::{
    agreement::{ReadPod, evidence},
    evidence::{PodEvidence, Pods},
    names::{Owner, controller, stem},
    representatives::{MAX_PER_SERVICE, PodRef, Representative, representatives, representatives_of_known},
};

/// The parts of a Pod's spec, or of a Pod template's, that are read as evidence.
///
/// Fails if a field has a value that the API server would refuse.
pub fn view(spec: &PodSpec) -> serde_json::Result<PodView> {
    serde_json::from_value(serde_json::to_value(spec)?)
}

/// A hash of what decides which Pods a Service has and what they say about it: its uid, its selector and its ports. It
/// differs between versions of the program.
pub fn selects_hash(view: &ServiceView) -> u64 {
    let mut hasher = DefaultHasher::new();
    view.uid.hash(&mut hasher);
    view.selector.hash(&mut hasher);
    for port in &view.ports {
        (port.port, &port.name, format!("{:?}", port.target), format!("{:?}", port.protocol)).hash(&mut hasher);
        port.app_protocol.hash(&mut hasher);
    }
    hasher.finish()
}

/// Whether a Service selects a Pod with these labels. A Service without a selector selects none.
pub fn selects(view: &ServiceView, labels: Option<&BTreeMap<String, String>>) -> bool {
    let has = |(key, value): (&str, &str)| labels.and_then(|labels| labels.get(key)).is_some_and(|own| own == value);
    !view.selector.is_empty() && view.selector.iter().all(has)
}

#[cfg(test)]
mod tests;
