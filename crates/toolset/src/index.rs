//! What is known of the cluster: Services with their findings, EndpointSlice readiness, Namespace labels.
//!
//! Takes `apply`, `delete` and `replace`, tells whether the change can matter to anyone, and holds no client. A list that
//! ends (`replace_*`) swaps everything, because deletes during a watch gap are never announced.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

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
    pub namespace: std::sync::Arc<str>,
    /// The slice's name.
    pub name: Box<str>,
    /// The Service it belongs to (label `kubernetes.io/service-name`).
    pub service: std::sync::Arc<str>,
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
///
/// Ten thousand Services fit into a few megabytes: no name is kept twice, and complete lists are collected into full nodes,
/// where inserting one after the other would leave them half empty.
#[derive(Debug, Default)]
pub struct Index {
    services: BTreeSet<Entry>,
    /// By namespace and Service.
    slices: Slices,
    namespaces: BTreeMap<Box<str>, StringMap>,
}

/// A Service in its place by namespace and name, which it holds itself.
#[derive(Debug)]
struct Entry(Recognised);

impl Borrow<ServiceKey> for Entry {
    fn borrow(&self) -> &ServiceKey {
        &self.0.view.key
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.0.view.key == other.0.view.key
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.view.key.cmp(&other.0.view.key)
    }
}

/// EndpointSlices by namespace, then by Service; nearly always one for a Service.
type Slices = BTreeMap<std::sync::Arc<str>, BTreeMap<std::sync::Arc<str>, Box<[SliceState]>>>;

/// One slice's share in its Service's readiness.
#[derive(Debug, PartialEq, Eq)]
struct SliceState {
    slice: Box<str>,
    serving: bool,
    managed: bool,
}

impl Index {
    /// Takes a new or changed Service; runs the built-in rules once if it differs from what was known.
    pub fn apply_service(&mut self, view: ServiceView) -> Change {
        let old = self.service(&view.key);
        if old.is_some_and(|old| old.view == view) {
            return Change::Nothing;
        }
        let new = Recognised::new(view);
        let matters = new.is_interesting() || old.is_some_and(Recognised::is_interesting);
        self.services.replace(Entry(new));
        if matters { Change::Matters } else { Change::Unrecognised }
    }

    /// Forgets a Service.
    pub fn delete_service(&mut self, key: &ServiceKey) -> Change {
        match self.services.take(key) {
            None => Change::Nothing,
            Some(Entry(old)) if old.is_interesting() => Change::Matters,
            Some(_) => Change::Unrecognised,
        }
    }

    /// Takes a complete list of Services in place of what was known. Findings of unchanged Services are kept.
    pub fn replace_services(&mut self, views: Vec<ServiceView>) {
        let mut old = std::mem::take(&mut self.services);
        self.services = views.into_iter().map(|view| renewed(&mut old, view)).collect();
    }

    /// As [`Self::replace_services`], for the list of one namespace.
    pub fn replace_services_in(&mut self, namespace: &str, views: Vec<ServiceView>) {
        let all = std::mem::take(&mut self.services);
        let (mut old, others): (BTreeSet<_>, BTreeSet<_>) =
            all.into_iter().partition(|Entry(service)| *service.view.key.namespace == *namespace);
        let renewed = views.into_iter().map(|view| renewed(&mut old, view));
        self.services = renewed.chain(others).collect();
    }

    /// Takes a new or changed EndpointSlice.
    pub fn apply_slice(&mut self, slice: SliceView) -> Change {
        let key = ServiceKey::new(slice.namespace, slice.service);
        let state = SliceState { slice: slice.name, serving: slice.serving, managed: slice.managed };
        let before = self.readiness(&key);
        let states = self.slices.get_mut(&key.namespace).and_then(|services| services.get_mut(&key.name));
        if let Some(known) = states.and_then(|states| states.iter_mut().find(|known| known.slice == state.slice)) {
            *known = state;
            return self.readiness_change(&key, before);
        }
        // A slice whose service-name label changed leaves one Service and joins another.
        let left = self.delete_slice(&key.namespace, &state.slice);
        let services = self.slices.entry(key.namespace.clone()).or_default();
        let states = std::mem::take(services.entry(key.name.clone()).or_default());
        services.insert(key.name.clone(), states.into_iter().chain([state]).collect());
        left.max(self.readiness_change(&key, before))
    }

