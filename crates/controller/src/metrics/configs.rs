//! The metrics that name a ToolsetConfig. The others sum up all ToolsetConfigs.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crd_types::Reason;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::PREFIX;
use crate::api::NamespacedName;

/// The most ToolsetConfigs with series of their own. Everyone who can create ToolsetConfigs can create many.
const MOST: usize = 100;

#[derive(Clone, Copy, Debug, Default)]
struct OfConfig {
    /// The reason of the Ready condition, when it is known.
    reason: Option<Reason>,
    /// The number of tools in the plan, when there is one.
    tools: Option<usize>,
}

/// What is known of each ToolsetConfig.
#[derive(Clone, Debug, Default)]
pub(super) struct Configs(Arc<Mutex<BTreeMap<NamespacedName, OfConfig>>>);

impl Configs {
    pub(super) fn ready(&self, name: &NamespacedName, reason: Reason) {
        self.lock().entry(name.clone()).or_default().reason = Some(reason);
    }

    pub(super) fn planned(&self, name: &NamespacedName, tools: usize) {
        self.lock().entry(name.clone()).or_default().tools = Some(tools);
    }

    pub(super) fn forget(&self, name: &NamespacedName) {
        self.lock().remove(name);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NamespacedName, OfConfig>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Configs {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut configs: Vec<_> = self.lock().iter().map(|(name, of_one)| (name.clone(), *of_one)).collect();
        if configs.is_empty() {
            return Ok(());
        }
        // Those that alerts are about are never left out for others.
        configs.sort_by_key(|(_, of_one)| of_one.reason == Some(Reason::AsExpected));
        configs.truncate(MOST);

        let help = "Always 1, with the reason of the Ready condition of the ToolsetConfig";
        let name = format!("{PREFIX}_toolsetconfig_status");
        let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
        for (name, of_one) in &configs {
            let Some(reason) = of_one.reason else { continue };
            let labels = [("config_namespace", &*name.namespace), ("config", &*name.name), ("reason", reason.as_str())];
            ConstGauge::new(1_i64).encode(metric.encode_family(&labels)?)?;
        }
        let help = "Tools by ToolsetConfig";
        let name = format!("{PREFIX}_toolsetconfig_tools");
        let mut metric = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
        for (name, of_one) in &configs {
            let Some(tools) = of_one.tools else { continue };
            let labels = [("config_namespace", &*name.namespace), ("config", &*name.name)];
            ConstGauge::new(super::number(tools)).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use toolset::Plan;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn each_toolset_config_has_its_reason_and_its_tools_until_it_is_gone() {
        let (metrics, name) = (Metrics::new(), NamespacedName::new("holmes", "default"));
        assert!(!metrics.encode().unwrap().contains("toolsetconfig_status{"));
        metrics.planned(&name, &Plan::default(), 0, Duration::ZERO);
        metrics.ready(&name, Reason::InputStale);
        metrics.ready(&name, Reason::AsExpected);
        let labels = "config_namespace=\"holmes\",config=\"default\"";
        let expected = [
            format!("dynamictoolset_toolsetconfig_status{{{labels},reason=\"AsExpected\"}} 1\n"),
            format!("dynamictoolset_toolsetconfig_tools{{{labels}}} 0\n"),
        ];
        let text = metrics.encode().unwrap();
        assert!(
            expected.iter().all(|line| text.contains(line)) && !text.contains("\"default\",reason=\"InputStale"),
            "{text}"
        );
        metrics.forget(&name);
        assert!(!metrics.encode().unwrap().contains("config=\"default\""));
        metrics.ready(&name, Reason::AsExpected);
        metrics.forget_all();
        assert!(!metrics.encode().unwrap().contains("config=\"default\""));
    }

    #[test]
    fn of_many_toolset_configs_those_with_a_problem_are_shown_first() {
        let metrics = Metrics::new();
        for number in 0..MOST {
            metrics.ready(&NamespacedName::new("n", format!("a{number}")), Reason::AsExpected);
        }
        metrics.ready(&NamespacedName::new("n", "z"), Reason::OutputConflict);
        let text = metrics.encode().unwrap();
        assert!(text.contains("config=\"z\",reason=\"OutputConflict\"} 1\n"), "{text}");
        assert_eq!(text.matches("dynamictoolset_toolsetconfig_status{").count(), MOST);
    }
}
