//! What is counted. Labels come from closed sets; no Service, namespace or message is ever one.

mod labels;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crd_types::{Reason, ServiceReason};
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use toolset::{Health, Plan};

pub use self::labels::{Looked, Operation};
use self::labels::{
    OfInput, OfInputWithReason, OfType, OfTypeAndHealth, OfTypeAndResult, WithOperation, WithReason, WithResult,
};
use crate::{
    error::Cause,
    inputs::{INPUTS, Input, Standing},
    object::ObjectName,
    process::Process,
};

/// The name of every metric of ours begins with it.
const PREFIX: &str = "dynamictoolset";

/// From a cache hit to a control plane in distress.
const LATENCIES: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Pure computation: from a handful of Services to tens of thousands.
const COMPUTATIONS: [f64; 11] = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5];

/// What one plan adds to the gauges.
#[derive(Clone, Debug, Default)]
struct PlanCounts {
    discovered: BTreeMap<&'static str, i64>,
    tools: BTreeMap<(&'static str, &'static str), i64>,
    rejected: BTreeMap<&'static str, i64>,
    bytes: i64,
}

type Seconds = Gauge<f64, AtomicU64>;
type Count = Gauge<i64, AtomicI64>;

/// Every metric, and the registry that shows them.
pub struct Metrics {
    registry: Registry,
    plans: Mutex<BTreeMap<ObjectName, PlanCounts>>,
    verdicts: Mutex<BTreeMap<ObjectName, Reason>>,
    toolsetconfigs: Family<WithReason, Count>,
    services_discovered: Family<OfType, Count>,
    tools: Family<OfTypeAndHealth, Count>,
    rejected_services: Family<WithReason, Count>,
    configmap_bytes: Count,
    services_watched: Count,
    discovery_duration: Histogram,
    discovery_errors: Family<OfInputWithReason, Counter>,
    reconciles: Family<WithResult, Counter>,
    reconcile_duration: Histogram,
    event_to_apply: Histogram,
    configmap_updates: Family<WithOperation, Counter>,
    configmap_drift: Counter,
    health_checks: Family<OfTypeAndResult, Counter>,
    health_check_duration: Histogram,
    watch_synced: Family<OfInput, Count>,
    watch_last_event: Family<OfInput, Seconds>,
    watch_errors: Family<OfInputWithReason, Counter>,
    leader: Count,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            plans: Mutex::default(),
            verdicts: Mutex::default(),
            toolsetconfigs: Family::default(),
            services_discovered: Family::default(),
            tools: Family::default(),
            rejected_services: Family::default(),
            configmap_bytes: Gauge::default(),
            services_watched: Gauge::default(),
            discovery_duration: Histogram::new(COMPUTATIONS),
            discovery_errors: Family::default(),
            reconciles: Family::default(),
            reconcile_duration: Histogram::new(LATENCIES),
            event_to_apply: Histogram::new(LATENCIES),
            configmap_updates: Family::default(),
            configmap_drift: Counter::default(),
            health_checks: Family::default(),
            health_check_duration: Histogram::new(COMPUTATIONS),
            watch_synced: Family::default(),
            watch_last_event: Family::default(),
            watch_errors: Family::default(),
            leader: Gauge::default(),
        };
        metrics.start_at_zero();
        metrics.register();
        metrics
    }

    /// A rate over a series that appears with its first error misses that error.
    fn start_at_zero(&self) {
        for looked in Looked::ALL {
            self.reconciles.get_or_create(&WithResult { result: looked.as_str() }).inc_by(0);
        }
        for operation in Operation::ALL {
            self.configmap_updates.get_or_create(&WithOperation { operation: operation.as_str() }).inc_by(0);
        }
        for input in INPUTS.map(Input::as_str) {
            for reason in [Cause::Forbidden.as_str(), Cause::Transport.as_str(), Cause::Unavailable.as_str()] {
                self.watch_errors.get_or_create(&OfInputWithReason { input, reason }).inc_by(0);
            }
            for reason in [HELD_FORBIDDEN, HELD_STALE] {
                self.discovery_errors.get_or_create(&OfInputWithReason { input, reason }).inc_by(0);
            }
        }
    }

    fn register(&mut self) {
        let ours = self.registry.sub_registry_with_prefix(PREFIX);
        ours.register(
            "toolsetconfigs",
            "ToolsetConfigs by the reason of their Ready condition",
            self.toolsetconfigs.clone(),
        );
        ours.register(
            "services_discovered",
            "Services recognised inside the sources, by type",
            self.services_discovered.clone(),
        );
        ours.register("tools", "Tools in the plans, by type and health", self.tools.clone());
        ours.register(
            "rejected_services",
            "Recognised Services that are no tools, by reason",
            self.rejected_services.clone(),
        );
        ours.register("configmap_bytes", "Size of the generated keys of all ConfigMaps", self.configmap_bytes.clone());
        ours.register("services_watched", "Services known, of whatever kind", self.services_watched.clone());
        ours.register(
            "discovery_duration_seconds",
            "Time to plan and render one ToolsetConfig",
            self.discovery_duration.clone(),
        );
        ours.register(
            "discovery_errors",
            "Outputs held because of an input, by input and reason",
            self.discovery_errors.clone(),
        );
        ours.register("reconciles", "Looks at a ToolsetConfig, by how they ended", self.reconciles.clone());
        ours.register(
            "reconcile_duration_seconds",
            "Time of one look, its requests included",
            self.reconcile_duration.clone(),
        );
        ours.register(
            "event_to_apply_seconds",
            "Time from receiving the event of a watch to the acknowledged apply of the ConfigMap",
            self.event_to_apply.clone(),
        );
        ours.register(
            "configmap_updates",
            "Acknowledged applies, by why they were made",
            self.configmap_updates.clone(),
        );
        ours.register(
            "configmap_drift_detected",
            "Times a ConfigMap was found changed by others",
            self.configmap_drift.clone(),
        );
        ours.register("health_checks", "Health verdicts, by type and result", self.health_checks.clone());
        ours.register(
            "health_check_duration_seconds",
            "Time to judge the health of one plan",
            self.health_check_duration.clone(),
        );
        ours.register(
            "watch_synced",
            "1 if every watch of the input has listed and is in contact",
            self.watch_synced.clone(),
        );
        ours.register(
            "watch_last_event_timestamp_seconds",
            "When the input last had news",
            self.watch_last_event.clone(),
        );
        ours.register("watch_errors", "Errors of watches, by input and reason", self.watch_errors.clone());
        ours.register("leader", "1 if this replica writes", self.leader.clone());
        ours.register("build", "What is running", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        self.registry.register_collector(Box::new(Process));
    }

    /// The exposition in the OpenMetrics text format.
    ///
    /// Fails only if a metric cannot be formatted.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// How many Services are known.
    pub fn services_watched(&self, count: usize) {
        self.services_watched.set(number(count));
    }

    /// News from an input.
    pub fn event_received(&self, input: Input) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.watch_last_event.get_or_create(&OfInput { input: input.as_str() }).set(now.as_secs_f64());
    }

    /// A watch met an error.
    pub fn watch_failed(&self, input: Input, cause: Cause) {
        let labels = OfInputWithReason { input: input.as_str(), reason: cause.as_str() };
        self.watch_errors.get_or_create(&labels).inc();
    }

    /// What an input is worth now.
    pub fn standing(&self, input: Input, standing: Standing) {
        let synced = i64::from(standing == Standing::Synced);
        self.watch_synced.get_or_create(&OfInput { input: input.as_str() }).set(synced);
    }

    /// Nobody needs this input any more: it is neither synced nor in trouble.
    pub fn unneeded(&self, input: Input) {
        self.watch_synced.remove(&OfInput { input: input.as_str() });
    }

    /// Whether this replica writes.
    pub fn leader(&self, leading: bool) {
        self.leader.set(i64::from(leading));
    }

    /// An output was held because of an input.
    pub fn held(&self, input: Input, forbidden: bool) {
        let reason = if forbidden { HELD_FORBIDDEN } else { HELD_STALE };
        self.discovery_errors.get_or_create(&OfInputWithReason { input: input.as_str(), reason }).inc();
    }

    /// A look at a ToolsetConfig ended.
    pub fn looked(&self, how: Looked, took: Duration) {
        self.reconciles.get_or_create(&WithResult { result: how.as_str() }).inc();
        self.reconcile_duration.observe(took.as_secs_f64());
    }

    /// A ConfigMap was changed by somebody else.
    pub fn drifted(&self) {
        self.configmap_drift.inc();
    }

    /// A ConfigMap was written; `since` is how long ago the event was received that led to it.
    pub fn applied(&self, operation: Operation, since: Option<Duration>) {
        self.configmap_updates.get_or_create(&WithOperation { operation: operation.as_str() }).inc();
        if let Some(since) = since {
            self.event_to_apply.observe(since.as_secs_f64());
        }
    }

    /// A plan was made.
    pub fn planned(&self, name: &ObjectName, plan: &Plan, bytes: usize, took: Duration, judging: Duration) {
        self.discovery_duration.observe(took.as_secs_f64());
        self.health_check_duration.observe(judging.as_secs_f64());
        let mut counts = PlanCounts { bytes: number(bytes), ..PlanCounts::default() };
        for (product, count) in &plan.candidates {
            counts.discovered.insert(product.as_str(), number(*count));
        }
        for tool in &plan.tools {
            let (kind, health) = (tool.product.as_str(), tool.health.as_str());
            *counts.tools.entry((kind, health)).or_default() += 1;
            let result = match tool.health {
                Health::Healthy => "healthy",
                Health::Unhealthy => "unhealthy",
                Health::Unknown => continue,
            };
            self.health_checks.get_or_create(&OfTypeAndResult { r#type: kind, result }).inc();
        }
        for rejection in &plan.rejected {
            if let (ServiceReason::Unhealthy, Some(product)) = (rejection.reason, rejection.product) {
                let labels = OfTypeAndResult { r#type: product.as_str(), result: "unhealthy" };
                self.health_checks.get_or_create(&labels).inc();
            }
            *counts.rejected.entry(rejection.reason.as_str()).or_default() += 1;
        }
        let mut plans = self.lock();
        plans.insert(name.clone(), counts);
        self.publish(&plans);
    }

    /// The Ready condition of a ToolsetConfig has this reason.
    pub fn judged(&self, name: &ObjectName, reason: Reason) {
        let mut verdicts = self.verdicts();
        if verdicts.insert(name.clone(), reason) != Some(reason) {
            self.publish_verdicts(&verdicts);
        }
    }

    /// This replica stands by from now on: what it planned is told by another one.
    pub fn forget_all(&self) {
        let mut verdicts = self.verdicts();
        verdicts.clear();
        self.publish_verdicts(&verdicts);
        let mut plans = self.lock();
        plans.clear();
        self.publish(&plans);
    }

    /// A ToolsetConfig is gone, or cannot be read.
    pub fn forget_plan(&self, name: &ObjectName) {
        let mut verdicts = self.verdicts();
        if verdicts.remove(name).is_some() {
            self.publish_verdicts(&verdicts);
        }
        let mut plans = self.lock();
        if plans.remove(name).is_some() {
            self.publish(&plans);
        }
    }

    fn publish(&self, plans: &BTreeMap<ObjectName, PlanCounts>) {
        self.services_discovered.clear();
        self.tools.clear();
        self.rejected_services.clear();
        for counts in plans.values() {
            for (kind, count) in &counts.discovered {
                self.services_discovered.get_or_create(&OfType { r#type: kind }).inc_by(*count);
            }
            for ((kind, health), count) in &counts.tools {
                self.tools.get_or_create(&OfTypeAndHealth { r#type: kind, health }).inc_by(*count);
            }
            for (reason, count) in &counts.rejected {
                self.rejected_services.get_or_create(&WithReason { reason }).inc_by(*count);
            }
        }
        self.configmap_bytes.set(plans.values().map(|counts| counts.bytes).sum());
    }

    fn publish_verdicts(&self, verdicts: &BTreeMap<ObjectName, Reason>) {
        self.toolsetconfigs.clear();
        for reason in verdicts.values() {
            self.toolsetconfigs.get_or_create(&WithReason { reason: reason.as_str() }).inc();
        }
    }

    fn verdicts(&self) -> MutexGuard<'_, BTreeMap<ObjectName, Reason>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectName, PlanCounts>> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const HELD_FORBIDDEN: &str = "InputForbidden";
const HELD_STALE: &str = "InputStale";

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toolset_configs_are_counted_by_the_reason_of_their_ready_condition() {
        let metrics = Metrics::new();
        let (a, b) = (ObjectName::new("n", "a"), ObjectName::new("n", "b"));
        metrics.judged(&a, Reason::AsExpected);
        metrics.judged(&b, Reason::AsExpected);
        metrics.judged(&b, Reason::OutputConflict);
        let text = metrics.encode().unwrap();
        assert!(text.contains("dynamictoolset_toolsetconfigs{reason=\"AsExpected\"} 1\n"), "{text}");
        assert!(text.contains("dynamictoolset_toolsetconfigs{reason=\"OutputConflict\"} 1\n"), "{text}");
        metrics.forget_plan(&b);
        assert!(!metrics.encode().unwrap().contains("OutputConflict"));
        metrics.forget_all();
        assert!(!metrics.encode().unwrap().contains("AsExpected"));
    }

    #[test]
    fn every_metric_of_the_contract_is_exposed_under_its_name() {
        let metrics = Metrics::new();
        metrics.event_received(Input::Service);
        metrics.standing(Input::Service, Standing::Synced);
        let text = metrics.encode().unwrap();
        for line in [
            "dynamictoolset_watch_synced{input=\"Service\"} 1",
            "dynamictoolset_watch_errors_total{input=\"Service\",reason=\"Forbidden\"} 0",
            "dynamictoolset_configmap_updates_total{operation=\"create\"} 0",
            "dynamictoolset_configmap_drift_detected_total 0",
            "dynamictoolset_event_to_apply_seconds_count 0",
            "dynamictoolset_leader 0",
            "dynamictoolset_build_info{version=",
            "dynamictoolset_services_watched 0",
            "process_resident_memory_bytes ",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_toolset_config_that_is_gone_leaves_the_sums() {
        let (metrics, name) = (Metrics::new(), ObjectName::new("n", "c"));
        let mut plan = Plan::default();
        plan.candidates.insert(detectors::Product::Grafana, 2);
        metrics.planned(&name, &plan, 100, Duration::ZERO, Duration::ZERO);
        assert!(metrics.encode().unwrap().contains("dynamictoolset_services_discovered{type=\"Grafana\"} 2"));
        metrics.forget_plan(&name);
        assert!(!metrics.encode().unwrap().contains("Grafana"));
    }
}
