//! What the Pods of a Service say together.

use std::{cmp::Reverse, collections::BTreeMap};

use detectors::{
    ServiceView,
    pods::{self, PodFacts, PodView},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{
    evidence::PodEvidence,
    names::{Owner, controller},
    representatives::Representative,
};

/// What was read of a Pod. It stands for all Pods with the same stem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPod {
    /// The controller whose rollouts replace the Pod, see [`controller`](super::controller()). `None` if nothing
    /// controls it.
    pub controller: Option<String>,
    /// The part of the name that the Pods of one template share.
    pub stem: String,
    /// How many Pods with this stem serve.
    pub serving: usize,
    /// When the Pod was created, in seconds since 1970.
    pub created: i64,
    /// What it says about the Service.
    pub facts: PodFacts,
}

impl ReadPod {
    /// Reads a Pod for a Service. Only what follows from its spec is kept.
    pub fn of(view: &ServiceView, chosen: &Representative, metadata: &ObjectMeta, spec: &PodView) -> Self {
        let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        let owner = owner.map(|owner| Owner { kind: &owner.kind, name: &owner.name });
        Self {
            controller: owner.map(|owner| controller(owner, metadata.labels.as_ref())),
            stem: chosen.stem.clone(),
            serving: chosen.serving,
            created: metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
            facts: pods::read(view, spec),
        }
    }

    /// The order in a rollout: the stem with most serving endpoints, then the older, so that a path does not flap.
    fn place(&self) -> (Reverse<usize>, i64, &str) {
        (Reverse(self.serving), self.created, &self.stem)
    }
}

/// What the Pods of a Service say together. `None` without any.
///
/// Several stems of one controller are a rollout, of which only one counts. What different controllers disagree on is not
/// known, whether or not all of them serve. Otherwise the endpoint would change with every Pod that restarts.
pub fn evidence(pods: &[ReadPod]) -> Option<PodEvidence> {
    let mut by_controller: BTreeMap<(Option<&str>, &str), &ReadPod> = BTreeMap::new();
    for pod in pods {
        // A Pod without a controller is replaced by nobody.
        let own = if pod.controller.is_none() { pod.stem.as_str() } else { "" };
        let counts = by_controller.entry((pod.controller.as_deref(), own)).or_insert(pod);
        if pod.place() < counts.place() {
            *counts = pod;
        }
    }
    let facts: Vec<PodFacts> = by_controller.into_values().map(|pod| pod.facts.clone()).collect();
    if facts.is_empty() {
        return None;
    }
    let (facts, ambiguous) = PodFacts::agreed(&facts);
    Some(PodEvidence { facts, ambiguous })
}
