//! The Services of the index. Those that something recognises are kept apart from the others.

use std::cmp::Ordering;

use detectors::{ServiceKey, ServiceView};

use super::{by_namespace::ByNamespace, change::Change, recognised::Recognised};
use crate::{identity::IdentityEvidence, pods::PodEvidence};

/// A list of Services on its way into the index.
///
/// It holds only the Services that are new or changed. The others are marked in the index.
#[derive(Debug)]
pub struct ServiceList {
    pub(super) namespace: Option<Box<str>>,
    pub(super) number: u32,
    waiting: ByNamespace<Box<Recognised>>,
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
        Self { namespace: namespace.map(Into::into), number, waiting: ByNamespace::default() }
    }
}

impl Services {
    pub(super) fn len(&self) -> usize {
        self.interesting.len() + self.others.len()
    }

    pub(super) fn find(&self, namespace: &str, name: &str) -> Option<&Recognised> {
        self.interesting.get(namespace, name).or_else(|| self.others.get(namespace, name)).map(AsRef::as_ref)
    }

    pub(super) fn interesting(&self) -> impl Iterator<Item = &Recognised> {
        self.interesting.iter().map(AsRef::as_ref)
    }

    pub(super) fn interesting_in(&self, namespace: &str) -> impl Iterator<Item = &Recognised> {
        self.interesting.of(namespace).iter().map(AsRef::as_ref)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Recognised> {
        merged(self.interesting(), self.others.iter().map(AsRef::as_ref))
    }

    pub(super) fn all_in(&self, namespace: &str) -> impl Iterator<Item = &Recognised> {
        merged(self.interesting_in(namespace), self.others.of(namespace).iter().map(AsRef::as_ref))
    }

    /// Takes a new or changed Service. `number` is that of the latest list.
    pub(super) fn apply(&mut self, view: ServiceView, number: u32) -> Option<Change> {
        match self.get_mut(&view.key) {
            Some(known) if known.view == view => {
                known.listed = number;
                None
            }
            _ => Some(self.put(Box::new(Recognised::new(view)), number)),
        }
    }

    pub(super) fn delete(&mut self, key: &ServiceKey) -> Option<Change> {
        let before = self.take(key)?;
        Some(Change::Service { key: before.view.key.clone(), before: Some(before) })
    }

    pub(super) fn collect(&mut self, list: &mut ServiceList, view: ServiceView) {
        match self.get_mut(&view.key) {
            Some(known) if known.view == view => known.listed = list.number,
            _ => {
                let mut service = Box::new(Recognised::new(view));
                // The Services of a namespace share the text of its name.
                if let Some(sibling) = list.waiting.of(&service.view.key.namespace).first() {
                    service.view.key.namespace = sibling.view.key.namespace.clone();
                }
                list.waiting.insert(&service.view.key.namespace.clone(), service);
            }
        }
    }

    pub(super) fn finish(&mut self, list: ServiceList) -> Vec<Change> {
        let ServiceList { namespace, number, waiting } = list;
        let mut changes = Vec::with_capacity(waiting.len());
        for service in waiting.into_rows().flat_map(|(_, row)| row) {
            match self.get_mut(&service.view.key) {
                Some(known) if known.view == service.view => known.listed = number,
                _ => changes.push(self.put(service, number)),
            }
        }
        for store in [&mut self.interesting, &mut self.others] {
            let scope: Vec<Box<str>> = match &namespace {
                Some(one) => vec![one.clone()],
                None => store.namespaces().map(Into::into).collect(),
            };
            for namespace in scope {
                // A Service from an event after the list began has this number or a later one, so it stays.
                for gone in store.extract(&namespace, |service| service.listed < number) {
                    changes.push(Change::Service { key: gone.view.key.clone(), before: Some(gone) });
                }
            }
        }
        changes
    }

    /// Sets what the Pods of a Service say.
    pub(super) fn set_pods(&mut self, key: &ServiceKey, evidence: Option<PodEvidence>) -> Option<Change> {
        let service = self.get_mut(key)?;
        service.set_pods(evidence).then(|| Change::Pods { key: service.view.key.clone() })
    }

    /// Sets what a Service has answered about its identity.
    pub(super) fn set_identity(&mut self, key: &ServiceKey, answers: Vec<IdentityEvidence>) -> Option<Change> {
        let service = self.get_mut(key)?;
        service.set_identity(answers).then(|| Change::Identity { key: service.view.key.clone() })
    }

    fn get_mut(&mut self, key: &ServiceKey) -> Option<&mut Recognised> {
        let (namespace, name) = (&*key.namespace, &*key.name);
        let known = self.interesting.get_mut(namespace, name).or_else(|| self.others.get_mut(namespace, name));
        known.map(AsMut::as_mut)
    }

    fn put(&mut self, mut service: Box<Recognised>, number: u32) -> Change {
        // The Services of a namespace share the text of its name.
        if let Some(sibling) = self.sibling(&service.view.key.namespace) {
            service.view.key.namespace = sibling.view.key.namespace.clone();
        }
        let key = service.view.key.clone();
        service.listed = number;
        let (home, other) = if service.is_interesting() {
            (&mut self.interesting, &mut self.others)
        } else {
            (&mut self.others, &mut self.interesting)
        };
        let moved = other.remove(&key.namespace, &key.name);
        if let Some(before) = moved.as_deref().or_else(|| home.get(&key.namespace, &key.name).map(AsRef::as_ref)) {
            service.inherit(before);
        }
        let before = home.insert(&key.namespace, service).or(moved);
        Change::Service { key, before }
    }

    fn sibling(&self, namespace: &str) -> Option<&Recognised> {
        self.others.of(namespace).first().or_else(|| self.interesting.of(namespace).first()).map(AsRef::as_ref)
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
