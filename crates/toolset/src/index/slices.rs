//! The EndpointSlices of the index by name, and the readiness of each Service, which all of its slices decide together.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use super::by_namespace::{ByNamespace, Named};

/// What counts of one EndpointSlice.
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
    /// Whether the EndpointSlice controller made it (label `endpointslice.kubernetes.io/managed-by`). A slice that
    /// somebody made by hand can point anywhere.
    pub managed: bool,
}

/// The readiness of a Service, by all of its EndpointSlices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// At least one endpoint is serving and not terminating.
    pub serving: bool,
    /// At least one slice was made by hand.
    pub manual: bool,
}

/// A list of EndpointSlices on its way into the index. It holds only those that are new or changed.
#[derive(Debug)]
pub struct SliceList {
    pub(super) namespace: Option<Box<str>>,
    pub(super) number: u32,
    waiting: ByNamespace<Slice>,
}

/// The slices of the index.
#[derive(Debug, Default)]
pub(super) struct Slices {
    by_name: ByNamespace<Slice>,
    by_service: ByNamespace<Tally>,
}

#[derive(Debug)]
struct Slice {
    name: Box<str>,
    /// Shared with the Service's tally.
    service: Arc<str>,
    /// The latest list that holds it.
    listed: u32,
    serving: bool,
    managed: bool,
}

/// The slices of one Service, counted.
#[derive(Debug)]
struct Tally {
    service: Arc<str>,
    slices: u32,
    serving: u32,
    manual: u32,
}

/// The readiness of a namespace's Services before a change, by name.
type Before = BTreeMap<Arc<str>, Readiness>;

impl Named for Slice {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for Tally {
    fn name(&self) -> &str {
        &self.service
    }
}

impl SliceList {
    pub(super) fn new(namespace: Option<&str>, number: u32) -> Self {
        Self { namespace: namespace.map(Into::into), number, waiting: ByNamespace::default() }
    }
}

impl Slice {
    /// The slice beside its namespace.
    fn of(view: SliceView, listed: u32) -> (Box<str>, Self) {
        let SliceView { namespace, name, service, serving, managed } = view;
        (namespace, Self { name, service: service.into(), listed, serving, managed })
    }

    fn is_as(&self, other: &Self) -> bool {
        self.service == other.service && self.serving == other.serving && self.managed == other.managed
    }
}

impl Slices {
    pub(super) fn readiness(&self, namespace: &str, service: &str) -> Readiness {
        self.by_service
            .get(namespace, service)
            .map_or_else(Readiness::default, |tally| Readiness { serving: tally.serving > 0, manual: tally.manual > 0 })
    }

    /// Takes a slice as it is now. `number` is that of the latest list. Returns the names of the Services whose
    /// readiness changed, as all that follow.
    pub(super) fn apply(&mut self, view: SliceView, number: u32) -> Vec<Arc<str>> {
        let (namespace, slice) = Slice::of(view, number);
        if self.is_known(&namespace, &slice) {
            return Vec::new();
        }
        let mut before = Before::new();
        self.put(&namespace, slice, &mut before);
        self.changed(&namespace, before).collect()
    }

    pub(super) fn delete(&mut self, namespace: &str, name: &str) -> Option<Arc<str>> {
        let mut before = Before::new();
        let slice = self.by_name.remove(namespace, name)?;
        self.discount(namespace, &slice, &mut before);
        self.changed(namespace, before).next()
    }

    pub(super) fn collect(&mut self, list: &mut SliceList, view: SliceView) {
        let (namespace, slice) = Slice::of(view, list.number);
        if !self.is_known(&namespace, &slice) {
            list.waiting.insert(&namespace, slice);
        }
    }

    /// Calls `changed` with namespace and name of every Service whose readiness changed.
    pub(super) fn finish(&mut self, list: SliceList, mut changed: impl FnMut(&str, &str)) {
        let SliceList { namespace, number, waiting } = list;
        let mut rows: BTreeMap<Box<str>, Vec<Slice>> = match namespace {
            Some(one) => BTreeMap::from([(one, Vec::new())]),
            None => self.by_name.namespaces().map(|namespace| (namespace.into(), Vec::new())).collect(),
        };
        rows.extend(waiting.into_rows());
        for (namespace, row) in rows {
            let mut before = Before::new();
            for slice in row {
                if !self.is_known(&namespace, &slice) {
                    self.put(&namespace, slice, &mut before);
                }
            }
            self.drop_unlisted(&namespace, number, &mut before);
            self.changed(&namespace, before).for_each(|service| changed(&namespace, &service));
        }
    }

    fn drop_unlisted(&mut self, namespace: &str, number: u32, before: &mut Before) {
        // A slice from an event after the list began has this number or a later one, so it stays.
        for slice in self.by_name.extract(namespace, |slice| slice.listed < number) {
            self.discount(namespace, &slice, before);
        }
        self.by_service.shrink(namespace);
    }

    /// Whether the slice is as known; then it is marked as part of the same list.
    fn is_known(&mut self, namespace: &str, slice: &Slice) -> bool {
        let known = self.by_name.get_mut(namespace, &slice.name).filter(|known| known.is_as(slice));
        known.map(|known| known.listed = slice.listed).is_some()
    }

    fn put(&mut self, namespace: &str, mut slice: Slice, before: &mut Before) {
        if let Some(tally) = self.by_service.get(namespace, &slice.service) {
            slice.service = Arc::clone(&tally.service);
        }
        if let Some(old) = self.by_name.remove(namespace, &slice.name) {
            self.discount(namespace, &old, before);
        }
        self.count(namespace, &slice, before);
        self.by_name.insert(namespace, slice);
    }

    fn count(&mut self, namespace: &str, slice: &Slice, before: &mut Before) {
        self.remember(namespace, slice, before);
        let (serving, manual) = (u32::from(slice.serving), u32::from(!slice.managed));
        if let Some(tally) = self.by_service.get_mut(namespace, &slice.service) {
            tally.slices += 1;
            tally.serving += serving;
            tally.manual += manual;
        } else {
            let tally = Tally { service: Arc::clone(&slice.service), slices: 1, serving, manual };
            self.by_service.insert(namespace, tally);
        }
    }

    fn discount(&mut self, namespace: &str, slice: &Slice, before: &mut Before) {
        self.remember(namespace, slice, before);
        let Some(tally) = self.by_service.get_mut(namespace, &slice.service) else { return };
        tally.slices -= 1;
        tally.serving -= u32::from(slice.serving);
        tally.manual -= u32::from(!slice.managed);
        if tally.slices == 0 {
            self.by_service.remove(namespace, &slice.service);
        }
    }

    fn remember(&self, namespace: &str, slice: &Slice, before: &mut Before) {
        if let Entry::Vacant(vacant) = before.entry(Arc::clone(&slice.service)) {
            vacant.insert(self.readiness(namespace, &slice.service));
        }
    }

    fn changed(&self, namespace: &str, before: Before) -> impl Iterator<Item = Arc<str>> {
        let differs = move |(service, was): &(Arc<str>, Readiness)| self.readiness(namespace, service) != *was;
        before.into_iter().filter(differs).map(|(service, _)| service)
    }
}
