//! The programs that are compared, and the changes to their Services.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    bench::probe::{Probe, milliseconds},
    usage,
};

/// One of the compared programs.
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) pid: u32,
    /// Its user name in the audit log.
    pub(super) user: String,
    pub(super) probe: Probe,
}

impl Subject {
    /// The CPU time of each.
    pub(super) fn cpu_of(subjects: &[Self; 3]) -> Result<[Duration; 3]> {
        let [controller, floor, tiny] = subjects.each_ref().map(|subject| usage::cpu(subject.pid));
        Ok([controller?, floor?, tiny?])
    }
}

/// Changes the Service of the first program once per period, and half a period later that of one of the others in turn.
/// Returns how long each answer took, in milliseconds.
pub(super) async fn change(subjects: &mut [Subject; 3], changes: usize, period: Duration) -> Result<[Vec<f64>; 3]> {
    let mut ticks = interval(period / 2);
    // A late change delays the changes after it, so the distance stays.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let first = subjects.each_ref().map(|subject| subject.probe.changes() + 1);
    let mut acknowledged: [Vec<Instant>; 3] = Default::default();
    for number in turns(changes) {
        ticks.tick().await;
        acknowledged[number].push(subjects[number].probe.change().await?);
    }
    let mut times: [Vec<f64>; 3] = Default::default();
    for (((subject, first), acknowledged), times) in subjects.iter_mut().zip(first).zip(acknowledged).zip(&mut times) {
        let seen = subject.probe.seen_since(first).await?;
        ensure!(seen.len() == acknowledged.len(), "{} of {} changes were seen", seen.len(), acknowledged.len());
        times.extend(acknowledged.into_iter().zip(seen).map(|(acknowledged, seen)| milliseconds(acknowledged, seen)));
    }
    Ok(times)
}

/// The order of the programs, which is 0, 1, 0, 2, 0, 1, …
fn turns(changes: usize) -> impl Iterator<Item = usize> {
    (0..changes).flat_map(|round| [0, 1 + round % 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_turn_is_the_operators_and_the_floors_share_the_rest() {
        assert_eq!(turns(4).collect::<Vec<_>>(), [0, 1, 0, 2, 0, 1, 0, 2]);
    }
}
