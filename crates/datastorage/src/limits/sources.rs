//! Limits per address of requests without a valid token, and of reviews of tokens.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::{policy::EvictionPolicy, sync::Cache};

/// How many addresses are remembered.
const SOURCES: u64 = 10_000;
/// Failures per second.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(1).unwrap();
/// Failures at once after a pause. Several clients can have one address.
const BURST: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// Reviews of unknown tokens per second, and at once after a pause. A bad token that is sent again is known, so a client that
/// sends one for ever uses up none of them, and others behind the same address can renew their tokens.
const REVIEWS_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).unwrap();
const REVIEWS: NonZeroU32 = NonZeroU32::new(50).unwrap();

/// Counts failures and reviews by the address that they came from.
pub struct Sources {
    sources: Cache<IpAddr, Arc<Source>>,
}

struct Source {
    failures: DefaultDirectRateLimiter,
    reviews: DefaultDirectRateLimiter,
}

impl Sources {
    /// When to ask again after too many failures.
    pub const RETRY_AFTER: Duration = Duration::from_secs(1);

    /// No failures yet.
    pub fn new() -> Self {
        Self { sources: Cache::builder().max_capacity(SOURCES).eviction_policy(EvictionPolicy::lru()).build() }
    }

    /// Counts a review of a token that is not known yet. False if there were too many.
    pub fn may_review(&self, peer: IpAddr) -> bool {
        self.source(peer).reviews.check().is_ok()
    }

    /// Counts a failure. False if there were too many.
    pub fn failed(&self, peer: IpAddr) -> bool {
        self.source(peer).failures.check().is_ok()
    }

    fn source(&self, peer: IpAddr) -> Arc<Source> {
        self.sources.get_with(network(peer), || {
            let limiter = |per_second, burst| RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst));
            let (failures, reviews) = (limiter(PER_SECOND, BURST), limiter(REVIEWS_PER_SECOND, REVIEWS));
            Arc::new(Source { failures, reviews })
        })
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self::new()
    }
}

/// What counts as one address. One machine has a whole /64 of IPv6.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_failures_of_one_address_are_refused_and_others_are_not() {
        let sources = Sources::new();
        let loud: IpAddr = "10.0.0.1".parse().unwrap();
        let failures = (0..100).take_while(|_| sources.failed(loud)).count();
        assert!((30..=32).contains(&failures), "{failures}");
        let other: IpAddr = "10.0.0.2".parse().unwrap();
        assert!(sources.failed(other));
        // A good token from the same address is looked at all the same.
        assert!(sources.may_review(loud));
        let reviews = (0..200).take_while(|_| sources.may_review(loud)).count();
        assert!((49..70).contains(&reviews), "{reviews}");
        assert!(sources.may_review(other));
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_count_as_one() {
        let sources = Sources::new();
        let failures = (0..100_u16).take_while(|n| sources.failed(Ipv6Addr::new(1, 2, 3, 4, 0, 0, 0, *n).into()));
        assert!(failures.count() < 40);
        assert!(sources.failed(Ipv6Addr::new(1, 2, 3, 5, 0, 0, 0, 1).into()));
    }

    #[test]
    fn an_ipv4_address_is_the_same_when_it_is_mapped_to_ipv6() {
        assert_eq!(network("::ffff:10.0.0.1".parse().unwrap()), network("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_flood_of_addresses_costs_no_memory() {
        let sources = Sources::new();
        for number in 0..30_000_u32 {
            sources.failed(IpAddr::V4(number.into()));
        }
        sources.sources.run_pending_tasks();
        assert!(sources.sources.entry_count() <= SOURCES);
    }
}
