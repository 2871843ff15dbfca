//! The metrics. The values of labels come from closed sets, except the names of ToolsetConfigs. They never contain a
//! Service or a message.

mod agents;
mod audit;
mod configs;
mod labels;
mod plans;
mod process;

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use audit_client::Client;
use crd_types::Reason;
use detectors::Product;
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use toolset::{Plan, status::Input};

pub(crate) use self::labels::{HealthCheck, Operation, PodRead, ReconcileResult};
use self::{
    agents::{AgentShare, AgentShares},
    audit::Records,
    configs::Configs,
    labels::{OfInput, OfInputWithReason, OfTypeWithResult, WithOperation, WithResult},
    plans::{Count, Gauges, Plans, number},
    process::Process,
};
use crate::api::{Cause, NamespacedName};

/// The prefix of the names of our metrics.
const PREFIX: &str = "dynamictoolset";

/// Every input.
const INPUTS: [Input; 5] =
    [Input::Service, Input::EndpointSlice, Input::Namespace, Input::ToolsetConfig, Input::ConfigMap];

/// Buckets for requests, from a fast answer to an overloaded control plane.
const LATENCIES: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Buckets for computations, from a few Services to tens of thousands.
const COMPUTATIONS: [f64; 11] = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5];

type Seconds = Gauge<f64, AtomicU64>;

