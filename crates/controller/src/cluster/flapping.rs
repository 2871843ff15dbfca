//! Limits how often the same Service triggers, so that one Service that changes all the time does not keep every
//! ToolsetConfig writing.
//!
//! - A Service has three parts: itself, its endpoints if one is ready, and its endpoints if none is. A part that has
//!   not triggered for a second triggers at once, so a new Service and its first ready endpoint do.
//! - Everything else waits in one place. It triggers together, a second after the last trigger of the Service.
//! - A Service may trigger three times in a row, once for each part, and then once a second. So the parts together
//!   trigger once a second in the long run.
//!
//! The index always has the present state, so a reconcile for another reason contains it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use detectors::ServiceKey;
use tokio::time::{Instant, sleep_until};

use super::triggers::Triggers;
use crate::api::NamespacedName;

/// The time in which a Service triggers once in the long run, except for what never waits.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many triggers of a Service may follow each other without a pause. One for each part.
const BURST: u32 = 3;

/// What of a Service changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The Service itself.
    Object,
    /// Its EndpointSlices, and an endpoint is ready.
    Ready,
    /// Its EndpointSlices, and no endpoint is ready.
    NotReady,
}

/// The ToolsetConfigs that a change concerns.
#[derive(Debug, Default)]
pub(super) struct Concerned {
    /// Those that lose the Service. They never wait.
    pub(super) at_once: Vec<NamespacedName>,
    /// The others.
    pub(super) limited: Vec<NamespacedName>,
}

/// The Services that triggered within the last seconds.
#[derive(Debug, Default)]
pub(super) struct Flapping(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    services: BTreeMap<ServiceKey, Service>,
    /// When each Service is looked at again. What waits triggers then, or the Service is forgotten.
    due: BTreeSet<(Instant, ServiceKey)>,
    /// A task waits for what waits.
    has_timer: bool,
}

/// The triggers of one Service.
#[derive(Debug)]
struct Service {
    /// When each part last triggered.
    triggered: BTreeMap<Part, Instant>,
    /// When the whole burst is available again. Each trigger puts it off by an interval.
    rested_at: Instant,
    waiting: Option<Waiting>,
}

/// Changes that have not triggered yet.
#[derive(Debug)]
struct Waiting {
    parts: BTreeSet<Part>,
    names: BTreeSet<NamespacedName>,
    /// When the first of them arrived.
    received: Instant,
    due: Instant,
}

impl Flapping {
    /// Triggers what a change concerns, now or a second after the last trigger of the Service.
    pub(super) fn trigger(
        self: &Arc<Self>,
        triggers: &Arc<Triggers>,
        (key, part): (ServiceKey, Part),
        concerned: Concerned,
        received: Instant,
    ) {
        let Concerned { at_once, limited } = concerned;
        if at_once.is_empty() && limited.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut recent = self.lock();
        recent.end(triggers, now);
        let mut service = recent.take(&key).unwrap_or_else(|| Service::new(now));
        let waits = !limited.is_empty() && !service.may_trigger(part, now);
        let (mut names, mut since) = (at_once, received);
        if waits {
            service.wait(part, limited, received, now);
        } else {
            names.extend(limited);
        }
        if !names.is_empty() {
            service.trigger([part], now);
            since = since.min(service.stop_waiting(&names).unwrap_or(since));
        }
        recent.put(key, service);
        if waits && !std::mem::replace(&mut recent.has_timer, true) {
            tokio::spawn(self.clone().run_timer(triggers.clone()));
        }
        triggers.each(&names, since);
    }

    /// Triggers what waits. Ends when nothing waits.
    async fn run_timer(self: Arc<Self>, triggers: Arc<Triggers>) {
        loop {
            let due = self.lock().next_due();
            let Some(due) = due else { return };
            sleep_until(due).await;
            self.lock().end(&triggers, Instant::now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn take(&mut self, key: &ServiceKey) -> Option<Service> {
        let service = self.services.remove(key)?;
        self.due.remove(&(service.due(), key.clone()));
        Some(service)
    }

    fn put(&mut self, key: ServiceKey, service: Service) {
        self.due.insert((service.due(), key.clone()));
        self.services.insert(key, service);
    }

    /// When something that waits triggers. `None` if nothing waits. Then the timer is over.
    fn next_due(&mut self) -> Option<Instant> {
        let waits = |key: &ServiceKey| self.services.get(key).is_some_and(|service| service.waiting.is_some());
        let due = self.due.iter().find(|(_, key)| waits(key)).map(|(due, _)| *due);
        self.has_timer = due.is_some();
        due
    }

    /// Triggers what has waited long enough, and forgets the Services that have rested.
    fn end(&mut self, triggers: &Triggers, now: Instant) {
        while self.due.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, key)) = self.due.pop_first() else { return };
            let Some(mut service) = self.services.remove(&key) else { continue };
            if let Some(Waiting { parts, names, received, .. }) = service.waiting.take() {
                service.trigger(parts, now);
                self.put(key, service);
                triggers.each(&names, received);
            }
        }
    }
}

impl Service {
    fn new(now: Instant) -> Self {
        Self { triggered: BTreeMap::new(), rested_at: now, waiting: None }
    }

    fn due(&self) -> Instant {
        self.waiting.as_ref().map_or(self.rested_at, |waiting| waiting.due)
    }

    /// Whether a change of a part triggers at once.
    fn may_trigger(&self, part: Part, now: Instant) -> bool {
        let is_quiet = self.triggered.get(&part).is_none_or(|at| now >= *at + INTERVAL);
        let waits = self.waiting.as_ref().is_some_and(|waiting| waiting.parts.contains(&part));
        is_quiet && !waits && self.rested_at <= now + INTERVAL * (BURST - 1)
    }

    fn trigger(&mut self, parts: impl IntoIterator<Item = Part>, now: Instant) {
        self.triggered.extend(parts.into_iter().map(|part| (part, now)));
        // What never waits counts too, but not without end.
        self.rested_at = (self.rested_at.max(now) + INTERVAL).min(now + INTERVAL * BURST);
    }

    fn wait(&mut self, part: Part, names: Vec<NamespacedName>, received: Instant, now: Instant) {
        let due = self.triggered.values().max().copied().unwrap_or(now) + INTERVAL;
        let waiting = self.waiting.get_or_insert_with(|| Waiting {
            parts: BTreeSet::new(),
            names: BTreeSet::new(),
            received,
            due,
        });
        waiting.parts.insert(part);
        waiting.names.extend(names);
    }

    /// These are triggered for another change, and a reconcile takes the present state. Returns since when one of them
    /// has waited, if one has.
    fn stop_waiting(&mut self, names: &[NamespacedName]) -> Option<Instant> {
        let waiting = self.waiting.as_mut()?;
        let before = waiting.names.len();
        waiting.names.retain(|name| !names.contains(name));
        let since = (waiting.names.len() < before).then_some(waiting.received);
        self.waiting.take_if(|waiting| waiting.names.is_empty());
        since
    }
}

#[cfg(test)]
mod tests;
