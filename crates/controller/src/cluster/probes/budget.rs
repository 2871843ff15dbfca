//! Limits how many requests probes may send. Pure.
//!
//! Probes must not overload the cluster, and the probes of a namespace must not delay those of other namespaces. So
//! there are limits for all probes together, for each namespace, and for all Tenants together.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crd_types::Trust;
use tokio::time::Instant;

/// The most requests at the same time.
const MOST_IN_FLIGHT: usize = 16;
/// The most requests in a second.
const MOST_PER_SECOND: usize = 10;
/// Tenants get at most half of both, so that they cannot delay the probes of Trusted Services.
const FOR_TENANTS: usize = 2;
const SECOND: Duration = Duration::from_secs(1);
/// The pause between any request and the next request to a namespace that had a request within [`REMEMBERED`].
///
/// Without this pause, requests that are due at the same time use up the budget of a second at once. A new Service in
/// another namespace then waits for the next second.
const PACE: Duration = Duration::from_millis(100);
/// How long the budget remembers the last request to a namespace.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The requests under way, and the requests that started during the last second.
#[derive(Debug, Default)]
pub(super) struct Budget {
    in_flight: usize,
    tenants_in_flight: usize,
    /// When each request started, and whether it was for a Tenant. The oldest request comes first.
    recent: VecDeque<(Instant, bool)>,
    namespaces: BTreeMap<Arc<str>, Used>,
    /// The number of probes under way that wait for their next request, by namespace.
    waiting: BTreeMap<(Arc<str>, Trust), usize>,
}

/// What a namespace has used.
#[derive(Clone, Copy, Debug)]
struct Used {
    is_in_flight: bool,
    last: Instant,
    /// The value of `last` before the request under way.
    before: Option<Instant>,
}

/// When to try again to start a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Until(Instant),
    /// Until another request ends.
    UntilOneEnds,
}

impl Budget {
    /// Starts a request.
    ///
    /// Fails if the request would exceed a limit now.
    pub(super) fn take(&mut self, namespace: &Arc<str>, trust: Trust, now: Instant) -> Result<(), Full> {
        self.check(namespace, trust, now)?;
        let is_tenant = trust == Trust::Tenant;
        self.forget(now);
        self.in_flight += 1;
        self.tenants_in_flight += usize::from(is_tenant);
        self.recent.push_back((now, is_tenant));
        let before = self.last(namespace);
        self.namespaces.insert(namespace.clone(), Used { is_in_flight: true, last: now, before });
        Ok(())
    }

    /// Whether a request could start now.
    pub(super) fn check(&self, namespace: &str, trust: Trust, now: Instant) -> Result<(), Full> {
        let is_tenant = trust == Trust::Tenant;
        let share = |most: usize| if is_tenant { most / FOR_TENANTS } else { most };
        if let Some(used) = self.namespaces.get(namespace) {
            if used.is_in_flight {
                return Err(Full::UntilOneEnds);
            }
            let paced = self.recent.back().map_or(now, |(at, _)| *at + PACE);
            let until = paced.max(used.last + SECOND);
            if now < until {
                return Err(Full::Until(until));
            }
        }
        if self.in_flight >= MOST_IN_FLIGHT || is_tenant && self.tenants_in_flight >= share(MOST_IN_FLIGHT) {
            return Err(Full::UntilOneEnds);
        }
        let nth_last = |most: usize, counts: &dyn Fn(bool) -> bool| {
            self.recent.iter().rev().filter(|(_, is_tenant)| counts(*is_tenant)).nth(most - 1).map(|(at, _)| *at)
        };
        let all = nth_last(MOST_PER_SECOND, &|_| true);
        let tenants = nth_last(share(MOST_PER_SECOND), &|is_tenant| is_tenant).filter(|_| is_tenant);
        match all.into_iter().chain(tenants).max() {
            Some(at) if now < at + SECOND => Err(Full::Until(at + SECOND)),
            _ => Ok(()),
        }
    }

