//! What is known of the cluster: Services with their findings, EndpointSlice readiness, Namespace labels.
//!
//! Takes `apply`, `delete` and `replace`, tells whether the change can matter to anyone, and holds no client. A list that
//! ends (`replace_*`) swaps everything, because deletes during a watch gap are never announced.

use std::collections::{BTreeMap, HashMap};

use detectors::{Finding, ServiceKey, ServiceView, StringMap};

use crate::annotation;

/// Whom a change to the [`Index`] concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nobody: what the operator reads is as it was.
    Nothing,
    /// A Service that no rule and no annotation of ours speaks of, before and after: only a ToolsetConfig with signatures
    /// can care.
    Unrecognised,
    /// Every ToolsetConfig.
    Matters,
}

/// Readiness of one EndpointSlice, as much of it as counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceView {
    /// The slice's namespace.
    pub namespace: Box<str>,
    /// The slice's name.
    pub name: Box<str>,
    /// The Service it belongs to (label `kubernetes.io/service-name`).
    pub service: Box<str>,
    /// Whether at least one endpoint is serving and not terminating.
    pub serving: bool,
    /// Whether the EndpointSlice controller made it (label `endpointslice.kubernetes.io/managed-by`); a hand-made slice can
    /// point anywhere.
    pub managed: bool,
}

/// A namespace's labels, for sources that select by them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceView {
    /// The namespace's name.
    pub name: Box<str>,
    /// Its labels.
    pub labels: StringMap,
}

/// A Service and what the built-in rules say of it.
#[derive(Clone, Debug)]
pub struct Recognised {
    /// The Service.
    pub view: ServiceView,
    /// Findings, best first; empty for most Services.
    pub findings: Box<[Finding]>,
    /// Whether it carries an annotation of ours.
    annotated: bool,
}

impl Recognised {
    fn new(view: ServiceView) -> Self {
        let findings = detectors::recognise(&view).into_boxed_slice();
        let annotated = annotation::speaks(&view);
        Self { view, findings, annotated }
    }

    /// Whether a built-in rule or an annotation of ours speaks of this Service.
    pub fn is_interesting(&self) -> bool {
        self.annotated || !self.findings.is_empty()
    }
}

/// What all EndpointSlices of one Service say together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// At least one endpoint is serving and not terminating.
    pub serving: bool,
    /// At least one slice was made by hand.
    pub manual: bool,
}

/// The cluster as far as it has been seen.
#[derive(Debug, Default)]
pub struct Index {
    services: BTreeMap<ServiceKey, Recognised>,
    slices: HashMap<(Box<str>, Box<str>), SliceView>,
    readiness: HashMap<ServiceKey, Vec<SliceState>>,
    namespaces: BTreeMap<Box<str>, StringMap>,
}

/// One slice's share in its Service's readiness.
#[derive(Debug)]
struct SliceState {
    slice: Box<str>,
    serving: bool,
    managed: bool,
}

impl Index {
    /// Takes a new or changed Service; runs the built-in rules once if it differs from what was known.
    pub fn apply_service(&mut self, view: ServiceView) -> Change {
        let old = self.services.get(&view.key);
        if old.is_some_and(|old| old.view == view) {
            return Change::Nothing;
        }
        let new = Recognised::new(view);
        let matters = new.is_interesting() || old.is_some_and(Recognised::is_interesting);
        self.services.insert(new.view.key.clone(), new);
        if matters { Change::Matters } else { Change::Unrecognised }
    }

    /// Forgets a Service.
    pub fn delete_service(&mut self, key: &ServiceKey) -> Change {
        match self.services.remove(key) {
            None => Change::Nothing,
            Some(old) if old.is_interesting() => Change::Matters,
            Some(_) => Change::Unrecognised,
        }
    }

    /// Takes a complete list of Services in place of what was known. Findings of unchanged Services are kept.
    pub fn replace_services(&mut self, views: Vec<ServiceView>) {
        let old = std::mem::take(&mut self.services);
        self.renew_services(old, views);
    }

    /// As [`Self::replace_services`], for the list of one namespace.
    pub fn replace_services_in(&mut self, namespace: &str, views: Vec<ServiceView>) {
        let all = std::mem::take(&mut self.services);
        let (old, others) = all.into_iter().partition(|(key, _)| *key.namespace == *namespace);
        self.services = others;
        self.renew_services(old, views);
    }

    fn renew_services(&mut self, mut old: BTreeMap<ServiceKey, Recognised>, views: Vec<ServiceView>) {
        for view in views {
            let recognised = match old.remove(&view.key) {
                Some(known) if known.view == view => known,
                _ => Recognised::new(view),
            };
            self.services.insert(recognised.view.key.clone(), recognised);
        }
    }

    /// Takes a new or changed EndpointSlice.
    pub fn apply_slice(&mut self, slice: SliceView) -> Change {
        let id = (slice.namespace.clone(), slice.name.clone());
        if self.slices.get(&id) == Some(&slice) {
            return Change::Nothing;
        }
        // A slice whose service-name label changed leaves one Service and joins another.
        let left = self.delete_slice(&slice.namespace.clone(), &slice.name.clone());
        let joined = self.join(&slice);
        self.slices.insert(id, slice);
        left.max(joined)
    }

    /// Forgets an EndpointSlice.
    pub fn delete_slice(&mut self, namespace: &str, name: &str) -> Change {
        let Some(slice) = self.slices.remove(&(namespace.into(), name.into())) else { return Change::Nothing };
        let key = ServiceKey::new(slice.namespace, slice.service);
        let before = self.readiness(&key);
        if let Some(states) = self.readiness.get_mut(&key) {
            states.retain(|state| *state.slice != *name);
            if states.is_empty() {
                self.readiness.remove(&key);
            }
        }
        self.readiness_change(&key, before)
    }

