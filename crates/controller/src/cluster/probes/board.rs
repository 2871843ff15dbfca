//! Keeps the targets of health probes: which Services are probed, when, and what their last probes have shown. Pure.
//!
//! `ToolsetConfigs` that need the same probe of a Service share a target. Each `ToolsetConfig` has its own thresholds
//! and counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crd_types::{HealthProbe, Trust};
use detectors::ServiceKey;
use tokio::time::Instant;
use toolset::{
    HealthTarget, Probed,
    health::{ProbeFailure, ProbeFailureReason},
    plan::probes::NoTarget,
};

use super::{
    budget::Budget,
    hysteresis::{Hysteresis, Witnesses},
    pinned::Pinned,
    queue::Queue,
    target::{ProbeId, Target, has_responded, jittered},
};
use crate::api::{NamespacedName, fence::Term};

/// The pause before the operator checks again whether it may probe a Service, if the endpoints do not change.
const ASK_AGAIN: Duration = Duration::from_secs(300);
/// The pause after the API server did not return the addresses of a Service.
const RETRY: Duration = Duration::from_secs(5);
/// The fewest other Services that must be reachable before a Service that cannot be reached is unhealthy.
const FEWEST_WITNESSES: usize = 2;

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// An endpoint responded.
    There {
        /// The index of the path that responded.
        path: usize,
    },
    Failed(ProbeFailure),
    /// The Service must not be probed. The text follows "because".
    NotAllowed(String),
    /// No endpoint of the Service is serving, so the readiness determines the health.
    NoEndpoints,
    /// The serving endpoints do not have the port. The text is the request that was not sent.
    NoPort(String),
    /// No request was sent, and the probe is repeated soon. The text follows "because". `None` if the reason is of no
    /// use to the owner of the Service.
    NotSent(Option<String>),
}

/// The start of a probe.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) id: ProbeId,
    pub(super) number: u64,
    /// The addresses that the last probe found.
    pub(super) pinned: Option<Pinned>,
    /// The index of the path that responded last.
    pub(super) path: usize,
}

/// What is different from the last targets of a `ToolsetConfig`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed {
    pub(super) any: bool,
    /// Other Services than before are never probed, or for another reason.
    pub(super) without_target: bool,
}

/// All targets of health probes.
#[derive(Debug, Default)]
pub(super) struct Board {
    term: Option<Term>,
    targets: BTreeMap<ProbeId, Target>,
    /// The target of each `ToolsetConfig` for each Service, or why the Service has no target.
    configs: BTreeMap<NamespacedName, BTreeMap<ServiceKey, Result<ProbeId, NoTarget>>>,
    /// When targets are due.
    queue: Queue<ProbeId>,
    started: u64,
}

impl Board {
    /// Begins a term, or ends the last term. Removes all results, because another replica may have newer results.
    /// Returns whether the term changed.
    pub(super) fn lead(&mut self, term: Option<Term>) -> bool {
        let is_new = self.term != term;
        if is_new {
            *self = Self { term, started: self.started, ..Self::default() };
        }
        is_new
    }

