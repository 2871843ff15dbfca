//! What to do next about the Lease; pure.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::api::ObjectMeta;
use tokio::time::Instant;

/// How long a lease is good for without renewal. Another replica may take it then.
const LEASE: Duration = Duration::from_secs(15);
/// How long after its last renewal the holder may still start a request. It leaves five seconds between the last write of one
/// leader and the first of the next.
pub(super) const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// The pace of renewals, and of attempts after a failure.
pub(super) const RETRY: Duration = Duration::from_secs(2);

/// A Lease as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Who holds it; empty when it was released.
    pub(super) holder: String,
    /// How long it is good for without renewal, as its holder says.
    pub(super) duration: Duration,
    /// How often it changed hands.
    pub(super) transitions: i32,
    /// The holder's clock; only compared for being another one than before.
    pub(super) renewed: Option<MicroTime>,
    /// Since when it is held, by the holder's clock.
    pub(super) acquired: Option<MicroTime>,
    /// For compare-and-swap.
    pub(super) resource_version: Option<String>,
}

impl Record {
    /// Reads a Lease; what is missing reads as a lease that anybody may take.
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

    /// Whether `other` says the same; its resourceVersion may differ, for example after somebody labelled the Lease.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let spec = |record: &Self| (record.holder.clone(), record.transitions, record.renewed.clone());
        spec(self) == spec(other)
    }

    /// The Lease to write for holding it as `me` from `now` on.
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

    /// The Lease to write for giving it up.
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
    /// There is no Lease: create it.
    Create,
    /// It is free or has expired: take it.
    Take,
    /// It is ours and due for renewal.
    Renew,
    /// Nothing to do for so long, unless the Lease changes.
    Wait(Duration),
}

/// Decides from the Lease, our own name, and when *we* saw the Lease say something new: clocks of others are not believed.
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
