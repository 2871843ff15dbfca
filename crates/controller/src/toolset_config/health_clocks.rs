//! The clocks of the health stage. A clock stands still while the inputs of its namespace cannot be seen, so that an
//! outage of a watch is no part of a tool's grace period.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use toolset::health::HealthTime;

use super::gate::Frozen;

/// A clock for each namespace that has been frozen alone, and one for all others.
#[derive(Debug)]
pub(super) struct HealthClocks {
    began: Instant,
    common: Clock,
    of_namespaces: BTreeMap<String, Clock>,
}

#[derive(Clone, Debug, Default)]
struct Clock {
    /// For how long it has stood still.
    frozen_for: Duration,
    /// Since when it stands still, if it does.
    frozen_from: Option<Instant>,
}

impl HealthClocks {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, common: Clock::default(), of_namespaces: BTreeMap::new() }
    }

    /// Stops and starts the clocks as `frozen` says.
    pub(super) fn set(&mut self, now: Instant, frozen: &Frozen) {
        for namespace in frozen.namespaces.keys() {
            self.of_namespaces.entry(namespace.clone()).or_insert_with(|| self.common.clone());
        }
        self.common.set(now, frozen.all);
        for (namespace, clock) in &mut self.of_namespaces {
            clock.set(now, frozen.all.into_iter().chain(frozen.namespaces.get(namespace).copied()).min());
        }
    }

    /// The time for the Services of a namespace.
    pub(super) fn time(&self, now: Instant, namespace: &str) -> HealthTime {
        let clock = self.of_namespaces.get(namespace).unwrap_or(&self.common);
        let at = clock.frozen_from.unwrap_or(now).saturating_duration_since(self.began);
        HealthTime { now: at.saturating_sub(clock.frozen_for), frozen: clock.frozen_from.is_some() }
    }
}

impl Clock {
    fn set(&mut self, now: Instant, frozen_since: Option<Instant>) {
        if let Some(since) = frozen_since {
            self.frozen_from.get_or_insert(since);
        } else {
            self.frozen_for +=
                self.frozen_from.take().map_or(Duration::ZERO, |from| now.saturating_duration_since(from));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn all_since(since: Instant) -> Frozen {
        Frozen { all: Some(since), ..Frozen::default() }
    }

    #[test]
    fn an_outage_of_endpoint_slices_is_no_part_of_a_grace_period() {
        let began = Instant::now();
        let mut clocks = HealthClocks::new(began);
        let mut time = |second: u32, frozen: &Frozen| {
            let now = began + SECOND * second;
            clocks.set(now, frozen);
            clocks.time(now, "n")
        };
        assert_eq!(time(10, &Frozen::default()), HealthTime { now: SECOND * 10, frozen: false });
        for later in [20, 500] {
            assert_eq!(time(later, &all_since(began + SECOND * 15)), HealthTime { now: SECOND * 15, frozen: true });
        }
        assert_eq!(time(1000, &Frozen::default()).now, SECOND * 15);
        assert_eq!(time(1005, &Frozen::default()).now, SECOND * 20);
    }

    #[test]
    fn an_outage_of_one_namespace_stops_only_its_clock() {
        let began = Instant::now();
        let mut clocks = HealthClocks::new(began);
        let of_b = Frozen { namespaces: BTreeMap::from([("b".to_owned(), began + SECOND * 10)]), all: None };
        let now = began + SECOND * 20;
        clocks.set(now, &of_b);
        assert_eq!(clocks.time(now, "a"), HealthTime { now: SECOND * 20, frozen: false });
        assert_eq!(clocks.time(now, "b"), HealthTime { now: SECOND * 10, frozen: true });
        clocks.set(now, &Frozen::default());
        assert_eq!(clocks.time(now + SECOND, "b"), HealthTime { now: SECOND * 11, frozen: false });
    }
}
