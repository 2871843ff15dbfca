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

use super::PREFIX;
use crate::{
    agent::{answer::EntryState, history::Lag},
    api::NamespacedName,
};

/// Whether the agent of one ToolsetConfig is behind, if that is known, and the number of its entries by state.
pub(crate) type AgentShare = (Option<Lag>, BTreeMap<EntryState, usize>);

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
        let shares = self.lock().clone();
        if shares.is_empty() {
            return Ok(());
        }
        let mut states = EntryState::ALL.map(|state| (state, 0_u32));
        for (_, of_one) in shares.values() {
            for (state, sum) in &mut states {
                let count = of_one.get(state).copied().unwrap_or_default();
                *sum = sum.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
            }
        }
        // There is no age while nothing is known.
        if let Some(worst) = shares.values().filter_map(|(lag, _)| *lag).min() {
            let age = match worst {
                Lag::BehindSince(since) => since.elapsed().as_secs_f64(),
                Lag::Current => 0.0,
            };
            let help = "Age of the oldest revision that a replica of an agent has not loaded";
            let name = format!("{PREFIX}_agent_revision_age");
            let descriptor = encoder.encode_descriptor(&name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
            ConstGauge::new(age).encode(descriptor)?;
        }
        let help = "Entries that the operator wrote for the agents, by their worst state in any replica";
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

    use tokio::time::Instant;

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
        assert_eq!(value(&metrics, AGE), None, "nothing is known yet");
        metrics.agent(&a, Some((Some(Lag::Current), BTreeMap::new())));
        assert_eq!(value(&metrics, AGE), Some(0.0));
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap_or(now);
        metrics.agent(&a, Some((Some(Lag::BehindSince(ago(100))), BTreeMap::new())));
        metrics.agent(&b, Some((Some(Lag::BehindSince(ago(1000))), BTreeMap::new())));
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