    /// Whether the first request of a probe could start now. The probes under way in the namespace come first. Otherwise
    /// they would never end in a namespace where many probes are due.
    pub(super) fn check_first(&self, namespace: &str, trust: Trust, now: Instant) -> Result<(), Full> {
        // A probe of a Tenant must not delay those of Trusted Services.
        let comes_first = |((of, by), _): (&(Arc<str>, Trust), &usize)| **of == *namespace && *by <= trust;
        if self.waiting.iter().any(comes_first) { Err(Full::UntilOneEnds) } else { self.check(namespace, trust, now) }
    }

    /// Records that a probe under way begins to wait for its next request.
    pub(super) fn begin_to_wait(&mut self, namespace: &Arc<str>, trust: Trust) {
        *self.waiting.entry((namespace.clone(), trust)).or_default() += 1;
    }

    /// Records that a probe under way no longer waits.
    pub(super) fn end_waiting(&mut self, namespace: &Arc<str>, trust: Trust) {
        let place = (namespace.clone(), trust);
        if let Some(count) = self.waiting.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                self.waiting.remove(&place);
            }
        }
    }

    /// When the last request to a namespace started. `None` if that is longer ago than [`REMEMBERED`].
    pub(super) fn last(&self, namespace: &str) -> Option<Instant> {
        self.namespaces.get(namespace).map(|used| used.last)
    }

    /// Ends a request.
    pub(super) fn give_back(&mut self, namespace: &str, trust: Trust) {
        self.in_flight -= 1;
        self.tenants_in_flight -= usize::from(trust == Trust::Tenant);
        if let Some(used) = self.namespaces.get_mut(namespace) {
            used.is_in_flight = false;
        }
    }

    /// Ends a request that was not sent, so that it does not count.
    pub(super) fn give_back_unused(&mut self, namespace: &str, trust: Trust) {
        self.give_back(namespace, trust);
        let Some(used) = self.namespaces.get_mut(namespace) else { return };
        let started = (used.last, trust == Trust::Tenant);
        if let Some(place) = self.recent.iter().rposition(|one| *one == started) {
            self.recent.remove(place);
        }
        match used.before {
            Some(before) => used.last = before,
            None => drop(self.namespaces.remove(namespace)),
        }
    }

    /// Removes the entries that no longer limit a request.
    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|(at, _)| *at + SECOND <= now) {
            self.recent.pop_front();
        }
        self.namespaces.retain(|_, used| used.is_in_flight || now < used.last + REMEMBERED);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(number: usize) -> Arc<str> {
        format!("n{number}").into()
    }

    #[test]
    fn a_namespace_gets_one_request_at_a_time_and_one_per_second() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        let (one, other) = (name(1), name(2));
        assert_eq!(budget.take(&one, Trust::Trusted, now), Ok(()));
        assert_eq!(budget.take(&one, Trust::Trusted, now + 2 * SECOND), Err(Full::UntilOneEnds));
        budget.give_back(&one, Trust::Trusted);
        assert_eq!(budget.take(&one, Trust::Trusted, now + SECOND / 2), Err(Full::Until(now + SECOND)));
        assert_eq!(budget.take(&other, Trust::Trusted, now + SECOND / 2), Ok(()));
        assert_eq!(budget.take(&one, Trust::Trusted, now + SECOND), Ok(()));
    }

    #[test]
    fn hanging_requests_to_tenants_leave_room_for_trusted_services() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        let at = |number: usize| now + SECOND * u32::try_from(number).unwrap();
        for number in 0..8 {
            assert_eq!(budget.take(&name(number), Trust::Tenant, at(number)), Ok(()));
        }
        assert_eq!(budget.take(&name(8), Trust::Tenant, at(8)), Err(Full::UntilOneEnds));
        for number in 9..17 {
            assert_eq!(budget.take(&name(number), Trust::Trusted, at(number)), Ok(()));
        }
        assert_eq!(budget.take(&name(17), Trust::Trusted, at(17)), Err(Full::UntilOneEnds));
    }

    #[test]
    fn a_probe_under_way_comes_before_the_others_of_its_namespace() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        let (one, other) = (name(1), name(2));
        budget.begin_to_wait(&one, Trust::Tenant);
        assert_eq!(budget.check_first(&one, Trust::Tenant, now), Err(Full::UntilOneEnds));
        assert_eq!(budget.check_first(&one, Trust::Trusted, now), Ok(()), "a Tenant delays no Trusted Service");
        budget.end_waiting(&one, Trust::Tenant);
        budget.begin_to_wait(&one, Trust::Trusted);
        assert_eq!(budget.check_first(&one, Trust::Tenant, now), Err(Full::UntilOneEnds));
        assert_eq!(budget.check_first(&one, Trust::Trusted, now), Err(Full::UntilOneEnds));
        assert_eq!(budget.check_first(&other, Trust::Trusted, now), Ok(()));
        assert_eq!(budget.take(&one, Trust::Trusted, now), Ok(()), "it takes the permit itself");
        budget.end_waiting(&one, Trust::Trusted);
        budget.give_back(&one, Trust::Trusted);
        assert_eq!(budget.check_first(&one, Trust::Trusted, now + SECOND), Ok(()));
    }

    #[test]
    fn a_request_that_was_not_sent_does_not_count() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        for number in 0..20 {
            assert_eq!(budget.take(&name(number), Trust::Tenant, now), Ok(()));
            budget.give_back_unused(&name(number), Trust::Tenant);
        }
        let one = name(1);
        assert_eq!(budget.last(&one), None);
        assert_eq!(budget.take(&one, Trust::Trusted, now), Ok(()));
        budget.give_back(&one, Trust::Trusted);
        assert_eq!(budget.take(&one, Trust::Trusted, now + SECOND), Ok(()));
        budget.give_back_unused(&one, Trust::Trusted);
        assert_eq!(budget.last(&one), Some(now), "the request that was sent still counts");
        assert_eq!(budget.take(&one, Trust::Trusted, now + SECOND), Ok(()));
    }

    #[test]
    fn a_new_namespace_waits_for_less_than_a_second() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        let mut take = |number, now| {
            let taken = budget.take(&name(number), Trust::Trusted, now);
            if taken.is_ok() {
                budget.give_back(&name(number), Trust::Trusted);
            }
            taken
        };
        for number in 0..10 {
            assert_eq!(take(number, start), Ok(()), "new namespaces do not wait for each other");
        }
        let mut now = start + SECOND;
        for number in 0..20 {
            assert_eq!(take(number % 10, now), Ok(()));
            assert_eq!(take((number + 1) % 10, now), Err(Full::Until(now + PACE)));
            now += PACE;
        }
        assert_eq!(take(99, now), Ok(()));
        assert_eq!(take(98, now), Err(Full::Until(now + PACE)));
    }

    proptest! {
        #[test]
        fn no_second_has_too_many_requests(
            steps in prop::collection::vec((0usize..30, any::<bool>(), 0u64..400, any::<bool>()), 1..200),
        ) {
            let (mut budget, mut now) = (Budget::default(), Instant::now());
            let mut starts: Vec<(Instant, bool, usize)> = Vec::new();
            for (number, is_tenant, pause, is_sent) in steps {
                now += Duration::from_millis(pause);
                let (namespace, trust) = (name(number), if is_tenant { Trust::Tenant } else { Trust::Trusted });
                if budget.take(&namespace, trust, now).is_ok() {
                    if !is_sent {
                        budget.give_back_unused(&namespace, trust);
                        continue;
                    }
                    budget.give_back(&namespace, trust);
                    starts.push((now, is_tenant, number));
                    let last = starts.iter().filter(|(at, ..)| *at + SECOND > now);
                    prop_assert!(last.clone().count() <= 10);
                    prop_assert!(last.clone().filter(|(_, tenant, _)| *tenant).count() <= 5);
                    prop_assert_eq!(last.filter(|(.., one)| *one == number).count(), 1);
                }
            }
        }
    }
}
