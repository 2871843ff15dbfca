//! The metrics about agents. They are computed at every scrape, because an age grows by itself.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};
use tokio::time::Instant;

use super::PREFIX;
use crate::{agent::answer::EntryState, api::NamespacedName};

/// Since when the agent of one ToolsetConfig has been behind, and the number of its entries by state.
pub(crate) type AgentShare = (Option<Instant>, BTreeMap<EntryState, usize>);

/// What each ToolsetConfig contributes.
#[derive(Clone, Debug, Default)]
pub(super) struct AgentShares(Arc<Mutex<BTreeMap<NamespacedName, AgentShare>>>);

impl AgentShares {
    pub(super) fn set(&self, name: &NamespacedName, share: Option<AgentShare>) {
        match share {
            Some(share) => drop(self.lock().insert(name.clone(), share)),
            None => drop(self.lock().remove(name)),
        }
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NamespacedName, AgentShare>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for AgentShares {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (oldest, mut states) =
            (self.lock().values().filter_map(|(since, _)| *since).min(), EntryState::ALL.map(|state| (state, 0_u32)));
        if self.lock().is_empty() {
            return Ok(());
        }
        for (_, of_one) in self.lock().values() {
            for (state, sum) in &mut states {
                let count = of_one.get(state).copied().unwrap_or_default();
                *sum = sum.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
            }
        }
        let age = ConstGauge::new(oldest.map_or(0.0, |since| since.elapsed().as_secs_f64()));
        let help = "Time since the oldest revision was applied that a replica of an agent has not loaded";
        let name = format!("{PREFIX}_agent_revision_age");
        age.encode(encoder.encode_descriptor(&name, help, Some(&Unit::Seconds), MetricType::Gauge)?)?;
        let help = "Entries of the operator in the agents, by their state in the worst replica";
        let name = format!("{PREFIX}_agent_toolsets");
        let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
        for (state, sum) in states {
            let labels = [("status", state.as_str())];
            ConstGauge::new(f64::from(sum)).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::Metrics;

    fn value(metrics: &Metrics, series: &str) -> Option<f64> {
        let text = metrics.encode().unwrap();
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    const AGE: &str = "dynamictoolset_agent_revision_age_seconds";

    #[test]
    fn the_age_is_that_of_the_agent_that_is_behind_the_longest() {
        let (metrics, now) = (Metrics::new(), Instant::now() + Duration::from_secs(10_000));
        assert_eq!(value(&metrics, AGE), None, "no agent is observed");
        let (a, b) = (NamespacedName::new("n", "a"), NamespacedName::new("n", "b"));
        metrics.agent(&a, Some((None, BTreeMap::new())));
        assert_eq!(value(&metrics, AGE), Some(0.0));
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap_or(now);
        metrics.agent(&a, Some((Some(ago(100)), BTreeMap::new())));
        metrics.agent(&b, Some((Some(ago(1000)), BTreeMap::new())));
        assert!(value(&metrics, AGE).is_some_and(|age| (1000.0..1010.0).contains(&age)));
        metrics.forget(&b);
        assert!(value(&metrics, AGE).is_some_and(|age| (100.0..110.0).contains(&age)));
        metrics.forget_all();
        assert_eq!(value(&metrics, AGE), None);
    }

    #[test]
    fn the_states_of_all_agents_are_summed_up() {
        let metrics = Metrics::new();
        let enabled = |count| (None, BTreeMap::from([(EntryState::Enabled, count), (EntryState::Failed, 1)]));
        metrics.agent(&NamespacedName::new("n", "a"), Some(enabled(3)));
        metrics.agent(&NamespacedName::new("n", "b"), Some(enabled(4)));
        for (status, expected) in [("enabled", 7.0), ("failed", 2.0), ("missing", 0.0)] {
            let series = format!("dynamictoolset_agent_toolsets{{status=\"{status}\"}}");
            assert_eq!(value(&metrics, &series), Some(expected), "{status}");
        }
    }
}
