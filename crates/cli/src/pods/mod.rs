//! The Pods behind the Services, from the input or from the cluster, and what they add.
//!
//! ```text
//! Pods, Pod templates ──► given ──┐
//!                                 ├──► PodEvidence in the index, KnownPods for explanations
//! EndpointSlices, Pods ──► live ──┘
//! ```

mod claims;
mod given;

use std::collections::{BTreeMap, BTreeSet};

use detectors::{ServiceKey, pods::PodView};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use toolset::pods::Representative;

pub(crate) use self::{
    claims::{claim, pods_count, wanted, wanted_by_any},
    given::of_input,
};

/// A Pod, or the template of the Pods of a controller.
pub(crate) struct Workload {
    /// The kind of the object: `Pod`, or the kind of the controller.
    pub kind: String,
    /// The metadata of the object.
    pub metadata: ObjectMeta,
    /// The labels of its Pods.
    pub labels: Option<BTreeMap<String, String>>,
    /// The spec of its Pods.
    pub spec: PodView,
    /// Whether Pods of it run.
    pub runs: bool,
    /// How many Pods of it serve.
    pub serving: usize,
}

/// What is known of the Pods behind Services, beside the evidence in the index.
#[derive(Debug, Default)]
pub(crate) struct KnownPods {
    /// The Pods and the templates that were read.
    read: BTreeMap<ServiceKey, Vec<Origin>>,
    /// Why Pods could not be read.
    unreadable: BTreeMap<ServiceKey, String>,
    /// The Services whose Pods the user may not read.
    forbidden: BTreeSet<ServiceKey>,
}

/// Where the spec of a Pod comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The kind and the name of the object, and its controller if that is another object.
    pub object: String,
    /// Whether it is a template.
    pub is_template: bool,
    /// How many Pods serve with this spec.
    pub serving: usize,
}

impl KnownPods {
    pub(crate) fn add(&mut self, key: ServiceKey, origin: Origin) {
        self.read.entry(key).or_default().push(origin);
    }

    pub(crate) fn add_unreadable(&mut self, key: ServiceKey, why: String) {
        self.unreadable.insert(key, why);
    }

    pub(crate) fn add_forbidden(&mut self, key: ServiceKey, why: String) {
        self.forbidden.insert(key.clone());
        self.add_unreadable(key, why);
    }

    /// Forgets the Pods of a Service, because others are read now.
    #[cfg(feature = "ui")]
    pub(crate) fn forget(&mut self, key: &ServiceKey) {
        self.read.remove(key);
        self.unreadable.remove(key);
        self.forbidden.remove(key);
    }

    /// The Pods and the templates of a Service that were read.
    pub(crate) fn read_for(&self, key: &ServiceKey) -> &[Origin] {
        self.read.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether the user may not read the Pods of a Service.
    pub(crate) fn is_forbidden(&self, key: &ServiceKey) -> bool {
        self.forbidden.contains(key)
    }

    /// Why Pods of a Service could not be read.
    pub(crate) fn unreadable(&self, key: &ServiceKey) -> Option<&str> {
        self.unreadable.get(key).map(String::as_str)
    }
}

impl Origin {
    /// The origin of a Pod that stands for all with the same template.
    pub(crate) fn of_pod(chosen: &Representative, controller: Option<&str>) -> Self {
        let object = match controller.and_then(|controller| controller.split_once('/')) {
            Some((kind, name)) => format!("Pod {} of {kind} {name}", chosen.name),
            None => format!("Pod {}", chosen.name),
        };
        Self { object, is_template: false, serving: chosen.serving }
    }
}
