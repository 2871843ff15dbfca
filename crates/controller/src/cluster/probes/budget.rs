//! How many requests probes may send. Pure.
//!
//! Probes must not overload the cluster, and no namespace must delay the probes of the others. So there are limits for
//! all probes together, for each namespace, and for all Tenants together.

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
/// How long it is known when a namespace had its last request.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Which requests are under way, and which started during the last second.
#[derive(Debug, Default)]
pub(super) struct Budget {
    in_flight: usize,
    tenants_in_flight: usize,
    /// When requests started, oldest first, and whether each was for a Tenant.
    recent: VecDeque<(Instant, bool)>,
    namespaces: BTreeMap<Arc<str>, Used>,
}

/// What a namespace has used.
#[derive(Clone, Copy, Debug)]
struct Used {
    is_in_flight: bool,
    last: Instant,
}

/// When a request that cannot start now can be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Until(Instant),
    /// Until another request ends.
    UntilOneEnds,
}

impl Budget {
    /// Starts a request.
    ///
    /// Fails if there is no room for it now.
    pub(super) fn take(&mut self, namespace: &Arc<str>, trust: Trust, now: Instant) -> Result<(), Full> {
        self.check(namespace, trust, now)?;
        let is_tenant = trust == Trust::Tenant;
        self.forget(now);
        self.in_flight += 1;
        self.tenants_in_flight += usize::from(is_tenant);
        self.recent.push_back((now, is_tenant));
        self.namespaces.insert(namespace.clone(), Used { is_in_flight: true, last: now });
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
            if now < used.last + SECOND {
                return Err(Full::Until(used.last + SECOND));
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

    /// When a namespace had its last request. `None` if that was long ago.
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

    /// Forgets what no longer limits anything.
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
    fn a_namespace_has_one_request_at_a_time_and_one_in_a_second() {
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
    fn hanging_requests_of_tenants_leave_room_for_the_trusted() {
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

    proptest! {
        #[test]
        fn no_second_has_too_many_requests(steps in prop::collection::vec((0usize..30, any::<bool>(), 0u64..400), 1..200)) {
            let (mut budget, mut now) = (Budget::default(), Instant::now());
            let mut starts: Vec<(Instant, bool, usize)> = Vec::new();
            for (number, is_tenant, pause) in steps {
                now += Duration::from_millis(pause);
                let (namespace, trust) = (name(number), if is_tenant { Trust::Tenant } else { Trust::Trusted });
                if budget.take(&namespace, trust, now).is_ok() {
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
