//! What is known of the cluster: Services with what is recognised in them, EndpointSlice readiness, Namespace labels.
//!
//! It takes `apply`, `delete` and lists, returns exactly what changed, and has no client. Everything is kept by
//! namespace. Services that something recognises are kept apart from the others, so that the others need not be
//! scanned.
//!
//! # Lists
//! A list replaces what was known, because a watch does not announce what was deleted during a gap. The objects of a
//! list come one by one. `collect_*` only marks an object that is as known. Other objects wait in the list, so nothing
//! is held twice. `finish_*` moves all of them into the index at once and drops what is not in the list. If a list
//! breaks off, it is dropped, and the index stays as it was.

mod by_namespace;
mod change;
mod namespaces;
mod recognised;
mod services;
mod slices;

use std::sync::atomic::{AtomicU32, Ordering};

use detectors::{ServiceKey, ServiceView, StringMap};

use crate::{identity::IdentityEvidence, pods::PodEvidence};

pub use self::{
    change::Change,
    namespaces::{NamespaceList, NamespaceView},
    recognised::Recognised,
    services::ServiceList,
    slices::{Readiness, SliceList, SliceOwner, SliceView},
};
use self::{namespaces::Namespaces, services::Services, slices::Slices};

/// The cluster as far as it has been seen.
#[derive(Debug, Default)]
pub struct Index {
    services: Services,
    slices: Slices,
    namespaces: Namespaces,
    /// The number of the latest list.
    lists: AtomicU32,
}

impl Index {
    /// Takes a new or changed Service. Runs the built-in rules once if it differs from what was known.
    pub fn apply_service(&mut self, view: ServiceView) -> Option<Change> {
        let number = *self.lists.get_mut();
        self.services.apply(view, number)
    }

    /// Forgets a Service.
    pub fn delete_service(&mut self, key: &ServiceKey) -> Option<Change> {
        self.services.delete(key)
    }

    /// Begins a list of the Services of one namespace or of all.
    pub fn list_services(&self, namespace: Option<&str>) -> ServiceList {
        ServiceList::new(namespace, self.next_list())
    }

    /// Takes a Service of a list.
    pub fn collect_service(&mut self, list: &mut ServiceList, view: ServiceView) {
        self.services.collect(list, view);
    }

    /// Ends a list: what it holds is all there is.
    pub fn finish_services(&mut self, list: ServiceList) -> Vec<Change> {
        self.services.finish(list)
    }

    /// Takes what the Pods of a Service say. `None` means that nothing is known of them. A Service keeps it while its
    /// selector and its ports stay the same.
    pub fn apply_pods(&mut self, key: &ServiceKey, evidence: Option<PodEvidence>) -> Option<Change> {
        self.services.set_pods(key, evidence)
    }

    /// Takes what a Service has answered to questions about its identity. A Service keeps it while its selector and its
    /// ports stay the same.
    pub fn apply_identity(&mut self, key: &ServiceKey, answers: Vec<IdentityEvidence>) -> Option<Change> {
        self.services.set_identity(key, answers)
    }

    /// Takes a new or changed EndpointSlice. One that moves to another Service changes two.
    pub fn apply_slice(&mut self, slice: SliceView) -> Vec<Change> {
        let number = *self.lists.get_mut();
        let namespace = slice.namespace.clone();
        let changed = self.slices.apply(slice, number);
        changed.into_iter().map(|changed| readiness_change(&self.services, &namespace, changed)).collect()
    }

    /// Forgets an EndpointSlice.
    pub fn delete_slice(&mut self, namespace: &str, name: &str) -> Option<Change> {
        let changed = self.slices.delete(namespace, name)?;
        Some(readiness_change(&self.services, namespace, changed))
    }

    /// Begins a list of the EndpointSlices of one namespace or of all.
    pub fn list_slices(&self, namespace: Option<&str>) -> SliceList {
        SliceList::new(namespace, self.next_list())
    }