    /// Takes a complete list of EndpointSlices in place of what was known.
    pub fn replace_slices(&mut self, slices: Vec<SliceView>) {
        self.slices.clear();
        self.readiness.clear();
        for slice in slices {
            self.join(&slice);
            self.slices.insert((slice.namespace.clone(), slice.name.clone()), slice);
        }
    }

    /// As [`Self::replace_slices`], for the list of one namespace.
    pub fn replace_slices_in(&mut self, namespace: &str, slices: Vec<SliceView>) {
        let of_namespace = self.slices.keys().filter(|(other, _)| **other == *namespace);
        for (namespace, name) in of_namespace.cloned().collect::<Vec<_>>() {
            self.delete_slice(&namespace, &name);
        }
        for slice in slices {
            self.apply_slice(slice);
        }
    }

    /// Takes a new or changed Namespace.
    pub fn apply_namespace(&mut self, namespace: NamespaceView) -> Change {
        if self.namespaces.get(&namespace.name) == Some(&namespace.labels) {
            return Change::Nothing;
        }
        self.namespaces.insert(namespace.name, namespace.labels);
        Change::Matters
    }

    /// Forgets a Namespace.
    pub fn delete_namespace(&mut self, name: &str) -> Change {
        if self.namespaces.remove(name).is_some() { Change::Matters } else { Change::Nothing }
    }

    /// Takes a complete list of Namespaces in place of what was known.
    pub fn replace_namespaces(&mut self, all: Vec<NamespaceView>) {
        self.namespaces = all.into_iter().map(|n| (n.name, n.labels)).collect();
    }

    /// How many Services are known.
    pub fn services_len(&self) -> usize {
        self.services.len()
    }

    /// All Services, by namespace and name.
    pub fn services(&self) -> impl Iterator<Item = &Recognised> {
        self.services.values()
    }

    /// One Service.
    pub fn service(&self, key: &ServiceKey) -> Option<&Recognised> {
        self.services.get(key)
    }

    /// What the EndpointSlices of a Service say; nothing is ready for a Service without any.
    pub fn readiness(&self, key: &ServiceKey) -> Readiness {
        let states = self.readiness.get(key).map_or(&[][..], Vec::as_slice);
        Readiness { serving: states.iter().any(|s| s.serving), manual: states.iter().any(|s| !s.managed) }
    }

    /// The labels of a namespace, if it has been seen.
    pub fn namespace_labels(&self, name: &str) -> Option<&StringMap> {
        self.namespaces.get(name)
    }

    fn join(&mut self, slice: &SliceView) -> Change {
        let key = ServiceKey::new(slice.namespace.clone(), slice.service.clone());
        let before = self.readiness(&key);
        let state = SliceState { slice: slice.name.clone(), serving: slice.serving, managed: slice.managed };
        self.readiness.entry(key.clone()).or_insert_with(|| Vec::with_capacity(1)).push(state);
        self.readiness_change(&key, before)
    }

    /// Readiness of a Service that nothing speaks of wakes nobody but owners of signatures.
    fn readiness_change(&self, key: &ServiceKey, before: Readiness) -> Change {
        if self.readiness(key) == before {
            Change::Nothing
        } else if self.services.get(key).is_some_and(Recognised::is_interesting) {
            Change::Matters
        } else {
            Change::Unrecognised
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(name: &str, service: &str, serving: bool) -> SliceView {
        SliceView { namespace: "m".into(), name: name.into(), service: service.into(), serving, managed: true }
    }

    #[test]
    fn a_service_is_ready_while_any_of_its_slices_is() {
        let mut index = Index::default();
        let key = ServiceKey::new("m", "prometheus");
        index.apply_slice(slice("a", "prometheus", true));
        index.apply_slice(slice("b", "prometheus", false));
        assert!(index.readiness(&key).serving);
        index.delete_slice("m", "a");
        assert!(!index.readiness(&key).serving);
    }

    #[test]
    fn a_slice_that_changes_its_service_leaves_the_old_one() {
        let mut index = Index::default();
        index.apply_slice(slice("a", "old", true));
        index.apply_slice(slice("a", "new", true));
        assert!(!index.readiness(&ServiceKey::new("m", "old")).serving);
        assert!(index.readiness(&ServiceKey::new("m", "new")).serving);
    }

    #[test]
    fn a_repeated_slice_changes_nothing() {
        let mut index = Index::default();
        index.apply_slice(slice("a", "s", true));
        assert_eq!(index.apply_slice(slice("a", "s", true)), Change::Nothing);
        assert_eq!(index.apply_slice(slice("b", "s", true)), Change::Nothing, "readiness was true before");
    }

    #[test]
    fn the_list_of_one_namespace_leaves_the_others_alone() {
        let mut index = Index::default();
        let other = SliceView { namespace: "n".into(), ..slice("a", "s", true) };
        index.replace_slices(vec![slice("a", "s", true), other]);
        index.replace_slices_in("m", vec![]);
        assert!(!index.readiness(&ServiceKey::new("m", "s")).serving);
        assert!(index.readiness(&ServiceKey::new("n", "s")).serving);
    }

    #[test]
    fn a_new_list_drops_what_vanished_during_a_watch_gap() {
        let mut index = Index::default();
        index.apply_slice(slice("a", "s", true));
        index.replace_slices(vec![slice("b", "t", true)]);
        assert!(!index.readiness(&ServiceKey::new("m", "s")).serving);
        assert!(index.readiness(&ServiceKey::new("m", "t")).serving);
    }
}
