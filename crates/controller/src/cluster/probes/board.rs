//! What is probed: which Services, when, and what the last probes have shown. Pure.
//!
//! `ToolsetConfigs` that ask the same of a Service in the same way share a target. Each of them counts for itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use crd_types::{HealthProbe, Trust};
use detectors::{Product, ServiceKey, probe::Class};
use tokio::time::Instant;
use toolset::{
    HealthTarget, Probed,
    health::{HealthAsk, ProbeFailure},
};

use super::{
    budget::Budget,
    hysteresis::{Hysteresis, Witnesses},
    pinned::Pinned,
    queue::{Place, Queue},
};
use crate::api::{NamespacedName, fence::Term};

/// The longest pause between two probes of a Service that is unhealthy.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// The time after which the operator checks again whether a Service may be probed, if its endpoints do not change.
const ASK_AGAIN: Duration = Duration::from_secs(300);
/// The pause after the API server did not return the addresses of a Service.
const RETRY: Duration = Duration::from_secs(5);
/// The fewest other Services that must be reachable before a Service that cannot be reached is unhealthy.
const FEWEST_WITNESSES: usize = 2;

/// A target: what is asked, how often, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ProbeId {
    pub(super) key: ServiceKey,
    pub(super) trust: Trust,
    pub(super) ask: HealthAsk,
    pub(super) product: Product,
    /// In seconds.
    pub(super) timeout: i32,
    period: i32,
}

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// An endpoint responded. The number is that of the path in the list.
    There {
        path: usize,
    },
    Failed(ProbeFailure),
    /// It must not be called.
    NotAllowed(String),
    /// None of its endpoints is serving, so its readiness decides.
    NoEndpoints,
    /// The addresses of the Service could not be read, so there was no request.
    NotAsked,
}

/// A probe that starts.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) id: ProbeId,
    pub(super) number: u64,
    /// The addresses that the last probe has found.
    pub(super) pinned: Option<Pinned>,
    /// The number of the path that responded last.
    pub(super) path: usize,
}

/// How far a probe got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// There was a response.
    Answered,
    /// There was a connection without a response, or it was refused. A policy can refuse it, too.
    Silent,
    /// There was no connection.
    No,
}

impl Reached {
    fn of(failure: &ProbeFailure) -> Self {
        match failure.class {
            _ if failure.is_unreachable => Self::No,
            Class::Answered(_) | Class::Unreadable | Class::NoTls => Self::Answered,
            Class::Refused | Class::Timeout | Class::Unreachable | Class::Reset => Self::Silent,
        }
    }
}

#[derive(Debug)]
struct Target {
    subscribers: BTreeMap<NamespacedName, Hysteresis>,
    /// When the next probe is due.
    place: Option<Place>,
    /// The number and the start of the probe under way.
    running: Option<(u64, Instant)>,
    /// When the last probe that has ended started, and whether it reached the Service.
    last: Option<(Instant, Reached)>,
    /// How many probes failed in a row, and how many there were.
    failures: u32,
    probes: u64,
    pinned: Option<Pinned>,
    path: usize,
    /// Whether the Service has endpoints that may be called, as far as is known.
    is_asked: bool,
    /// The slices changed while a probe was under way.
    is_behind: bool,
    /// The number of the last change of its EndpointSlices that a probe has seen. `None` if it has seen none.
    seen: Option<u64>,
}

/// All targets.
#[derive(Debug, Default)]
pub(super) struct Board {
    term: Option<Term>,
    targets: BTreeMap<ProbeId, Target>,
    /// Which target each `ToolsetConfig` has for a Service. An error says why there is none.
    configs: BTreeMap<NamespacedName, BTreeMap<ServiceKey, Result<ProbeId, &'static str>>>,
    /// When targets are due.
    queue: Queue<ProbeId>,
    started: u64,
}

impl Board {
    /// Begins a term, or ends the last one. Earlier results no longer count, because another replica may have seen
    /// something newer. Returns whether this is new.
    pub(super) fn lead(&mut self, term: Option<Term>) -> bool {
        let is_new = self.term != term;
        if is_new {
            *self = Self { term, started: self.started, ..Self::default() };
        }
        is_new
    }

    /// Sets what a `ToolsetConfig` wants to be probed. Returns whether something changed.
    pub(super) fn set(
        &mut self,
        config: &NamespacedName,
        targets: &[HealthTarget],
        settings: &HealthProbe,
        now: Instant,
    ) -> bool {
        let wanted: BTreeMap<ServiceKey, Result<ProbeId, &'static str>> = targets
            .iter()
            .map(|target| {
                let id = target.ask.as_ref().map_err(|why| why.as_str()).map(|ask| ProbeId {
                    key: target.key.clone(),
                    trust: target.trust,
                    ask: ask.clone(),
                    product: target.product,
                    timeout: settings.timeout_seconds,
                    period: settings.period_seconds,
                });
                (target.key.clone(), id)
            })
            .collect();
        let before = self.configs.remove(config).unwrap_or_default();
        let is_new = before != wanted;
        for id in before.iter().filter(|(key, id)| wanted.get(*key) != Some(id)).filter_map(|(_, id)| id.as_ref().ok())
        {
            self.unsubscribe(config, id);
        }
        for id in wanted.values().flatten() {
            let subscriber = || Hysteresis::new(settings);
            if let Some(target) = self.targets.get_mut(id) {
                let known = target.subscribers.entry(config.clone()).or_insert_with(subscriber);
                if !known.has(settings) {
                    *known = subscriber();
                }
            } else {
                let subscribers = [(config.clone(), subscriber())].into();
                self.targets.insert(id.clone(), Target::new(subscribers));
                self.schedule(id, Some(now));
            }
        }
        if !wanted.is_empty() {
            self.configs.insert(config.clone(), wanted);
        }
        is_new
    }