    /// Takes an EndpointSlice of a list.
    pub fn collect_slice(&mut self, list: &mut SliceList, slice: SliceView) {
        self.slices.collect(list, slice);
    }

    /// Ends a list: what it holds is all there is.
    pub fn finish_slices(&mut self, list: SliceList) -> Vec<Change> {
        let mut changes = Vec::new();
        let services = &self.services;
        self.slices.finish(list, |namespace, changed| changes.push(readiness_change(services, namespace, changed)));
        changes
    }

    /// Takes a new or changed Namespace.
    pub fn apply_namespace(&mut self, namespace: NamespaceView) -> Option<Change> {
        let number = *self.lists.get_mut();
        self.namespaces.apply(namespace, number)
    }

    /// Forgets a Namespace.
    pub fn delete_namespace(&mut self, name: &str) -> Option<Change> {
        self.namespaces.delete(name)
    }

    /// Begins a list of all Namespaces, or of the one with this name.
    pub fn list_namespaces(&self, name: Option<&str>) -> NamespaceList {
        NamespaceList::new(name, self.next_list())
    }

    /// Takes a Namespace of a list.
    pub fn collect_namespace(&mut self, list: &mut NamespaceList, namespace: NamespaceView) {
        self.namespaces.collect(list, namespace);
    }

    /// Ends a list: what it holds is all there is.
    pub fn finish_namespaces(&mut self, list: NamespaceList) -> Vec<Change> {
        self.namespaces.finish(list)
    }

    /// How many Services are known.
    pub fn services_len(&self) -> usize {
        self.services.len()
    }

    /// One Service.
    pub fn service(&self, key: &ServiceKey) -> Option<&Recognised> {
        self.services.find(&key.namespace, &key.name)
    }

    /// All Services, by namespace and name.
    pub fn services(&self) -> impl Iterator<Item = &Recognised> {
        self.services.all()
    }

    /// All Services of one namespace, by name.
    pub fn services_in(&self, namespace: &str) -> impl Iterator<Item = &Recognised> {
        self.services.all_in(namespace)
    }

    /// The Services that a rule recognises or that carry an annotation of ours, by namespace and name.
    pub fn interesting(&self) -> impl Iterator<Item = &Recognised> {
        self.services.interesting()
    }

    /// As [`Self::interesting`], of one namespace.
    pub fn interesting_in(&self, namespace: &str) -> impl Iterator<Item = &Recognised> {
        self.services.interesting_in(namespace)
    }

    /// What the EndpointSlices of a Service say; nothing is ready for a Service without any.
    pub fn readiness(&self, key: &ServiceKey) -> Readiness {
        self.slices.readiness(&key.namespace, &key.name)
    }

    /// The number of the last change of a Service's EndpointSlices; `None` if it has none. No number is used twice, so
    /// equal numbers mean that nothing changed in between. A change of the number alone is not announced.
    pub fn slices_changed_at(&self, key: &ServiceKey) -> Option<u64> {
        self.slices.changed_at(&key.namespace, &key.name)
    }

    /// Whether Pods of its namespace are behind a Service, by the EndpointSlices of the EndpointSlice controller.
    pub fn has_pods(&self, key: &ServiceKey) -> bool {
        self.slices.has_pods(&key.namespace, &key.name)
    }

    /// The labels of a namespace, if it has been seen.
    pub fn namespace_labels(&self, name: &str) -> Option<&StringMap> {
        self.namespaces.labels(name)
    }

    fn next_list(&self) -> u32 {
        self.lists.fetch_add(1, Ordering::Relaxed) + 1
    }
}
/// The key of a known Service is shared with it.
fn readiness_change(
    services: &Services,
    namespace: &str,
    (service, before): (std::sync::Arc<str>, Readiness),
) -> Change {
    let known = services.find(namespace, &service).map(|known| known.view.key.clone());
    Change::Readiness { key: known.unwrap_or_else(|| ServiceKey::new(namespace, service)), before }
}

#[cfg(test)]
mod tests;