    /// Sets which Services are probed for a `ToolsetConfig`.
    pub(super) fn set(
        &mut self,
        config: &NamespacedName,
        targets: &[HealthTarget],
        settings: &HealthProbe,
        now: Instant,
    ) -> Changed {
        let wanted: BTreeMap<ServiceKey, Result<ProbeId, NoTarget>> = targets
            .iter()
            .map(|target| {
                let id = target.ask.as_ref().map_err(|why| *why).map(|ask| ProbeId {
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
        let without_target = |(_, id): &(&ServiceKey, &Result<ProbeId, NoTarget>)| id.is_err();
        let changed = Changed {
            any: before != wanted,
            without_target: before.iter().filter(without_target).ne(wanted.iter().filter(without_target)),
        };
        for id in before.iter().filter(|(key, id)| wanted.get(*key) != Some(id)).filter_map(|(_, id)| id.as_ref().ok())
        {
            self.unsubscribe(config, id);
        }
        for id in wanted.values().flatten() {
            let target = self.targets.entry(id.clone()).or_default();
            if let Some(known) = target.subscribers.get_mut(config) {
                known.use_thresholds(settings);
                continue;
            }
            target.subscribers.insert(config.clone(), Hysteresis::new(settings));
            // The last result of another ToolsetConfig can be outdated.
            if target.running.is_none() {
                self.schedule(id, Some(now));
            }
        }
        if !wanted.is_empty() {
            self.configs.insert(config.clone(), wanted);
        }
        changed
    }

    /// What the probes of a Service show to a `ToolsetConfig`.
    pub(super) fn state(&self, config: &NamespacedName, key: &ServiceKey) -> Probed {
        match self.configs.get(config).and_then(|services| services.get(key)) {
            None => Probed::PENDING,
            Some(Err(why)) => (*why).into(),
            Some(Ok(id)) => {
                let hysteresis = self.targets.get(id).and_then(|target| target.subscribers.get(config));
                hysteresis.map_or(Probed::PENDING, |hysteresis| hysteresis.state().clone())
            }
        }
    }

    /// Ends the pauses of a Service whose EndpointSlices changed. Returns whether the Service is a target.
    pub(super) fn slices_changed(&mut self, key: &ServiceKey, now: Instant) -> bool {
        let ids: Vec<ProbeId> = self.targets.keys().filter(|id| id.key == *key).cloned().collect();
        for id in &ids {
            let Some(target) = self.targets.get_mut(id) else { continue };
            target.failures = 0;
            target.slices_changed_meanwhile |= target.running.is_some();
            if target.running.is_none() {
                self.schedule(id, Some(now));
            }
        }
        !ids.is_empty()
    }

    /// The term of the results.
    pub(super) fn term(&self) -> Option<Term> {
        self.term
    }

    /// Whether the board has Services of a `ToolsetConfig`.
    pub(super) fn knows(&self, config: &NamespacedName) -> bool {
        self.configs.contains_key(config)
    }

    /// When the next probe can start, if nothing changes before.
    pub(super) fn next_due(&self, budget: &Budget, now: Instant) -> Option<Instant> {
        self.queue.next_due(budget, now)
    }

    /// The time since which the next probe has been due. `None` if no probe can start now.
    pub(super) fn due_since(&self, budget: &Budget, now: Instant) -> Option<Instant> {
        self.queue.first(budget, now).map(|(since, _)| since)
    }

    /// Whether the probe with this number is still under way.
    pub(super) fn runs(&self, id: &ProbeId, number: u64) -> bool {
        self.targets.get(id).and_then(|target| target.running).is_some_and(|(running, _)| running == number)
    }

    /// Records the last change of the EndpointSlices that the probe under way has seen.
    pub(super) fn saw(&mut self, id: &ProbeId, slices: Option<u64>) {
        if let Some(target) = self.targets.get_mut(id) {
            target.seen = slices;
        }
    }

    /// Ends the pauses of the Services whose EndpointSlices have changed since their last probe. It compares all of
    /// them, because a list does not show which EndpointSlices changed.
    pub(super) fn slices_listed(&mut self, slices: impl Fn(&ServiceKey) -> Option<u64>, now: Instant) {
        let differ = |(id, target): &(&ProbeId, &Target)| target.running.is_none() && target.seen != slices(&id.key);
        let keys: BTreeSet<ServiceKey> = self.targets.iter().filter(differ).map(|(id, _)| id.key.clone()).collect();
        for key in keys {
            self.slices_changed(&key, now);
        }
    }

    /// Starts the first due probe that the budget allows, and takes its request from the budget.
    pub(super) fn start(&mut self, budget: &mut Budget, now: Instant) -> Option<Start> {
        let (_, id) = self.queue.first(budget, now)?;
        budget.take(&id.key.namespace, id.trust, now).ok()?;
        self.schedule(&id, None);
        self.started += 1;
        let number = self.started;
        let target = self.targets.get_mut(&id)?;
        target.running = Some((number, now));
        target.slices_changed_meanwhile = false;
        Some(Start { number, pinned: target.pinned.clone(), path: target.path, id })
    }

    /// Records the end of a probe. Returns the `ToolsetConfigs` for which the health of the Service changed.
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
        let slices_changed_meanwhile = std::mem::take(&mut target.slices_changed_meanwhile);
        let lacked_port = std::mem::take(&mut target.lacks_port);
        let period = Duration::from_secs(u64::try_from(id.period).unwrap_or(1));
        let mut changed = Vec::new();
        let pause = match ended {
            Ended::There { path } => {
                (target.path, target.failures, target.witnesses_since) = (path, 0, None);
                (target.last, target.has_endpoints) = (Some((started, true)), true);
                changed.extend(target.each(Hysteresis::succeeded));
                period
            }
            Ended::Failed(failure) => {
                changed.extend(self.failed(id, &failure, started, period));
                self.targets.get(id).map_or(period, |target| target.pause(period))
            }
            Ended::NoPort(asked) if lacked_port => {
                target.lacks_port = true;
                let failure = ProbeFailure { asked, why: ProbeFailureReason::NoPort };
                changed.extend(self.failed(id, &failure, started, period));
                self.targets.get(id).map_or(period, |target| target.pause(period))
            }
            Ended::NoPort(_) => {
                // After a change of the Service, its EndpointSlices can be outdated for a moment.
                (target.seen, target.lacks_port) = (None, true);
                period.min(RETRY)
            }
            Ended::NotAllowed(why) => {
                target.forget_responses();
                changed.extend(target.each(|one| one.not_allowed(&why)));
                ASK_AGAIN
            }
            Ended::NoEndpoints => {
                target.forget_responses();
                changed.extend(target.each(Hysteresis::reset));
                ASK_AGAIN
            }
            Ended::NotSent(why) => {
                target.seen = None;
                match why {
                    None => period.min(RETRY),
                    // A change of the EndpointSlices ends this pause.
                    Some(why) => {
                        changed.extend(target.each(|one| one.not_probed(&why)));
                        period
                    }
                }
            }
        };
        let at = if slices_changed_meanwhile { now } else { now + jittered(pause, id, self.probes_of(id)) };
        self.schedule(id, Some(at));
        changed
    }

    fn probes_of(&self, id: &ProbeId) -> u64 {
        self.targets.get(id).map_or(0, |target| target.probes)
    }

    /// Records a failure. Returns the `ToolsetConfigs` for which the health changed.
    fn failed(
        &mut self,
        id: &ProbeId,
        failure: &ProbeFailure,
        started: Instant,
        period: Duration,
    ) -> Vec<NamespacedName> {
        let Some(target) = self.targets.get_mut(id) else { return Vec::new() };
        target.failures = target.failures.saturating_add(1);
        // A Service without the port shows nothing about the network.
        target.has_endpoints = failure.why != ProbeFailureReason::NoPort;
        target.last = target.has_endpoints.then(|| (started, has_responded(failure)));
        let mut witnesses = Witnesses::Confirm;
        if failure.is_unreachable() || failure.is_reset() {
            let since = *target.witnesses_since.get_or_insert(started);
            witnesses = if started - since < least_round(period) {
                Witnesses::TooFew
            } else {
                self.witnesses(&id.key, failure, since)
            };
        }
        let Some(target) = self.targets.get_mut(id) else { return Vec::new() };
        if witnesses != Witnesses::TooFew {
            // For the next failure, the other Services must have been probed again.
            target.witnesses_since = Some(started);
        }
        target.each(|one| one.failed(failure.clone(), witnesses))
    }

    /// What the other Services of Trusted sources show about a failure that the operator's network can cause. A Service
    /// counts as a witness only if it was probed at `since` or later.
    ///
    /// A Service that cannot be reached is at fault if at least half of the witnesses responded, and at least two. A
    /// Service that closes its connections is at fault unless there are at least two witnesses and more than half of
    /// them did not respond, as in a mesh that admits no clients from outside. So no Service becomes unhealthy at the
    /// beginning or at the end of a partition. Services of Tenants never count. Otherwise many of them could outvote
    /// the others.
    fn witnesses(&self, suspect: &ServiceKey, failure: &ProbeFailure, since: Instant) -> Witnesses {
        let counts =
            |id: &ProbeId, target: &Target| id.trust == Trust::Trusted && id.key != *suspect && target.has_endpoints;
        let mut others: BTreeMap<&ServiceKey, Option<bool>> = BTreeMap::new();
        for (id, target) in self.targets.iter().filter(|(id, target)| counts(id, target)) {
            let answered = others.entry(&id.key).or_default();
            if let Some((_, responded)) = target.last.filter(|(started, _)| *started >= since) {
                *answered = Some(answered.unwrap_or_default() || responded);
            }
        }
        let probed = others.values().flatten().count();
        let answered = others.values().flatten().filter(|answered| **answered).count();
        if probed < others.len().min(FEWEST_WITNESSES) {
            return Witnesses::TooFew;
        }
        let half = probed.div_ceil(2);
        let least = match failure.is_reset() {
            true if probed < FEWEST_WITNESSES => 0,
            true => half,
            false => half.max(FEWEST_WITNESSES),
        };
        if answered >= least { Witnesses::Confirm } else { Witnesses::Doubt }
    }

    fn unsubscribe(&mut self, config: &NamespacedName, id: &ProbeId) {
        let Some(target) = self.targets.get_mut(id) else { return };
        target.subscribers.remove(config);
        if target.subscribers.is_empty() {
            self.schedule(id, None);
            self.targets.remove(id);
        }
    }

    /// Sets when the next probe of a target is due. `None` if no probe is due.
    fn schedule(&mut self, id: &ProbeId, at: Option<Instant>) {
        let Some(target) = self.targets.get_mut(id) else { return };
        if let Some(place) = target.place.take() {
            self.queue.remove(place, id);
        }
        target.place = at.map(|at| self.queue.add(at, (&id.key.namespace, id.trust), id.clone()));
    }
}

/// The time after which nearly every other Service has been probed again: a period with the shortest pauses.
fn least_round(period: Duration) -> Duration {
    period * 9 / 10
}

#[cfg(test)]
mod tests;