    /// What the probes of a Service show to a `ToolsetConfig`.
    pub(super) fn state(&self, config: &NamespacedName, key: &ServiceKey) -> Probed {
        match self.configs.get(config).and_then(|services| services.get(key)) {
            None => Probed::Pending,
            Some(Err(why)) => Probed::NotAllowed { why: (*why).into() },
            Some(Ok(id)) => {
                let hysteresis = self.targets.get(id).and_then(|target| target.subscribers.get(config));
                hysteresis.map_or(Probed::Pending, |hysteresis| hysteresis.state().clone())
            }
        }
    }

    /// The EndpointSlices of a Service changed, so its pauses end. Returns whether it is a target.
    pub(super) fn slices_changed(&mut self, key: &ServiceKey, now: Instant) -> bool {
        let ids: Vec<ProbeId> = self.targets.keys().filter(|id| id.key == *key).cloned().collect();
        for id in &ids {
            let Some(target) = self.targets.get_mut(id) else { continue };
            target.failures = 0;
            target.is_behind |= target.running.is_some();
            if target.running.is_none() {
                self.schedule(id, Some(now));
            }
        }
        !ids.is_empty()
    }

    /// The term of everything that is known.
    pub(super) fn term(&self) -> Option<Term> {
        self.term
    }

    /// Whether something is probed for a `ToolsetConfig`.
    pub(super) fn knows(&self, config: &NamespacedName) -> bool {
        self.configs.contains_key(config)
    }

    /// When the next probe can start, if nothing happens before.
    pub(super) fn next_due(&self, budget: &Budget, now: Instant) -> Option<Instant> {
        self.queue.next_due(budget, now)
    }

    /// Since when the probe is due that would start now.
    pub(super) fn due_since(&self, budget: &Budget, now: Instant) -> Option<Instant> {
        self.queue.first(budget, now).map(|(since, _)| since)
    }

    /// Whether a probe is still wanted.
    pub(super) fn runs(&self, id: &ProbeId, number: u64) -> bool {
        self.targets.get(id).and_then(|target| target.running).is_some_and(|(running, _)| running == number)
    }

    /// Records up to which change of the EndpointSlices the probe under way has seen them.
    pub(super) fn saw(&mut self, id: &ProbeId, slices: Option<u64>) {
        if let Some(target) = self.targets.get_mut(id) {
            target.seen = slices;
        }
    }

    /// Ends the pauses of the Services whose EndpointSlices are not those that the last probe has seen. A list does not tell
    /// which EndpointSlices changed.
    pub(super) fn slices_listed(&mut self, slices: impl Fn(&ServiceKey) -> Option<u64>, now: Instant) {
        let differ = |(id, target): &(&ProbeId, &Target)| target.running.is_none() && target.seen != slices(&id.key);
        let keys: BTreeSet<ServiceKey> = self.targets.iter().filter(differ).map(|(id, _)| id.key.clone()).collect();
        for key in keys {
            self.slices_changed(&key, now);
        }
    }

    /// Starts the probe that is due first and for which there is room, and takes the room.
    pub(super) fn start(&mut self, budget: &mut Budget, now: Instant) -> Option<Start> {
        let (_, id) = self.queue.first(budget, now)?;
        budget.take(&id.key.namespace, id.trust, now).ok()?;
        self.schedule(&id, None);
        self.started += 1;
        let number = self.started;
        let target = self.targets.get_mut(&id)?;
        target.running = Some((number, now));
        target.is_behind = false;
        Some(Start { number, pinned: target.pinned.clone(), path: target.path, id })
    }