/// All metrics and their registry.
pub(crate) struct Metrics {
    registry: Registry,
    plans: Mutex<Plans>,
    agents: AgentShares,
    records: Records,
    configs: Configs,
    gauges: Gauges,
    services_watched: Count,
    discovery_duration: Histogram,
    discovery_errors: Family<OfInputWithReason, Counter>,
    reconciles: Family<WithResult, Counter>,
    reconcile_duration: Histogram,
    event_to_apply: Histogram,
    configmap_updates: Family<WithOperation, Counter>,
    configmap_drift: Counter,
    pod_reads: Family<WithResult, Counter>,
    health_checks: Family<OfTypeWithResult, Counter>,
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
    /// All metrics at zero.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            plans: Mutex::default(),
            agents: AgentShares::default(),
            records: Records::default(),
            configs: Configs::default(),
            gauges: Gauges::default(),
            services_watched: Gauge::default(),
            discovery_duration: Histogram::new(COMPUTATIONS),
            discovery_errors: Family::default(),
            reconciles: Family::default(),
            reconcile_duration: Histogram::new(LATENCIES),
            event_to_apply: Histogram::new(LATENCIES),
            configmap_updates: Family::default(),
            configmap_drift: Counter::default(),
            pod_reads: Family::default(),
            health_checks: Family::default(),
            health_check_duration: Histogram::new(LATENCIES),
            watch_synced: Family::default(),
            watch_last_event: Family::default(),
            watch_errors: Family::default(),
            leader: Gauge::default(),
        };
        metrics.start_at_zero();
        metrics.register();
        metrics
    }

    /// Creates the series at zero, because a rate over a series that appears with its first error misses that error.
    fn start_at_zero(&self) {
        for result in ReconcileResult::ALL {
            self.reconciles.get_or_create(&WithResult { result: result.as_str() }).inc_by(0);
        }
        for result in PodRead::ALL {
            self.pod_reads.get_or_create(&WithResult { result: result.as_str() }).inc_by(0);
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
            "ToolsetConfigs by reason of their Ready condition",
            self.gauges.toolsetconfigs.clone(),
        );
        ours.register(
            "services_discovered",
            "Recognised Services in the sources, by type",
            self.gauges.services_discovered.clone(),
        );
        ours.register("tools", "Tools by type and health", self.gauges.tools.clone());
        ours.register(
            "rejected_services",
            "Recognised Services that are not tools, by reason",
            self.gauges.rejected_services.clone(),
        );
        ours.register(
            "configmap_bytes",
            "Size of the generated keys of all ConfigMaps",
            self.gauges.configmap_bytes.clone(),
        );
        ours.register("services_watched", "Watched Services", self.services_watched.clone());
        ours.register(
            "discovery_duration_seconds",
            "Time to plan and render the tools of a ToolsetConfig",
            self.discovery_duration.clone(),
        );
        ours.register(
            "discovery_errors",
            "Outputs that were held because an input could not be read, by input and reason",
            self.discovery_errors.clone(),
        );
        ours.register("reconciles", "Reconciliations by result", self.reconciles.clone());
        ours.register(
            "reconcile_duration_seconds",
            "Duration of a reconciliation, including the write of the ConfigMap",
            self.reconcile_duration.clone(),
        );
        ours.register(
            "event_to_apply_seconds",
            "Time from receiving a watch event to the acknowledged apply of the ConfigMap",
            self.event_to_apply.clone(),
        );
        ours.register(
            "configmap_updates",
            "Acknowledged applies of ConfigMaps by operation",
            self.configmap_updates.clone(),
        );
        ours.register(
            "configmap_drift_detected",
            "ConfigMap changes by other field managers that the operator detected",
            self.configmap_drift.clone(),
        );
        ours.register("pod_reads", "Reads of Pods as evidence, by result", self.pod_reads.clone());
        ours.register("health_checks", "Health probes of Services, by type and result", self.health_checks.clone());
        ours.register(
            "health_check_duration_seconds",
            "Duration of a health probe of a Service",
            self.health_check_duration.clone(),
        );
        ours.register(
            "watch_synced",
            "Whether every watch of the input has completed its first list and has contact with the API server",
            self.watch_synced.clone(),
        );
        ours.register(
            "watch_last_event_timestamp_seconds",
            "Time of the last event of the input",
            self.watch_last_event.clone(),
        );
        ours.register("watch_errors", "Watch errors by input and reason", self.watch_errors.clone());
        ours.register("leader", "Whether this replica is the leader", self.leader.clone());
        ours.register("build", "Version of the operator", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        self.registry.register_collector(Box::new(self.agents.clone()));
        self.registry.register_collector(Box::new(self.configs.clone()));
        self.registry.register_collector(Box::new(self.records.clone()));
        self.registry.register_collector(Box::new(Process));
    }

    /// The exposition in the OpenMetrics text format.
    ///
    /// Fails only if a metric cannot be formatted.
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Sets the number of known Services.
    pub(crate) fn services_watched(&self, count: usize) {
        self.services_watched.set(number(count));
    }

    /// Records the time of an input's last event.
    pub(crate) fn event_received(&self, input: Input) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.watch_last_event.get_or_create(&OfInput { input: input.as_str() }).set(now.as_secs_f64());
    }

    /// Counts an error of a watch.
    pub(crate) fn watch_failed(&self, input: Input, cause: Cause) {
        let labels = OfInputWithReason { input: input.as_str(), reason: cause.as_str() };
        self.watch_errors.get_or_create(&labels).inc();
    }

    /// Sets whether every watch of an input has listed and is in contact.
    pub(crate) fn watch_synced(&self, input: Input, synced: bool) {
        self.watch_synced.get_or_create(&OfInput { input: input.as_str() }).set(i64::from(synced));
    }

    /// Removes the series of an input that no ToolsetConfig needs any more.
    pub(crate) fn watch_unneeded(&self, input: Input) {
        self.watch_synced.remove(&OfInput { input: input.as_str() });
    }

    /// Sets whether this replica leads.
    pub(crate) fn leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Counts an output that is held because of an input.
    pub(crate) fn held(&self, input: Input, forbidden: bool) {
        let reason = if forbidden { HELD_FORBIDDEN } else { HELD_STALE };
        self.discovery_errors.get_or_create(&OfInputWithReason { input: input.as_str(), reason }).inc();
    }

    /// Counts a reconcile and its duration.
    pub(crate) fn reconciled(&self, result: ReconcileResult, took: Duration) {
        self.reconciles.get_or_create(&WithResult { result: result.as_str() }).inc();
        self.reconcile_duration.observe(took.as_secs_f64());
    }

    /// Counts a change of a ConfigMap by somebody else.
    pub(crate) fn drifted(&self) {
        self.configmap_drift.inc();
    }

    /// Counts a read of a Pod.
    pub(crate) fn pod_read(&self, result: PodRead) {
        self.pod_reads.get_or_create(&WithResult { result: result.as_str() }).inc();
    }

    /// Counts a health probe of a Service and its duration.
    pub(crate) fn health_checked(&self, product: Product, result: HealthCheck, took: Duration) {
        let labels = OfTypeWithResult { r#type: product.as_str(), result: result.as_str() };
        self.health_checks.get_or_create(&labels).inc();
        self.health_check_duration.observe(took.as_secs_f64());
    }

    /// Counts a write of a ConfigMap. `since` is how long ago the event arrived that caused it.
    pub(crate) fn applied(&self, operation: Operation, since: Option<Duration>) {
        self.configmap_updates.get_or_create(&WithOperation { operation: operation.as_str() }).inc();
        if let Some(since) = since {
            self.event_to_apply.observe(since.as_secs_f64());
        }
    }

    /// Records a plan.
    pub(crate) fn planned(&self, name: &NamespacedName, plan: &Plan, bytes: usize, took: Duration) {
        self.discovery_duration.observe(took.as_secs_f64());
        self.configs.planned(name, plan.tools.len());
        self.plans().planned(&self.gauges, name, plan, bytes);
    }

    /// Records the reason of a ToolsetConfig's Ready condition.
    pub(crate) fn ready(&self, name: &NamespacedName, reason: Reason) {
        self.configs.ready(name, reason);
        self.plans().ready(&self.gauges, name, reason);
    }

    /// Records what is known of the agent of a ToolsetConfig. `None` if it is not observed.
    pub(crate) fn agent(&self, name: &NamespacedName, share: Option<AgentShare>) {
        self.agents.set(name, share);
    }

    /// Shows what becomes of the records that are left with this client.
    pub(crate) fn audit(&self, client: &Client) {
        self.records.of(client);
    }

    /// Removes all plans, because another replica leads and reports its own.
    pub(crate) fn forget_all(&self) {
        self.plans().forget_all(&self.gauges);
        self.agents.clear();
        self.configs.clear();
    }

    /// Removes a ToolsetConfig that was deleted or cannot be read.
    pub(crate) fn forget(&self, name: &NamespacedName) {
        self.plans().forget(&self.gauges, name);
        self.agents.set(name, None);
        self.configs.forget(name);
    }

    fn plans(&self) -> MutexGuard<'_, Plans> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const HELD_FORBIDDEN: &str = "InputForbidden";
const HELD_STALE: &str = "InputStale";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toolset_configs_are_counted_by_the_reason_of_their_ready_condition() {
        let metrics = Metrics::new();
        let (a, b) = (NamespacedName::new("n", "a"), NamespacedName::new("n", "b"));
        metrics.ready(&a, Reason::AsExpected);
        metrics.ready(&b, Reason::AsExpected);
        metrics.ready(&b, Reason::OutputConflict);
        let text = metrics.encode().unwrap();
        assert!(text.contains("dynamictoolset_toolsetconfigs{reason=\"AsExpected\"} 1\n"), "{text}");
        assert!(text.contains("dynamictoolset_toolsetconfigs{reason=\"OutputConflict\"} 1\n"), "{text}");
        metrics.forget(&b);
        assert!(!metrics.encode().unwrap().contains("OutputConflict"));
        metrics.forget_all();
        assert!(!metrics.encode().unwrap().contains("AsExpected"));
    }

    #[test]
    fn every_metric_of_the_contract_is_exposed_under_its_name() {
        let metrics = Metrics::new();
        metrics.event_received(Input::Service);
        metrics.watch_synced(Input::Service, true);
        metrics.health_checked(Product::Loki, HealthCheck::Failure, Duration::ZERO);
        let text = metrics.encode().unwrap();
        for line in [
            "dynamictoolset_watch_synced{input=\"Service\"} 1",
            "dynamictoolset_watch_errors_total{input=\"Service\",reason=\"Forbidden\"} 0",
            "dynamictoolset_configmap_updates_total{operation=\"create\"} 0",
            "dynamictoolset_configmap_drift_detected_total 0",
            "dynamictoolset_event_to_apply_seconds_count 0",
            "dynamictoolset_pod_reads_total{result=\"forbidden\"} 0",
            "dynamictoolset_leader 0",
            "dynamictoolset_health_checks_total{type=\"Loki\",result=\"failure\"} 1",
            "dynamictoolset_health_check_duration_seconds_count 1",
            "dynamictoolset_build_info{version=",
            "dynamictoolset_services_watched 0",
            "process_resident_memory_bytes ",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_toolset_config_that_is_gone_leaves_the_sums() {
        let (metrics, name) = (Metrics::new(), NamespacedName::new("n", "c"));
        let mut plan = Plan::default();
        plan.candidates.insert(Product::Grafana, 2);
        metrics.planned(&name, &plan, 100, Duration::ZERO);
        assert!(metrics.encode().unwrap().contains("dynamictoolset_services_discovered{type=\"Grafana\"} 2"));
        metrics.forget(&name);
        assert!(!metrics.encode().unwrap().contains("Grafana"));
    }
}
