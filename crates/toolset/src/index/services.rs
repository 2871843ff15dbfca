//! Services, those that something recognises apart from the others.

use std::cmp::Ordering;

use detectors::{ServiceKey, ServiceView};

use super::{by_namespace::ByNamespace, change::Change, recognised::Recognised};

/// A list of Services on its way into the index.
///
/// It holds only the Services that are new or changed; of the others the index is told that they are still there.
#[derive(Debug)]
pub struct ServiceList {
    pub(super) namespace: Option<Box<str>>,
    pub(super) number: u32,
    // Boxed as in the index, so that they move there by pointer.
    #[allow(clippy::vec_box)]
    waiting: Vec<Box<Recognised>>,
}

/// The Services of the index.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// Those that a rule recognises or that carry an annotation of ours.
    interesting: ByNamespace<Box<Recognised>>,
    others: ByNamespace<Box<Recognised>>,
}

impl ServiceList {
    pub(super) fn new(namespace: Option<&str>, number: u32) -> Self {
        Self { namespace: namespace.map(Into::into), number, waiting: Vec::new() }
    }
}

impl Services {
    pub fn len(&self) -> usize {
        self.interesting.len() + self.others.len()
    }

    pub fn get(&self, key: &ServiceKey) -> Option<&Recognised> {
        let (namespace, name) = (&*key.namespace, &*key.name);
        self.interesting.get(namespace, name).or_else(|| self.others.get(namespace, name)).map(AsRef::as_ref)
    }

    pub fn interesting(&self) -> impl Iterator<Item = &Recognised> {
        self.interesting.iter().map(AsRef::as_ref)
    }

    pub fn interesting_in(&self, namespace: &str) -> impl Iterator<Item = &Recognised> {
        self.interesting.of(namespace).iter().map(AsRef::as_ref)
    }

    pub fn all(&self) -> impl Iterator<Item = &Recognised> {
        merged(self.interesting(), self.others.iter().map(AsRef::as_ref))
    }

    pub fn all_in(&self, namespace: &str) -> impl Iterator<Item = &Recognised> {
        merged(self.interesting_in(namespace), self.others.of(namespace).iter().map(AsRef::as_ref))
    }

    /// Takes a Service as it is now. `number` is that of the latest list.
    pub fn apply(&mut self, view: ServiceView, number: u32) -> Option<Change> {
        match self.get_mut(&view.key) {
            Some(known) if known.view == view => {
                known.listed = number;
                None
            }
            _ => Some(self.put(Box::new(Recognised::new(view)), number)),
        }
    }

    pub fn delete(&mut self, key: &ServiceKey) -> Option<Change> {
        let before = self.take(key)?;
        Some(Change::Service { key: before.view.key.clone(), before: Some(before) })
    }

    pub fn collect(&mut self, list: &mut ServiceList, view: ServiceView) {
        match self.get_mut(&view.key) {
            Some(known) if known.view == view => known.listed = list.number,
            _ => list.waiting.push(Box::new(Recognised::new(view))),
        }
    }

    pub fn finish(&mut self, list: ServiceList) -> Vec<Change> {
        let ServiceList { namespace, number, mut waiting } = list;
        waiting.sort_by(|a, b| a.view.key.cmp(&b.view.key));
        let mut changes = Vec::with_capacity(waiting.len());
        for service in waiting {
            let known = self.get_mut(&service.view.key);
            match known {
                Some(known) if known.view == service.view => known.listed = number,
                _ => changes.push(self.put(service, number)),
            }
        }
        for store in [&mut self.interesting, &mut self.others] {
            // What came by an event after the list began carries its number or a later one.
            for (_, gone) in store.extract(namespace.as_deref(), |service| service.listed < number) {
                changes.push(Change::Service { key: gone.view.key.clone(), before: Some(gone) });
            }
        }
        changes
    }

    fn get_mut(&mut self, key: &ServiceKey) -> Option<&mut Recognised> {
        let (namespace, name) = (&*key.namespace, &*key.name);
        let known = self.interesting.get_mut(namespace, name).or_else(|| self.others.get_mut(namespace, name));
        known.map(AsMut::as_mut)
    }

    fn put(&mut self, mut service: Box<Recognised>, number: u32) -> Change {
        let key = service.view.key.clone();
        service.listed = number;
        let (home, other) = if service.is_interesting() {
            (&mut self.interesting, &mut self.others)
        } else {
            (&mut self.others, &mut self.interesting)
        };
        let moved = other.remove(&key.namespace, &key.name);
        let before = home.insert(&key.namespace, service).or(moved);
        Change::Service { key, before }
    }

    fn take(&mut self, key: &ServiceKey) -> Option<Box<Recognised>> {
        let (namespace, name) = (&*key.namespace, &*key.name);
        self.interesting.remove(namespace, name).or_else(|| self.others.remove(namespace, name))
    }
}

/// Two sorted sequences of Services as one.
fn merged<'a>(
    left: impl Iterator<Item = &'a Recognised>,
    right: impl Iterator<Item = &'a Recognised>,
) -> impl Iterator<Item = &'a Recognised> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(a), Some(b)) if a.view.key.cmp(&b.view.key) == Ordering::Greater => right.next(),
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    })
}
