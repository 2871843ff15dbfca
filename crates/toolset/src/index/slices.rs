//! The EndpointSlices of the index by name, and the readiness of each Service, which all of its slices decide together.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use super::by_namespace::{ByNamespace, Named};

/// What counts of one EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
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
    /// Whether at least one address is not that of a Pod of the slice's own namespace.
    pub elsewhere: bool,
    /// Whether at least one address is that of a Pod of the slice's own namespace.
    pub pods: bool,
    /// [`ServiceView::uid`](detectors::ServiceView::uid) of the Service that owns it, or 0 if not exactly one does.
    pub owner: u64,
    /// Differs after every change of the slice.
    pub revision: u64,
}

/// The readiness of a Service, by all of its EndpointSlices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// At least one endpoint is serving and not terminating.
    pub serving: bool,
    /// At least one slice was made by hand.
    pub manual: bool,
    /// At least one address is not that of a Pod of the Service's own namespace.
    pub elsewhere: bool,
    /// The owner of the slices.
    pub owner: SliceOwner,
}

/// The Service that owns all EndpointSlices which name a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SliceOwner {
    /// There are no slices.
    #[default]
    NoSlices,
    /// The Service with this [`uid`](detectors::ServiceView::uid); 0 is none.
    One(u64),
    /// Not all slices have the same owner.
    Several,
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
    /// How often any slice changed. It numbers the changes.
    changes: u64,
}

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Slice {
    name: Box<str>,
    /// Shared with the Service's tally.
    service: Arc<str>,
    /// The latest list that holds it.
    listed: u32,
    owner: u64,
    revision: u64,
    serving: bool,
    managed: bool,
    elsewhere: bool,
    pods: bool,
}

/// The slices of one Service, counted.
#[derive(Debug)]
struct Tally {
    service: Arc<str>,
    owners: Owners,
    /// The number of the last change of these slices.
    changed: u64,
    slices: u32,
    serving: u32,
    manual: u32,
    elsewhere: u32,
    /// Those that the EndpointSlice controller made and that have Pods.
    with_pods: u32,
}

/// The owners of a Service's slices. Nearly always there is one.
#[derive(Debug)]
enum Owners {
    One(u64),
    /// The number of slices of each owner.
    #[allow(clippy::box_collection, reason = "one pointer instead of three words in every tally, and it is rare")]
    Several(Box<BTreeMap<u64, u32>>),
}

/// The readiness of a namespace's Services before a change, by name.
type Before = BTreeMap<Arc<str>, Readiness>;
/// The name of a Service whose readiness changed, and its readiness before.
type Changed = (Arc<str>, Readiness);

impl Owners {
    /// Adds a slice of `owner` to `slices` others.
    fn add(&mut self, owner: u64, slices: u32) {
        match self {
            Self::One(only) if *only == owner => {}
            Self::One(only) => *self = Self::Several(Box::new(BTreeMap::from([(*only, slices), (owner, 1)]))),
            Self::Several(counts) => *counts.entry(owner).or_default() += 1,
        }
    }

    /// Removes a slice of `owner`.
    fn take(&mut self, owner: u64) {
        let Self::Several(counts) = self else { return };
        if let Entry::Occupied(mut count) = counts.entry(owner) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        if counts.len() == 1
            && let Some((only, _)) = counts.pop_first()
        {
            *self = Self::One(only);
        }
    }
}

impl Tally {
    fn readiness(&self) -> Readiness {
        let owner = match self.owners {
            Owners::One(owner) => SliceOwner::One(owner),
            Owners::Several(_) => SliceOwner::Several,
        };
        Readiness { serving: self.serving > 0, manual: self.manual > 0, elsewhere: self.elsewhere > 0, owner }
    }
}

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
        let SliceView { namespace, name, service, serving, managed, elsewhere, pods, owner, revision } = view;
        let service = service.into();
        (namespace, Self { name, service, listed, owner, revision, serving, managed, elsewhere, pods })
    }

    fn leads_to_pods(&self) -> bool {
        self.managed && self.pods
    }

    fn is_as(&self, other: &Self) -> bool {
        let Self { name: _, service, listed: _, owner, revision, serving, managed, elsewhere, pods } = self;
        let same = *service == other.service && *owner == other.owner && *revision == other.revision;
        let same = same && *serving == other.serving && *managed == other.managed;
        same && *elsewhere == other.elsewhere && *pods == other.pods
    }
}

