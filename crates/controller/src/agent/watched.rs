//! Which Pods of the agent are ready, as a watch of the EndpointSlices shows them. Pure.
//!
//! At rest this watch is all that the observation of an agent costs. It only shows that there is a new Pod. Who is asked
//! is read again at every round.

use std::collections::{BTreeMap, BTreeSet};

use detectors::{PortView, ServiceView};
use kube::runtime::watcher::Event;

use super::replicas::{self, Candidates};
use crate::api::backends::BackendSlice;

/// The name and the uid of a Pod.
pub(crate) type PodId = (String, String);

/// The Service and its port, as a round has seen them. The watch finds the Pods in the same way as the round, so that
/// what a round leaves out does not start rounds.
#[derive(Clone, Debug)]
pub(crate) struct Backends {
    pub(crate) service: ServiceView,
    pub(crate) port: PortView,
}

impl Backends {
    pub(crate) fn candidates(&self, slices: &[BackendSlice]) -> Candidates {
        replicas::candidates(&self.service, &self.port, slices)
    }

    /// The ready Pods of a slice.
    fn ready(&self, slice: BackendSlice) -> BTreeSet<PodId> {
        self.candidates(&[slice]).pods.into_iter().map(|one| (one.pod, one.uid)).collect()
    }
}

impl PartialEq for Backends {
    fn eq(&self, other: &Self) -> bool {
        let key = |one: &Self| (one.service.uid, one.port.clone());
        key(self) == key(other)
    }
}

impl Eq for Backends {}

/// The ready Pods by slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadyPods {
    slices: BTreeMap<String, BTreeSet<PodId>>,
    /// The list that is not complete yet.
    next: BTreeMap<String, BTreeSet<PodId>>,
}

impl ReadyPods {
    /// Takes an event. Returns the ready Pods, unless a list is not complete.
    pub(crate) fn take(&mut self, event: Event<BackendSlice>, backends: &Backends) -> Option<BTreeSet<PodId>> {
        match event {
            Event::Init => {
                self.next.clear();
                return None;
            }
            Event::InitApply(slice) => {
                self.next.insert(name(&slice), backends.ready(slice));
                return None;
            }
            Event::InitDone => self.slices = std::mem::take(&mut self.next),
            Event::Apply(slice) => drop(self.slices.insert(name(&slice), backends.ready(slice))),
            Event::Delete(slice) => drop(self.slices.remove(&name(&slice))),
        }
        Some(self.slices.values().flatten().cloned().collect())
    }
}

fn name(slice: &BackendSlice) -> String {
    slice.metadata.name.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use serde_json::json;
    use toolset::convert;

    use super::*;

    fn backends() -> Backends {
        let service = json!({"metadata": {"name": "holmes", "namespace": "n", "uid": "service"}, "spec": {"selector": {"app": "holmes"}, "ports": [{"port": 80}]}});
        let service: Service = serde_json::from_value(service).unwrap();
        let service = convert::service(&service.metadata, service.spec.as_ref());
        Backends { port: service.ports[0].clone(), service }
    }

    fn slice_of(manager: &str, kind: &str, name: &str, pods: &[(&str, bool)]) -> BackendSlice {
        let endpoint = |(pod, ready): &(&str, bool)| json!({"addresses": ["10.1.2.3"], "conditions": {"ready": ready}, "targetRef": {"kind": kind, "namespace": "n", "name": pod, "uid": "u"}});
        let endpoints: Vec<_> = pods.iter().map(endpoint).collect();
        let owner =
            json!({"apiVersion": "v1", "kind": "Service", "name": "holmes", "uid": "service", "controller": true});
        let labels = json!({"endpointslice.kubernetes.io/managed-by": manager});
        let metadata = json!({"name": name, "labels": labels, "ownerReferences": [owner]});
        serde_json::from_value(
            json!({"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 5050}]}),
        )
        .unwrap()
    }

    fn slice(name: &str, pods: &[(&str, bool)]) -> BackendSlice {
        slice_of("endpointslice-controller.k8s.io", "Pod", name, pods)
    }

    fn names(pods: Option<BTreeSet<PodId>>) -> Option<Vec<String>> {
        pods.map(|pods| pods.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn the_ready_pods_of_all_slices_are_known_once_the_list_is_complete() {
        let (mut pods, backends) = (ReadyPods::default(), backends());
        let mut take = |event| pods.take(event, &backends);
        assert_eq!(take(Event::Init), None);
        assert_eq!(take(Event::InitApply(slice("a", &[("p1", true), ("p2", false)]))), None);
        assert_eq!(names(take(Event::InitDone)), Some(vec!["p1".to_owned()]));
        assert_eq!(
            names(take(Event::Apply(slice("b", &[("p3", true)])))),
            Some(vec!["p1".to_owned(), "p3".to_owned()])
        );
        assert_eq!(names(take(Event::Delete(slice("a", &[])))), Some(vec!["p3".to_owned()]));
        // A list replaces what was known.
        take(Event::Init);
        take(Event::InitApply(slice("a", &[("p4", true)])));
        assert_eq!(names(take(Event::InitDone)), Some(vec!["p4".to_owned()]));
    }

    #[test]
    fn what_a_round_does_not_count_is_not_ready_for_the_watch_either() {
        let (mut pods, backends) = (ReadyPods::default(), backends());
        let mut take = |event| pods.take(event, &backends);
        take(Event::Init);
        take(Event::InitApply(slice("a", &[("p1", true)])));
        let before = take(Event::InitDone);
        assert_eq!(take(Event::Apply(slice_of("by-hand", "Pod", "b", &[("p2", true)]))), before);
        assert_eq!(
            take(Event::Apply(slice_of("endpointslice-controller.k8s.io", "Node", "c", &[("n", true)]))),
            before
        );
    }
}
