//! Namespaces and their labels.

use std::collections::BTreeMap;

use detectors::StringMap;

use super::change::Change;

/// A namespace's labels, for sources that select by them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceView {
    /// The namespace's name.
    pub name: Box<str>,
    /// Its labels.
    pub labels: StringMap,
}

/// A list of Namespaces on its way into the index. It holds only the Namespaces that are new or changed.
#[derive(Debug)]
pub struct NamespaceList {
    pub(super) name: Option<Box<str>>,
    pub(super) number: u32,
    waiting: Vec<NamespaceView>,
}

/// The Namespaces of the index.
#[derive(Debug, Default)]
pub(super) struct Namespaces(BTreeMap<Box<str>, Namespace>);

#[derive(Debug)]
struct Namespace {
    labels: StringMap,
    /// The latest list that holds it.
    listed: u32,
}

impl NamespaceList {
    pub(super) fn new(name: Option<&str>, number: u32) -> Self {
        Self { name: name.map(Into::into), number, waiting: Vec::new() }
    }
}

impl Namespaces {
    pub(super) fn labels(&self, name: &str) -> Option<&StringMap> {
        self.0.get(name).map(|namespace| &namespace.labels)
    }

    /// Takes a new or changed Namespace. `number` is that of the latest list.
    pub(super) fn apply(&mut self, view: NamespaceView, number: u32) -> Option<Change> {
        if self.is_known(&view, number) {
            return None;
        }
        let NamespaceView { name, labels } = view;
        let before = self.0.insert(name.clone(), Namespace { labels, listed: number });
        Some(Change::Namespace { name, before: before.map(|before| before.labels) })
    }

    pub(super) fn delete(&mut self, name: &str) -> Option<Change> {
        let (name, before) = self.0.remove_entry(name)?;
        Some(Change::Namespace { name, before: Some(before.labels) })
    }

    pub(super) fn collect(&mut self, list: &mut NamespaceList, view: NamespaceView) {
        if !self.is_known(&view, list.number) {
            list.waiting.push(view);
        }
    }

    pub(super) fn finish(&mut self, list: NamespaceList) -> Vec<Change> {
        let NamespaceList { name, number, waiting } = list;
        let mut changes: Vec<Change> = waiting.into_iter().filter_map(|view| self.apply(view, number)).collect();
        let gone: Vec<Box<str>> = self
            .0
            .iter()
            .filter(|(known, namespace)| name.as_ref().is_none_or(|name| name == *known) && namespace.listed < number)
            .map(|(known, _)| known.clone())
            .collect();
        changes.extend(gone.iter().filter_map(|name| self.delete(name)));
        changes
    }

    /// Whether the Namespace is as known; then it is marked as part of the list with that number.
    fn is_known(&mut self, view: &NamespaceView, number: u32) -> bool {
        let known = self.0.get_mut(&view.name).filter(|known| known.labels == view.labels);
        known.map(|known| known.listed = number).is_some()
    }
}
