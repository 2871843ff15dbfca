//! EndpointSlices, by their own name, and what those of one Service say together.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use detectors::ServiceKey;

use super::{
    by_namespace::{ByNamespace, Named},
    change::Change,
};

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
    /// Whether the EndpointSlice controller made it (label `endpointslice.kubernetes.io/managed-by`). A slice that somebody
    /// made by hand can point anywhere.
    pub managed: bool,
}

/// What all EndpointSlices of one Service say together.
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
    waiting: Vec<SliceView>,
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

/// How many slices of one Service say what.
#[derive(Debug)]
struct Tally {
    service: Arc<str>,
    slices: u32,
    serving: u32,
    manual: u32,
}

/// The readiness of Services before a change, by namespace and name.
type Before = BTreeMap<(Box<str>, Arc<str>), Readiness>;

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
        Self { namespace: namespace.map(Into::into), number, waiting: Vec::new() }
    }
}

impl Slice {
    fn is(&self, view: &SliceView) -> bool {
        *self.service == *view.service && self.serving == view.serving && self.managed == view.managed
    }
}

impl Slices {
    pub fn readiness(&self, namespace: &str, service: &str) -> Readiness {
        self.by_service
            .get(namespace, service)
            .map_or_else(Readiness::default, |tally| Readiness { serving: tally.serving > 0, manual: tally.manual > 0 })
    }

    /// Takes a slice as it is now. `number` is that of the latest list.
    pub fn apply(&mut self, view: SliceView, number: u32) -> Vec<Change> {
        if self.is_known(&view, number) {
            return Vec::new();
        }
        let mut before = Before::new();
        self.put(view, number, &mut before);
        self.changes(before)
    }

    pub fn delete(&mut self, namespace: &str, name: &str) -> Option<Change> {
        let mut before = Before::new();
        let slice = self.by_name.remove(namespace, name)?;
        self.discount(namespace, &slice, &mut before);
        self.changes(before).pop()
    }

    pub fn collect(&mut self, list: &mut SliceList, view: SliceView) {
        if !self.is_known(&view, list.number) {
            list.waiting.push(view);
        }
    }

    pub fn finish(&mut self, list: SliceList) -> Vec<Change> {
        let SliceList { namespace, number, mut waiting } = list;
        waiting.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        let mut before = Before::new();
        for view in waiting {
            if !self.is_known(&view, number) {
                self.put(view, number, &mut before);
            }
        }
        // What came by an event after the list began carries its number or a later one.
        for (namespace, slice) in self.by_name.extract(namespace.as_deref(), |slice| slice.listed < number) {
            self.discount(&namespace, &slice, &mut before);
        }
        self.changes(before)
    }

    /// Whether the slice is as known; then it is marked as part of the list with that number.
    fn is_known(&mut self, view: &SliceView, number: u32) -> bool {
        let known = self.by_name.get_mut(&view.namespace, &view.name).filter(|known| known.is(view));
        known.map(|known| known.listed = number).is_some()
    }

    fn put(&mut self, view: SliceView, number: u32, before: &mut Before) {
        let SliceView { namespace, name, service, serving, managed } = view;
        let service = match self.by_service.get(&namespace, &service) {
            Some(tally) => Arc::clone(&tally.service),
            None => service.into(),
        };
        let slice = Slice { name, service, listed: number, serving, managed };
        if let Some(old) = self.by_name.remove(&namespace, &slice.name) {
            self.discount(&namespace, &old, before);
        }
        self.count(&namespace, &slice, before);
        self.by_name.insert(&namespace, slice);
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
        if let Entry::Vacant(vacant) = before.entry((namespace.into(), Arc::clone(&slice.service))) {
            vacant.insert(self.readiness(namespace, &slice.service));
        }
    }

    fn changes(&self, before: Before) -> Vec<Change> {
        let changed =
            before.into_iter().filter(|((namespace, service), was)| self.readiness(namespace, service) != *was);
        changed
            .map(|((namespace, service), _)| Change::Readiness { key: ServiceKey::new(namespace, &*service) })
            .collect()
    }
}