impl Slices {
    pub(super) fn readiness(&self, namespace: &str, service: &str) -> Readiness {
        self.by_service.get(namespace, service).map(Tally::readiness).unwrap_or_default()
    }

    /// The number of the last change of a Service's slices. No number is used twice.
    pub(super) fn changed_at(&self, namespace: &str, service: &str) -> Option<u64> {
        self.by_service.get(namespace, service).map(|tally| tally.changed)
    }

    /// Whether Pods of the Service's namespace are behind a slice of the EndpointSlice controller.
    pub(super) fn has_pods(&self, namespace: &str, service: &str) -> bool {
        self.by_service.get(namespace, service).is_some_and(|tally| tally.with_pods > 0)
    }

    /// Takes a slice as it is now. `number` is that of the latest list. Returns the Services whose readiness changed, as
    /// all that follow.
    pub(super) fn apply(&mut self, view: SliceView, number: u32) -> Vec<Changed> {
        let (namespace, slice) = Slice::of(view, number);
        if self.is_known(&namespace, &slice) {
            return Vec::new();
        }
        let mut before = Before::new();
        self.put(&namespace, slice, &mut before);
        self.changed(&namespace, before).collect()
    }

    pub(super) fn delete(&mut self, namespace: &str, name: &str) -> Option<Changed> {
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

    /// Calls `changed` with the namespace and every Service whose readiness changed.
    pub(super) fn finish(&mut self, list: SliceList, mut changed: impl FnMut(&str, Changed)) {
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
            self.changed(&namespace, before).for_each(|service| changed(&namespace, service));
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
        // Counted before the old one is removed, so that the tally of a Service whose only slice changes is kept.
        self.count(namespace, &slice, before);
        if let Some(old) = self.by_name.insert(namespace, slice) {
            self.discount(namespace, &old, before);
        }
    }

    fn count(&mut self, namespace: &str, slice: &Slice, before: &mut Before) {
        self.remember(namespace, slice, before);
        self.changes += 1;
        let (serving, manual) = (u32::from(slice.serving), u32::from(!slice.managed));
        let elsewhere = u32::from(slice.elsewhere);
        if let Some(tally) = self.by_service.get_mut(namespace, &slice.service) {
            tally.owners.add(slice.owner, tally.slices);
            tally.changed = self.changes;
            tally.slices += 1;
            tally.serving += serving;
            tally.manual += manual;
            tally.elsewhere += elsewhere;
            tally.with_pods += u32::from(slice.leads_to_pods());
        } else {
            let (service, owners) = (Arc::clone(&slice.service), Owners::One(slice.owner));
            let (changed, with_pods) = (self.changes, u32::from(slice.leads_to_pods()));
            let tally = Tally { service, owners, changed, slices: 1, serving, manual, elsewhere, with_pods };
            self.by_service.insert(namespace, tally);
        }
    }

    fn discount(&mut self, namespace: &str, slice: &Slice, before: &mut Before) {
        self.remember(namespace, slice, before);
        self.changes += 1;
        let Some(tally) = self.by_service.get_mut(namespace, &slice.service) else { return };
        tally.owners.take(slice.owner);
        tally.changed = self.changes;
        tally.slices -= 1;
        tally.serving -= u32::from(slice.serving);
        tally.manual -= u32::from(!slice.managed);
        tally.elsewhere -= u32::from(slice.elsewhere);
        tally.with_pods -= u32::from(slice.leads_to_pods());
        if tally.slices == 0 {
            self.by_service.remove(namespace, &slice.service);
        }
    }

    fn remember(&self, namespace: &str, slice: &Slice, before: &mut Before) {
        if let Entry::Vacant(vacant) = before.entry(Arc::clone(&slice.service)) {
            vacant.insert(self.readiness(namespace, &slice.service));
        }
    }

    fn changed(&self, namespace: &str, before: Before) -> impl Iterator<Item = Changed> {
        before.into_iter().filter(move |(service, was)| self.readiness(namespace, service) != *was)
    }
}
