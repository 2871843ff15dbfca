//! Which Pods of the agent are ready, as a watch of the EndpointSlices shows them. Pure.
//!
//! At rest this watch is all that the observation of an agent costs. It only shows that there is a new Pod. Who is asked
//! is read again at every round.

use std::collections::{BTreeMap, BTreeSet};

use kube::runtime::watcher::Event;

use super::view::PodId;
use crate::api::backends::BackendSlice;

/// The ready Pods by slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadyPods {
    slices: BTreeMap<String, BTreeSet<PodId>>,
    /// The list that is not complete yet.
    next: BTreeMap<String, BTreeSet<PodId>>,
}

impl ReadyPods {
    /// Takes an event. Returns the ready Pods, unless a list is not complete.
    pub(crate) fn take(&mut self, event: Event<BackendSlice>) -> Option<BTreeSet<PodId>> {
        match event {
            Event::Init => {
                self.next.clear();
                return None;
            }
            Event::InitApply(slice) => {
                self.next.insert(name(&slice), ready(&slice));
                return None;
            }
            Event::InitDone => self.slices = std::mem::take(&mut self.next),
            Event::Apply(slice) => drop(self.slices.insert(name(&slice), ready(&slice))),
            Event::Delete(slice) => drop(self.slices.remove(&name(&slice))),
        }
        Some(self.slices.values().flatten().cloned().collect())
    }
}

fn name(slice: &BackendSlice) -> String {
    slice.metadata.name.clone().unwrap_or_default()
}

fn ready(slice: &BackendSlice) -> BTreeSet<PodId> {
    let endpoints = slice.endpoints.iter().flatten().filter(|endpoint| endpoint.is_ready());
    endpoints.filter_map(|one| one.target_ref.as_ref()).map(|pod| (pod.name.clone(), pod.uid.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slice(name: &str, pods: &[(&str, bool)]) -> BackendSlice {
        let endpoint = |(pod, ready): &(&str, bool)| json!({"addresses": ["10.1.2.3"], "conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": pod, "uid": "u"}});
        let endpoints: Vec<_> = pods.iter().map(endpoint).collect();
        serde_json::from_value(json!({"metadata": {"name": name}, "endpoints": endpoints})).unwrap()
    }

    fn names(pods: Option<BTreeSet<PodId>>) -> Option<Vec<String>> {
        pods.map(|pods| pods.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn the_ready_pods_of_all_slices_are_known_once_the_list_is_complete() {
        let mut pods = ReadyPods::default();
        assert_eq!(pods.take(Event::Init), None);
        assert_eq!(pods.take(Event::InitApply(slice("a", &[("p1", true), ("p2", false)]))), None);
        assert_eq!(names(pods.take(Event::InitDone)), Some(vec!["p1".to_owned()]));
        assert_eq!(
            names(pods.take(Event::Apply(slice("b", &[("p3", true)])))),
            Some(vec!["p1".to_owned(), "p3".to_owned()])
        );
        assert_eq!(names(pods.take(Event::Delete(slice("a", &[])))), Some(vec!["p3".to_owned()]));
        // A list replaces what was known.
        pods.take(Event::Init);
        pods.take(Event::InitApply(slice("a", &[("p4", true)])));
        assert_eq!(names(pods.take(Event::InitDone)), Some(vec!["p4".to_owned()]));
    }
}