    /// Forgets an EndpointSlice.
    pub fn delete_slice(&mut self, namespace: &str, name: &str) -> Change {
        let holds = |states: &[SliceState]| states.iter().any(|state| *state.slice == *name);
        let service = self.slices.get(namespace).and_then(|services| services.iter().find(|(_, states)| holds(states)));
        let Some((service, _)) = service else { return Change::Nothing };
        let key = ServiceKey::new(namespace, service.clone());
        let before = self.readiness(&key);
        if let Some(services) = self.slices.get_mut(namespace)
            && let Some(states) = services.remove(&key.name)
        {
            let rest: Box<[_]> = states.into_iter().filter(|state| *state.slice != *name).collect();
            if !rest.is_empty() {
                services.insert(key.name.clone(), rest);
            } else if services.is_empty() {
                self.slices.remove(namespace);
            }
        }
        self.readiness_change(&key, before)
    }

    /// Takes a complete list of EndpointSlices in place of what was known.
    pub fn replace_slices(&mut self, slices: Vec<SliceView>) {
        self.slices = by_service(slices);
    }

    /// As [`Self::replace_slices`], for the list of one namespace.
    pub fn replace_slices_in(&mut self, namespace: &str, slices: Vec<SliceView>) {
        self.slices.remove(namespace);
        self.slices.extend(by_service(slices));
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
        self.services.iter().map(|Entry(service)| service)
    }

    /// One Service.
    pub fn service(&self, key: &ServiceKey) -> Option<&Recognised> {
        self.services.get(key).map(|Entry(service)| service)
    }

    /// What the EndpointSlices of a Service say; nothing is ready for a Service without any.
    pub fn readiness(&self, key: &ServiceKey) -> Readiness {
        let states = self.slices.get(&key.namespace).and_then(|services| services.get(&key.name));
        let states = states.map_or(&[][..], |states| states);
        Readiness { serving: states.iter().any(|s| s.serving), manual: states.iter().any(|s| !s.managed) }
    }

    /// The labels of a namespace, if it has been seen.
    pub fn namespace_labels(&self, name: &str) -> Option<&StringMap> {
        self.namespaces.get(name)
    }

    /// Readiness of a Service that nothing speaks of wakes nobody but owners of signatures.
    fn readiness_change(&self, key: &ServiceKey, before: Readiness) -> Change {
        if self.readiness(key) == before {
            Change::Nothing
        } else if self.service(key).is_some_and(Recognised::is_interesting) {
            Change::Matters
        } else {
            Change::Unrecognised
        }
    }
}

/// A Service with the findings that it had, if it is as it was.
fn renewed(old: &mut BTreeSet<Entry>, view: ServiceView) -> Entry {
    match old.take(&view.key) {
        Some(Entry(known)) if known.view == view => Entry(known),
        _ => Entry(Recognised::new(view)),
    }
}

fn by_service(mut slices: Vec<SliceView>) -> Slices {
    slices.sort_unstable_by(|a, b| (&a.namespace, &a.service, &a.name).cmp(&(&b.namespace, &b.service, &b.name)));
    let of_service = |slices: &[SliceView]| {
        let state = |slice: &SliceView| SliceState {
            slice: slice.name.clone(),
            serving: slice.serving,
            managed: slice.managed,
        };
        (slices[0].service.clone(), slices.iter().map(state).collect())
    };
    let of_namespace = |slices: &[SliceView]| {
        let services = slices.chunk_by(|a, b| a.service == b.service).map(of_service).collect();
        (slices[0].namespace.clone(), services)
    };
    slices.chunk_by(|a, b| a.namespace == b.namespace).map(of_namespace).collect()
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
