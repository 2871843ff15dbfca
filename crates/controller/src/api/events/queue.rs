//! Which Event is sent next, and when. Pure.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::event::{About, Observed};
use crate::api::{fence::Term, name::NamespacedName};

/// How many Events are sent without a pause. This is enough for the changes of a normal day.
const BURST: u32 = 25;
/// The time between two Events after a burst. Every Event of a Service costs the API server a read and a write, and etcd
/// keeps it for an hour. So a cluster with thousands of rejected Services gets their Events over minutes.
const INTERVAL: Duration = Duration::from_millis(200);
/// The most Events that may wait about Services. An Event takes about 400 bytes here, so these are 20 MB.
const MOST: usize = 50_000;
/// For how long the operator retries an Event that it cannot write. The API server deletes Events after this time, too.
const WORTH: Duration = Duration::from_secs(3600);
/// The first and the longest wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// One of the two queues. Events about ToolsetConfigs come first, because they are few, and each concerns everything
/// that the operator does for a ToolsetConfig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Configs,
    Services,
}

/// What a queue has to send.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// This Event, now.
    Send(Box<Waiting>),
    /// Nothing before then.
    At(Instant),
    /// Nothing.
    Nothing,
}

/// An Event that has not been written yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waiting {
    pub(super) observed: Observed,
    since: Instant,
    failures: u32,
    /// Its number in its queue. Events that are due at the same time are sent in this order.
    number: u64,
}

/// All Events that wait.
#[derive(Debug)]
pub(super) struct Queue {
    configs: Lane,
    services: Lane,
    pace: Pace,
}

impl Queue {
    pub(super) fn new(now: Instant) -> Self {
        Self { configs: Lane::default(), services: Lane::default(), pace: Pace { full_at: now } }
    }

    /// Adds an Event. It replaces a waiting Event with the same reason about the same object, so the number of objects
    /// limits the queue. Returns false if the queue is full.
    pub(super) fn add(&mut self, observed: Observed, now: Instant) -> bool {
        let of = of(&observed);
        let waiting = Waiting { observed, since: now, failures: 0, number: 0 };
        match of {
            // The last of several Events about a ToolsetConfig has to describe its present state.
            Of::Configs => _ = self.configs.remove(&waiting.key()),
            // A Service keeps its place, so that one that changes often is not last forever.
            Of::Services if self.services.replace(&waiting.key(), &waiting.observed) => return true,
            Of::Services if self.services.places.len() >= MOST => return false,
            Of::Services => {}
        }
        self.lane(of).append(waiting, now);
        true
    }

    /// The next Event of a queue. It is the caller's until it is returned with [`Self::refused`] or [`Self::failed`].
    pub(super) fn next(&mut self, of: Of, now: Instant) -> Next {
        let lane = self.lane(of);
        let place = loop {
            match lane.waiting.first_key_value() {
                None => return Next::Nothing,
                Some((_, waiting)) if waiting.is_given_up(now) => _ = lane.take_first(),
                Some((place, _)) => break *place,
            }
        };
        if place.due > now {
            return Next::At(place.due);
        }
        if let Err(at) = self.pace.take(now) {
            return Next::At(at);
        }
        self.lane(of).take_first().map_or(Next::Nothing, |waiting| Next::Send(Box::new(waiting)))
    }

    /// The next Event about a ToolsetConfig, without any wait. For the end of the program.
    pub(super) fn last(&mut self) -> Option<Waiting> {
        self.configs.take_first()
    }

    /// Takes back an Event that was not sent, because the lease was not held. It is the first of its queue again.
    pub(super) fn refused(&mut self, waiting: Waiting) {
        let due = waiting.since;
        self.take_back(waiting, due);
    }

    /// Takes back an Event that could not be written. The others do not wait for it.
    pub(super) fn failed(&mut self, mut waiting: Waiting, now: Instant) {
        let (first, longest) = RETRY;
        let wait = first.saturating_mul(1 << waiting.failures.min(10)).min(longest);
        waiting.failures += 1;
        self.take_back(waiting, now + wait);
    }

    fn take_back(&mut self, waiting: Waiting, due: Instant) {
        let lane = self.lane(of(&waiting.observed));
        // A newer one may have been added in the meantime.
        if !lane.places.contains_key(&waiting.key()) {
            lane.insert(waiting, due);
        }
    }

    /// Drops the Events of other terms, because a new term reports what it observes.
    pub(super) fn keep(&mut self, term: Option<Term>) {
        for lane in [&mut self.configs, &mut self.services] {
            lane.waiting.retain(|_, waiting| Some(waiting.observed.event.term) == term);
            lane.places.retain(|_, place| lane.waiting.contains_key(place));
        }
    }

    fn lane(&mut self, of: Of) -> &mut Lane {
        match of {
            Of::Configs => &mut self.configs,
            Of::Services => &mut self.services,
        }
    }
}

fn of(observed: &Observed) -> Of {
    match observed.event.about {
        About::Config { .. } => Of::Configs,
        About::Service(_) => Of::Services,
    }
}

/// The object and the reason.
type Key = (NamespacedName, &'static str);

impl Waiting {
    fn is_given_up(&self, now: Instant) -> bool {
        self.failures > 0 && now >= self.since + WORTH
    }

    fn key(&self) -> Key {
        let event = &self.observed.event;
        let (About::Config { name, .. } | About::Service(name)) = &event.about;
        (name.clone(), event.reason)
    }
}

/// A place in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    due: Instant,
    number: u64,
}

/// The Events of one queue, in order.
#[derive(Debug, Default)]
struct Lane {
    places: BTreeMap<Key, Place>,
    waiting: BTreeMap<Place, Waiting>,
    numbers: u64,
}

impl Lane {
    fn append(&mut self, mut waiting: Waiting, due: Instant) {
        self.numbers += 1;
        waiting.number = self.numbers;
        self.insert(waiting, due);
    }

    fn insert(&mut self, waiting: Waiting, due: Instant) {
        let place = Place { due, number: waiting.number };
        self.places.insert(waiting.key(), place);
        self.waiting.insert(place, waiting);
    }

    /// Puts it in the place of one that waits.
    fn replace(&mut self, key: &Key, observed: &Observed) -> bool {
        let place = self.places.get(key);
        let Some(before) = place.and_then(|place| self.waiting.get_mut(place)) else { return false };
        before.observed.clone_from(observed);
        true
    }

    fn remove(&mut self, key: &Key) -> Option<Waiting> {
        let place = self.places.remove(key)?;
        self.waiting.remove(&place)
    }

    fn take_first(&mut self) -> Option<Waiting> {
        let (_, waiting) = self.waiting.pop_first()?;
        self.places.remove(&waiting.key());
        Some(waiting)
    }
}

/// A token bucket.
#[derive(Debug)]
struct Pace {
    /// When it is full again.
    full_at: Instant,
}

impl Pace {
    /// Takes a token. `Err` says when there is one.
    fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let full_at = self.full_at.max(now);
        let empty = INTERVAL * (BURST - 1);
        if full_at > now + empty {
            return Err(full_at - empty);
        }
        self.full_at = full_at + INTERVAL;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
