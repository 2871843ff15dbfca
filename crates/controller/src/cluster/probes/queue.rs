//! A queue of due probes, by namespace and trust, so that one namespace does not delay the others. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crd_types::Trust;
use tokio::time::Instant;

use super::budget::{Budget, Full};

/// The place of an entry in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    at: Instant,
    namespace: Arc<str>,
    trust: Trust,
}

/// The entries of one namespace, the earliest first.
type Lane<T> = BTreeSet<(Instant, T)>;

/// Entries and the times at which they are due. Entries with the same time are in the order of `T`.
#[derive(Debug)]
pub(super) struct Queue<T> {
    lanes: BTreeMap<(Arc<str>, Trust), Lane<T>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { lanes: BTreeMap::new() }
    }
}

impl<T: Clone + Ord> Queue<T> {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Adds an entry that is due at this time.
    pub(super) fn add(&mut self, at: Instant, (namespace, trust): (&Arc<str>, Trust), what: T) -> Place {
        self.lanes.entry((namespace.clone(), trust)).or_default().insert((at, what));
        Place { at, namespace: namespace.clone(), trust }
    }

    /// Removes an entry from its place.
    pub(super) fn remove(&mut self, place: Place, what: &T) {
        let lane = (place.namespace, place.trust);
        if let Some(due) = self.lanes.get_mut(&lane) {
            due.remove(&(place.at, what.clone()));
            if due.is_empty() {
                self.lanes.remove(&lane);
            }
        }
    }

    /// The entry that can start next, and the time since which it has been due. This is the first entry of the
    /// namespace that has had no request for the longest time. So a new Service does not wait until all due probes of
    /// other namespaces have started, for example after a change of the leader.
    pub(super) fn first(&self, budget: &Budget, now: Instant) -> Option<(Instant, T)> {
        let heads = self.lanes.iter().filter_map(|((namespace, trust), due)| {
            let (at, what) = due.first().filter(|(at, _)| *at <= now)?;
            budget.check_first(namespace, *trust, now).ok().map(|()| (budget.last(namespace), *at, what))
        });
        heads.min().map(|(_, since, what)| (since, what.clone()))
    }

    /// When the next entry can start, if no request ends before.
    pub(super) fn next_due(&self, budget: &Budget, now: Instant) -> Option<Instant> {
        let due = self.lanes.iter().filter_map(|((namespace, trust), due)| {
            let (at, _) = due.first()?;
            match budget.check_first(namespace, *trust, now) {
                Ok(()) => Some(*at),
                Err(Full::Until(until)) => Some(until.max(*at)),
                Err(Full::UntilOneEnds) => None,
            }
        });
        due.min()
    }
}
