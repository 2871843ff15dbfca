//! Limits per identity: records per second and requests in flight.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use moka::{policy::EvictionPolicy, sync::Cache};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Allowance, Limited,
    shares::{Share, all_answers},
};

/// How many identities are remembered.
const IDENTITIES: u64 = 10_000;
/// `Retry-After` has whole seconds.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// The limits of each identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Records per second. None is no limit.
    pub writes_per_second: Option<NonZeroU32>,
    /// Records at once after a pause.
    pub burst: NonZeroU32,
    /// Requests that are not answered yet. None is no limit.
    pub in_flight: Option<NonZeroU32>,
    /// Statements that read at the same time. With it, exports and the memory of bodies and answers are limited too. None is no
    /// limit.
    pub reads: Option<usize>,
}

impl Settings {
    /// No limits.
    pub const UNLIMITED: Self = Self { writes_per_second: None, burst: NonZeroU32::MIN, in_flight: None, reads: None };
}

/// The limits of all identities. Cheap to clone.
#[derive(Clone)]
pub struct Limits<C: Clock = DefaultClock> {
    settings: Settings,
    clock: C,
    identities: Cache<Arc<str>, Arc<Identity<C>>>,
    answers: Arc<Semaphore>,
}

struct Identity<C: Clock> {
    writes: Option<RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>>,
    in_flight: Option<Arc<Semaphore>>,
    share: Option<Arc<Share>>,
}

/// What an identity uses. It counts until it is dropped.
#[derive(Debug)]
#[allow(dead_code, reason = "it is kept to be dropped")]
pub struct Permit(pub(super) Option<OwnedSemaphorePermit>);

impl Limits {
    /// Limits by the clock of the system.
    pub fn new(settings: Settings) -> Self {
        Self::with_clock(settings, DefaultClock::default())
    }
}

impl<C: Clock + Clone + Send + Sync + 'static> Limits<C>
where
    C::Instant: Send + Sync,
{
    fn with_clock(settings: Settings, clock: C) -> Self {
        let identities = Cache::builder().max_capacity(IDENTITIES).eviction_policy(EvictionPolicy::lru()).build();
        Self { settings, clock, identities, answers: all_answers() }
    }

    /// Counts one more request of the identity as in flight until the permit is dropped.
    pub fn enter(&self, identity: &Arc<str>) -> Result<Permit, Limited> {
        let entry = self.entry(identity);
        let Some(in_flight) = &entry.in_flight else { return Ok(Permit(None)) };
        match Arc::clone(in_flight).try_acquire_owned() {
            Ok(permit) => Ok(Permit(Some(permit))),
            Err(_none_left) => Err(Limited::InFlight { retry_after: SHORTEST_WAIT }),
        }
    }

    /// The share of this identity in the common resources.
    pub fn allowance(&self, identity: &Arc<str>) -> Allowance {
        Allowance { share: self.entry(identity).share.clone(), answers: Arc::clone(&self.answers) }
    }

    /// Counts records that the identity wants to write: all of them, or none if they are too many.
    ///
    /// A batch that is larger than the burst counts as the burst, or it could never be written.
    pub fn write(&self, identity: &Arc<str>, records: usize) -> Result<(), Limited> {
        let entry = self.entry(identity);
        let (Some(writes), Some(records)) = (&entry.writes, count(records)) else { return Ok(()) };
        match writes.check_n(records.min(self.settings.burst)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                let wait = not_until.wait_time_from(self.clock.now());
                let whole = Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
                Err(Limited::Writes { retry_after: whole.max(SHORTEST_WAIT) })
            }
            // The burst is the capacity, so more than it is never asked for.
            Err(_more_than_the_capacity) => Ok(()),
        }
    }

    fn entry(&self, identity: &Arc<str>) -> Arc<Identity<C>> {
        self.identities.get_with_by_ref(identity, || {
            let writes = self.settings.writes_per_second.map(|per_second| {
                let quota = Quota::per_second(per_second).allow_burst(self.settings.burst);
                RateLimiter::direct_with_clock(quota, self.clock.clone())
            });
            let in_flight = self.settings.in_flight.map(|most| Arc::new(Semaphore::new(most.get() as usize)));
            let share = self.settings.reads.map(|reads| Arc::new(Share::new(reads)));
            Arc::new(Identity { writes, in_flight, share })
        })
    }
}

fn count(records: usize) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(records).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits(writes: u32, burst: u32, in_flight: u32) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let settings = Settings {
            writes_per_second: NonZeroU32::new(writes),
            burst: NonZeroU32::new(burst).unwrap(),
            in_flight: NonZeroU32::new(in_flight),
            reads: None,
        };
        (Limits::with_clock(settings, clock.clone()), clock)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_counts() {
        let (limits, clock) = limits(500, 750, 64);
        let engine: Arc<str> = "engine".into();
        limits.write(&engine, 500).unwrap();
        limits.write(&engine, 250).unwrap();
        let limited = limits.write(&engine, 1).unwrap_err();
        assert_eq!(limited.retry_after(), Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        limits.write(&engine, 500).unwrap();
        limits.write(&engine, 1).unwrap_err();
    }

    #[test]
    fn a_refused_batch_costs_nothing() {
        let (limits, _clock) = limits(500, 750, 64);
        let engine: Arc<str> = "engine".into();
        limits.write(&engine, 700).unwrap();
        limits.write(&engine, 51).unwrap_err();
        limits.write(&engine, 50).unwrap();
    }

    #[test]
    fn one_identity_does_not_use_up_what_another_has() {
        let (limits, _clock) = limits(10, 10, 1);
        let (loud, quiet): (Arc<str>, Arc<str>) = ("loud".into(), "quiet".into());
        limits.write(&loud, 10).unwrap();
        limits.write(&loud, 1).unwrap_err();
        let _permit = limits.enter(&loud).unwrap();
        limits.write(&quiet, 10).unwrap();
        limits.enter(&quiet).unwrap();
    }

    #[test]
    fn a_batch_larger_than_the_burst_passes_after_a_pause() {
        let (limits, clock) = limits(10, 20, 64);
        let engine: Arc<str> = "engine".into();
        limits.write(&engine, 500).unwrap();
        let limited = limits.write(&engine, 500).unwrap_err();
        assert_eq!(limited.retry_after(), Duration::from_secs(2));
        clock.advance(limited.retry_after());
        limits.write(&engine, 500).unwrap();
    }

    #[test]
    fn a_request_counts_until_it_is_answered() {
        let (limits, _clock) = limits(10, 10, 2);
        let reader: Arc<str> = "reader".into();
        let first = limits.enter(&reader).unwrap();
        let _second = limits.enter(&reader).unwrap();
        assert!(matches!(limits.enter(&reader), Err(Limited::InFlight { .. })));
        drop(first);
        limits.enter(&reader).unwrap();
    }

    #[test]
    fn without_limits_everything_passes() {
        let limits = Limits::new(Settings::UNLIMITED);
        let engine: Arc<str> = "engine".into();
        let permits: Vec<_> = (0..100).map(|_| limits.enter(&engine).unwrap()).collect();
        limits.write(&engine, usize::MAX).unwrap();
        drop(permits);
    }

    #[test]
    fn a_flood_of_names_costs_no_memory() {
        let (limits, _clock) = limits(10, 10, 2);
        for number in 0..3 * IDENTITIES {
            limits.write(&number.to_string().into(), 1).unwrap();
        }
        limits.identities.run_pending_tasks();
        assert!(limits.identities.entry_count() <= IDENTITIES);
    }
}
