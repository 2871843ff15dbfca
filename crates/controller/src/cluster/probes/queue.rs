//! What is due, by namespace and trust, so that one namespace does not delay the others. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crd_types::Trust;
use tokio::time::Instant;

use super::budget::{Budget, Full};

/// The place of something in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    at: Instant,
    namespace: Arc<str>,
    trust: Trust,
}

/// What is due in one namespace, the earliest first.
type Lane<T> = BTreeSet<(Instant, T)>;

/// What is due and when. The names of what is due come in the order of `T` among equals.
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

    /// Adds something that is due then.
    pub(super) fn add(&mut self, at: Instant, (namespace, trust): (&Arc<str>, Trust), what: T) -> Place {
        self.lanes.entry((namespace.clone(), trust)).or_default().insert((at, what));
        Place { at, namespace: namespace.clone(), trust }
    }

    /// Removes something from its place.
    pub(super) fn remove(&mut self, place: Place, what: &T) {
        let lane = (place.namespace, place.trust);
        if let Some(due) = self.lanes.get_mut(&lane) {
            due.remove(&(place.at, what.clone()));
            if due.is_empty() {
                self.lanes.remove(&lane);
            }
        }
    }

    /// What can start next, and since when it is due: the first of the namespace that has had no request for the longest time.
    /// So a new Service does not wait for all the others that are due, for example after a change of the leader.
    pub(super) fn first(&self, budget: &Budget, now: Instant) -> Option<(Instant, T)> {
        let heads = self.lanes.iter().filter_map(|((namespace, trust), due)| {
            let (at, what) = due.first().filter(|(at, _)| *at <= now)?;
            budget.check(namespace, *trust, now).ok().map(|()| (budget.last(namespace), *at, what))
        });
        heads.min().map(|(_, since, what)| (since, what.clone()))
    }

    /// When something can start, if no request ends before.
    pub(super) fn next_due(&self, budget: &Budget, now: Instant) -> Option<Instant> {
        let due = self.lanes.iter().filter_map(|((namespace, trust), due)| {
            let (at, _) = due.first()?;
            match budget.check(namespace, *trust, now) {
                Ok(()) => Some(*at),
                Err(Full::Until(until)) => Some(until.max(*at)),
                Err(Full::UntilOneEnds) => None,
            }
        });
        due.min()
    }
}
