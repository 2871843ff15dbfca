//! Decides the next step of the election. Pure.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::api::ObjectMeta;
use tokio::time::Instant;

/// How long a lease is valid without a renewal. Another replica may acquire it then.
const LEASE: Duration = Duration::from_secs(15);
/// How long after its last renewal the holder may still start a request. It leaves five seconds between the last write
/// of one leader and the first of the next.
pub(super) const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// The interval of renewals and of retries.
pub(super) const RETRY: Duration = Duration::from_secs(2);

/// A Lease as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The identity of the holder. Empty if the lease was released.
    pub(super) holder: String,
    /// How long the lease is valid without a renewal, according to its holder.
    pub(super) duration: Duration,
    /// How often the holder changed.
    pub(super) transitions: i32,
    /// When it was renewed, by the holder's clock. It is only compared for equality.
    pub(super) renewed: Option<MicroTime>,
    /// When it was acquired, by the holder's clock.
    pub(super) acquired: Option<MicroTime>,
    /// For compare-and-swap.
    pub(super) resource_version: Option<String>,
}

impl Record {
    /// Reads a Lease. If it has no holder, any replica may acquire it.
    pub(super) fn of(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            holder: spec.holder_identity.unwrap_or_default(),
            duration: seconds.map_or(LEASE, Duration::from_secs),
            transitions: spec.lease_transitions.unwrap_or_default(),
            renewed: spec.renew_time,
            acquired: spec.acquire_time,
            resource_version: lease.metadata.resource_version.clone(),
        }
    }

    /// Whether `other` has the same holder and renewal. The resource version may differ, for example after a new label.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let spec = |record: &Self| (record.holder.clone(), record.transitions, record.renewed.clone());
        spec(self) == spec(other)
    }

    /// The Lease to write to acquire or renew it as `me`.
    pub(super) fn held_by(old: Option<&Self>, name: &str, me: &str, now: MicroTime) -> Lease {
        let mine = old.filter(|old| old.holder == me);
        let transitions = old.map_or(0, |old| if mine.is_some() { old.transitions } else { old.transitions + 1 });
        let acquired = mine.and_then(|old| old.acquired.clone()).unwrap_or_else(|| now.clone());
        Self::lease(
            old,
            name,
            LeaseSpec {
                holder_identity: Some(me.to_owned()),
                lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
                acquire_time: Some(acquired),
                renew_time: Some(now),
                lease_transitions: Some(transitions),
                ..LeaseSpec::default()
            },
        )
    }

    /// The Lease to write to release it.
    pub(super) fn released(&self, name: &str, now: MicroTime) -> Lease {
        Self::lease(
            Some(self),
            name,
            LeaseSpec {
                lease_duration_seconds: Some(1),
                renew_time: Some(now),
                lease_transitions: Some(self.transitions),
                ..LeaseSpec::default()
            },
        )
    }

    fn lease(old: Option<&Self>, name: &str, spec: LeaseSpec) -> Lease {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            resource_version: old.and_then(|old| old.resource_version.clone()),
            ..ObjectMeta::default()
        };
        Lease { metadata, spec: Some(spec) }
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Create the Lease, because there is none.
    Create,
    /// Acquire the Lease, because it is free or has expired.
    Take,
    /// Renew the Lease, because it is ours and a renewal is due.
    Renew,
    /// Wait for this time, or until the Lease changes.
    Wait(Duration),
}

/// Decides from the Lease, our identity, and the time when this replica saw the last change of the Lease. The clocks of
/// other replicas are not used.
pub(super) fn step(lease: Option<&Record>, me: &str, observed_at: Instant, now: Instant) -> Step {
    let age = now.saturating_duration_since(observed_at);
    let due =
        |after: Duration, then: Step| after.checked_sub(age).filter(|rest| !rest.is_zero()).map_or(then, Step::Wait);
    match lease {
        None => Step::Create,
        Some(lease) if lease.holder.is_empty() => Step::Take,
        Some(lease) if lease.holder == me => due(RETRY, Step::Renew),
        Some(lease) => due(lease.duration, Step::Take),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(holder: &str) -> Record {
        Record {
            holder: holder.to_owned(),
            duration: LEASE,
            transitions: 3,
            renewed: None,
            acquired: None,
            resource_version: Some("7".to_owned()),
        }
    }

    #[test]
    fn a_missing_lease_is_created_and_a_released_one_is_taken_at_once() {
        let now = Instant::now();
        assert_eq!(step(None, "a", now, now), Step::Create);
        assert_eq!(step(Some(&held("")), "a", now, now), Step::Take);
    }

    #[test]
    fn the_holder_renews_at_its_pace() {
        let seen = Instant::now();
        assert_eq!(step(Some(&held("a")), "a", seen, seen), Step::Wait(RETRY));
        assert_eq!(step(Some(&held("a")), "a", seen, seen + RETRY), Step::Renew);
    }

    #[test]
    fn anothers_lease_is_taken_only_when_it_stood_still_for_its_whole_duration() {
        let seen = Instant::now();
        let almost = seen + LEASE - Duration::from_millis(1);
        assert_eq!(step(Some(&held("b")), "a", seen, almost), Step::Wait(Duration::from_millis(1)));
        assert_eq!(step(Some(&held("b")), "a", seen, seen + LEASE), Step::Take);
    }

    #[test]
    fn taking_counts_a_transition_and_carries_the_resource_version() {
        let now = MicroTime(jiff::Timestamp::UNIX_EPOCH);
        let taken = Record::held_by(Some(&held("b")), "l", "a", now.clone());
        assert_eq!(taken.metadata.resource_version.as_deref(), Some("7"));
        let taken = Record::of(&taken);
        assert_eq!((taken.holder.as_str(), taken.transitions), ("a", 4));
        let renewed = Record::of(&Record::held_by(Some(&taken), "l", "a", now));
        assert_eq!(renewed.transitions, 4);
    }

    #[test]
    fn a_released_lease_names_no_holder() {
        let released = held("a").released("l", MicroTime(jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(released.spec.and_then(|spec| spec.holder_identity), None);
    }

    #[test]
    fn a_label_on_the_lease_is_not_a_renewal() {
        let labelled = Record { resource_version: Some("8".to_owned()), ..held("b") };
        assert!(held("b").says_the_same(&labelled));
    }
}