    /// Takes the end of a probe. Returns the `ToolsetConfigs` for which the health of a Service changed.
    pub(super) fn end(
        &mut self,
        (id, number): (&ProbeId, u64),
        pinned: Option<Pinned>,
        ended: Ended,
        now: Instant,
    ) -> Vec<NamespacedName> {
        let Some(target) = self.targets.get_mut(id) else { return Vec::new() };
        let Some((_, started)) = target.running.take_if(|(running, _)| *running == number) else { return Vec::new() };
        target.pinned = pinned;
        target.probes += 1;
        let is_behind = std::mem::take(&mut target.is_behind);
        let period = Duration::from_secs(u64::try_from(id.period).unwrap_or(1));
        let mut changed = Vec::new();
        let pause = match ended {
            Ended::There { path } => {
                (target.path, target.failures, target.last) = (path, 0, Some((started, Reached::Answered)));
                target.is_asked = true;
                changed.extend(target.each(Hysteresis::succeeded));
                period
            }
            Ended::Failed(failure) => {
                let since = target.last.filter(|(_, reached)| *reached == Reached::No).map(|(started, _)| started);
                target.failures = target.failures.saturating_add(1);
                (target.last, target.is_asked) = (Some((started, Reached::of(&failure))), true);
                let witnesses = since.map_or(Witnesses::Unasked, |since| self.witnesses(&id.key, since));
                let Some(target) = self.targets.get_mut(id) else { return changed };
                changed.extend(target.each(|one| one.failed(failure.clone(), witnesses)));
                target.pause(period)
            }
            Ended::NotAllowed(why) => {
                (target.failures, target.last, target.is_asked) = (0, None, false);
                changed.extend(target.each(|one| one.not_allowed(&why)));
                ASK_AGAIN
            }
            Ended::NoEndpoints => {
                (target.failures, target.last, target.is_asked) = (0, None, false);
                changed.extend(target.each(Hysteresis::reset));
                ASK_AGAIN
            }
            Ended::NotAsked => {
                target.seen = None;
                period.min(RETRY)
            }
        };
        let at = if is_behind { now } else { now + jittered(pause, id, self.probes_of(id)) };
        self.schedule(id, Some(at));
        changed
    }

    fn probes_of(&self, id: &ProbeId) -> u64 {
        self.targets.get(id).map_or(0, |target| target.probes)
    }

    /// What the other Trusted Services show about a Service that cannot be reached and could not be reached then either: at
    /// least half of those that were probed in between, and at least two, have to have answered and not to have failed
    /// since. So neither the beginning nor the end of a partition takes anything down. Tenants never count, or many of them
    /// could decide about others.
    fn witnesses(&self, suspect: &ServiceKey, since: Instant) -> Witnesses {
        let counts =
            |id: &ProbeId, target: &Target| id.trust == Trust::Trusted && id.key != *suspect && target.is_asked;
        let mut others: BTreeMap<&ServiceKey, bool> = BTreeMap::new();
        for (id, target) in self.targets.iter().filter(|(id, target)| counts(id, target)) {
            if let Some((_, reached)) = target.last.filter(|(started, _)| *started >= since) {
                *others.entry(&id.key).or_default() |= reached == Reached::Answered;
            }
        }
        let answered = others.values().filter(|answered| **answered).count();
        if answered >= others.len().div_ceil(2).max(FEWEST_WITNESSES) { Witnesses::Confirm } else { Witnesses::Doubt }
    }

    fn unsubscribe(&mut self, config: &NamespacedName, id: &ProbeId) {
        let Some(target) = self.targets.get_mut(id) else { return };
        target.subscribers.remove(config);
        if target.subscribers.is_empty() {
            self.schedule(id, None);
            self.targets.remove(id);
        }
    }

    /// Sets when the next probe of a target is due.
    fn schedule(&mut self, id: &ProbeId, at: Option<Instant>) {
        let Some(target) = self.targets.get_mut(id) else { return };
        if let Some(place) = target.place.take() {
            self.queue.remove(place, id);
        }
        target.place = at.map(|at| self.queue.add(at, (&id.key.namespace, id.trust), id.clone()));
    }
}

impl Target {
    fn new(subscribers: BTreeMap<NamespacedName, Hysteresis>) -> Self {
        Self {
            subscribers,
            place: None,
            running: None,
            last: None,
            failures: 0,
            probes: 0,
            pinned: None,
            path: 0,
            is_asked: true,
            is_behind: false,
            seen: None,
        }
    }

    /// Changes the health for each `ToolsetConfig`. Returns those for which it changed.
    fn each(&mut self, mut change: impl FnMut(&mut Hysteresis) -> bool) -> Vec<NamespacedName> {
        self.subscribers.iter_mut().filter_map(|(config, one)| change(one).then(|| config.clone())).collect()
    }

    /// The pause before the next probe. It grows only after the Service is unhealthy for every subscriber.
    fn pause(&self, period: Duration) -> Duration {
        let is_down = |one: &Hysteresis| matches!(one.state(), Probed::Down(_));
        if !self.subscribers.values().all(is_down) {
            return period;
        }
        let threshold = self.subscribers.values().map(Hysteresis::failure_threshold).max().unwrap_or_default();
        let doublings = self.failures.saturating_sub(threshold).min(16);
        (period * (1 << doublings)).min(LONGEST_PAUSE.max(period))
    }
}

/// A pause that is up to a tenth shorter or longer, so that probes that began together do not stay together.
fn jittered(pause: Duration, id: &ProbeId, number: u64) -> Duration {
    let mut hasher = DefaultHasher::new();
    (id, number).hash(&mut hasher);
    let tenth = pause / 10;
    let part = u32::try_from(hasher.finish() % 201).unwrap_or_default();
    pause.saturating_sub(tenth) + tenth * part / 100
}

#[cfg(test)]
mod tests;
