//! The metrics. No label comes from a request.
//!
//! Every series exists from the start, so that a rate has a beginning and an observation only finds its number.

#[cfg(target_os = "linux")]
mod process;
mod words;

use std::time::Duration;

use audit::{Kind, Reason, redact::Class};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry},
};

pub use self::words::{AUTH_RESULTS, DualWriteFailure, Operation, SEARCH_PATHS, WriteStatus};
use self::words::{KINDS, REFUSALS, table};

/// Buckets of durations, in seconds.
const SECONDS: [f64; 13] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets of the number of records of one transaction.
const RECORDS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Whether a query had an answer.
const QUERY_STATUS: [&str; 2] = ["success", "failure"];

/// All metrics and their registry.
pub struct Metrics {
    registry: Registry,
    write: Vec<Counter>,
    write_duration: Vec<Histogram>,
    dualwrite_success: Counter,
    dualwrite_failure: Vec<Counter>,
    fallback_mode: Counter,
    cache_hits: Counter,
    cache_misses: Counter,
    embedding_duration: Histogram,
    /// In the order of [`REFUSALS`].
    validation_failures: Vec<Vec<Counter>>,
    query: Vec<Counter>,
    query_duration: Vec<Histogram>,
    database_up: Gauge,
    pool_connections: Vec<Gauge>,
    write_queue_depth: Gauge,
    write_batch_size: Histogram,
    embedding_backlog: Gauge,
    auth: Vec<Counter>,
    redactions: Vec<Counter>,
    chain_seq: Gauge,
    retention_dropped: Counter,
    search_path: Vec<Counter>,
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

/// Registers one metric without labels.
fn one<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// Registers a metric with all combinations of its labels, and returns their numbers in this order.
fn all<L, M>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    make: fn() -> M,
    labels: impl IntoIterator<Item = L>,
) -> Vec<M>
where
    L: EncodeLabelSet + std::fmt::Debug + Clone + std::hash::Hash + Eq + Send + Sync + 'static,
    M: Metric + Clone,
    Family<L, M, fn() -> M>: Metric,
{
    let family: Family<L, M, fn() -> M> = Family::new_with_constructor(make);
    registry.register(name, help, family.clone());
    labels.into_iter().map(|labels| family.get_or_create(&labels).clone()).collect()
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    #[allow(clippy::too_many_lines, reason = "one list of all metrics")]
    pub fn new() -> Self {
        let mut whole = Registry::default();
        #[cfg(target_os = "linux")]
        whole.register_collector(Box::new(process::Process));
        let registry = whole.sub_registry_with_prefix("datastorage");
        let counter = Counter::<u64>::default;
        let statuses = KINDS.into_iter().flat_map(|kind| {
            WriteStatus::ALL.iter().map(move |status| [("table", table(kind)), ("status", status.as_str())])
        });
        let queries = Operation::ALL
            .iter()
            .flat_map(|operation| QUERY_STATUS.map(|status| [("operation", operation.as_str()), ("status", status)]));
        let refusals = REFUSALS.iter().flat_map(|(field, reasons)| {
            reasons.iter().map(move |reason| [("field", *field), ("reason", reason.as_str())])
        });
        let mut refused =
            all(registry, "validation_failures", "Invalid fields, by reason", counter, refusals).into_iter();
        Self {
            write: all(registry, "write", "Records that clients sent, by table and result", counter, statuses),
            write_duration: all(
                registry,
                "write_duration_seconds",
                "Time until the service answered a write",
                seconds,
                KINDS.map(|kind| [("table", table(kind))]),
            ),
            dualwrite_success: one(
                registry,
                "dualwrite_success",
                "Records that were stored and that have a vector",
                counter(),
            ),
            dualwrite_failure: all(
                registry,
                "dualwrite_failure",
                "Records that could not be stored, or whose vector could not be made or stored, by reason",
                counter,
                DualWriteFailure::ALL.iter().map(|reason| [("reason", reason.as_str())]),
            ),
            fallback_mode: one(
                registry,
                "fallback_mode",
                "Records that were stored while vectors were not available",
                counter(),
            ),
            cache_hits: one(registry, "cache_hits", "Vectors that the cache or the database had", counter()),
            cache_misses: one(registry, "cache_misses", "Vectors that the provider had to make", counter()),
            embedding_duration: one(
                registry,
                "embedding_generation_duration_seconds",
                "Time until the provider answered",
                seconds(),
            ),
            validation_failures: REFUSALS
                .iter()
                .map(|(_, reasons)| refused.by_ref().take(reasons.len()).collect())
                .collect(),
            query: all(registry, "query", "Queries, by operation and result", counter, queries),
            query_duration: all(
                registry,
                "query_duration_seconds",
                "Time until the service answered a query",
                seconds,
                Operation::ALL.iter().map(|operation| [("operation", operation.as_str())]),
            ),
            database_up: one(registry, "database_up", "1 if this replica can use the database", Gauge::default()),
            pool_connections: all(
                registry,
                "pool_connections",
                "Connections for queries, by state",
                Gauge::<i64>::default,
                ["used", "idle"].map(|state| [("state", state)]),
            ),
            write_queue_depth: one(registry, "write_queue_depth", "Records that wait for the writer", Gauge::default()),
            write_batch_size: one(registry, "write_batch_size", "Records in one transaction", Histogram::new(RECORDS)),
            embedding_backlog: one(registry, "embedding_backlog", "Texts that wait for a vector", Gauge::default()),
            auth: all(
                registry,
                "auth",
                "Requests, by result of authentication",
                counter,
                AUTH_RESULTS.map(|result| [("result", result)]),
            ),
            redactions: all(
                registry,
                "redactions",
                "Secrets that were replaced, by class",
                counter,
                Class::ALL.iter().map(|class| [("class", class.as_str())]),
            ),
            chain_seq: one(registry, "chain_seq", "The number of the newest record", Gauge::default()),
            retention_dropped: one(registry, "retention_dropped", "Months that were dropped", counter()),
            search_path: all(
                registry,
                "search_path",
                "Searches, by plan",
                counter,
                SEARCH_PATHS.map(|path| [("path", path)]),
            ),
            registry: whole,
        }
    }

    /// The metrics in the text format of Prometheus.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts a record of a write.
    pub fn write(&self, kind: Kind, status: WriteStatus) {
        increase(self.write.get(kind as usize * WriteStatus::ALL.len() + status as usize), 1);
    }

    /// Observes the time until the write of a record was answered.
    pub fn write_duration(&self, kind: Kind, took: Duration) {
        observe(self.write_duration.get(kind as usize), took);
    }

    /// Counts records that are durable together with their vector.
    pub fn dualwrite_success(&self, records: u64) {
        self.dualwrite_success.inc_by(records);
    }

    /// Counts records that are not durable, or whose vector is not.
    pub fn dualwrite_failure(&self, reason: DualWriteFailure, records: u64) {
        increase(self.dualwrite_failure.get(reason as usize), records);
    }

    /// Counts records that were written while vectors were not available.
    pub fn fallback_mode(&self, records: u64) {
        self.fallback_mode.inc_by(records);
    }

    /// Counts vectors that were or were not in the cache.
    pub fn cache(&self, hits: u64, misses: u64) {
        self.cache_hits.inc_by(hits);
        self.cache_misses.inc_by(misses);
    }

    /// Observes how long the provider took.
    pub fn embedding_duration(&self, took: Duration) {
        self.embedding_duration.observe(took.as_secs_f64());
    }

    /// Counts a refused field. What is inside of a field counts for the field, such as `actor.id`, and what is none counts as
    /// `other`.
    pub fn validation_failure(&self, field: &str, reason: Reason) {
        let outer = field.split(['.', '[']).next().unwrap_or_default();
        let known = REFUSALS.iter().zip(&self.validation_failures).find_map(|((name, reasons), counters)| {
            let index = reasons.iter().position(|known| *known == reason).unwrap_or_default();
            if *name == outer { counters.get(index) } else { None }
        });
        increase(known.or_else(|| self.validation_failures.last()?.first()), 1);
    }

    /// Counts a query and observes its time.
    pub fn query(&self, operation: Operation, succeeded: bool, took: Duration) {
        increase(self.query.get(operation as usize * QUERY_STATUS.len() + usize::from(!succeeded)), 1);
        observe(self.query_duration.get(operation as usize), took);
    }

    /// Says whether the database answers.
    pub fn database_up(&self, up: bool) {
        self.database_up.set(up.into());
    }

    /// Says how many connections are in use and idle.
    pub fn pool_connections(&self, used: usize, idle: usize) {
        for (gauge, number) in self.pool_connections.iter().zip([used, idle]) {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }

    /// Says how many records wait for the writer.
    pub fn write_queue_depth(&self, records: i64) {
        self.write_queue_depth.set(records);
    }

    /// Observes the number of records of one transaction.
    pub fn write_batch_size(&self, records: u32) {
        self.write_batch_size.observe(records.into());
    }

    /// Says how many texts wait for their vector.
    pub fn embedding_backlog(&self, texts: i64) {
        self.embedding_backlog.set(texts);
    }

    /// Counts a request by the result of its authentication, one of [`AUTH_RESULTS`].
    pub fn auth(&self, result: &'static str) {
        increase(AUTH_RESULTS.iter().position(|known| *known == result).and_then(|index| self.auth.get(index)), 1);
    }

    /// Counts secrets that were replaced.
    pub fn redactions(&self, class: Class, count: u64) {
        increase(self.redactions.get(class.index()), count);
    }

    /// Says the number of the newest record.
    pub fn chain_seq(&self, seq: i64) {
        self.chain_seq.set(seq);
    }

    /// Counts months that were dropped.
    pub fn retention_dropped(&self, months: u64) {
        self.retention_dropped.inc_by(months);
    }

    /// Counts a search by the plan that was chosen, one of [`SEARCH_PATHS`].
    pub fn search_path(&self, path: &'static str) {
        increase(SEARCH_PATHS.iter().position(|known| *known == path).and_then(|index| self.search_path.get(index)), 1);
    }
}

/// Every index is in range, as the tests show.
fn increase(counter: Option<&Counter>, by: u64) {
    if let Some(counter) = counter {
        counter.inc_by(by);
    }
}

fn observe(histogram: Option<&Histogram>, took: Duration) {
    if let Some(histogram) = histogram {
        histogram.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn has(metrics: &Metrics, line: &str) {
        let text = metrics.render().unwrap();
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }

    #[test]
    fn every_series_exists_from_the_start() {
        let metrics = Metrics::new();
        for line in [
            "datastorage_write_total{table=\"execution_audit\",status=\"success\"} 0",
            "datastorage_write_duration_seconds_count{table=\"system_audit\"} 0",
            "datastorage_dualwrite_success_total 0",
            "datastorage_dualwrite_failure_total{reason=\"context_canceled\"} 0",
            "datastorage_fallback_mode_total 0",
            "datastorage_cache_hits_total 0",
            "datastorage_cache_misses_total 0",
            "datastorage_embedding_generation_duration_seconds_count 0",
            "datastorage_validation_failures_total{field=\"name\",reason=\"xss_detected\"} 0",
            "datastorage_query_total{operation=\"semantic_search\",status=\"failure\"} 0",
            "datastorage_query_duration_seconds_count{operation=\"export\"} 0",
            "datastorage_database_up 0",
            "datastorage_pool_connections{state=\"idle\"} 0",
            "datastorage_write_queue_depth 0",
            "datastorage_write_batch_size_count 0",
            "datastorage_embedding_backlog 0",
            "datastorage_auth_total{result=\"unauthorized\"} 0",
            "datastorage_redactions_total{class=\"jwt\"} 0",
            "datastorage_chain_seq 0",
            "datastorage_retention_dropped_total 0",
            "datastorage_search_path_total{path=\"exact\"} 0",
        ] {
            has(&metrics, line);
        }
    }

    #[test]
    fn no_metric_has_more_than_a_hundred_combinations_of_labels() {
        let text = Metrics::new().render().unwrap();
        let mut combinations: BTreeMap<&str, usize> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{")) {
            *combinations.entry(line.split(['{', ' ']).next().unwrap()).or_default() += 1;
        }
        let most = combinations.into_iter().max_by_key(|(_, number)| *number).unwrap();
        assert!(most.1 <= 100, "{most:?}");
    }

    #[test]
    fn each_number_belongs_to_its_labels() {
        let metrics = Metrics::new();
        for (times, kind) in (1..).zip(KINDS) {
            for _ in 0..times {
                metrics.write(kind, WriteStatus::Duplicate);
                metrics.write_duration(kind, Duration::from_millis(1));
            }
        }
        has(&metrics, "datastorage_write_total{table=\"remediation_audit\",status=\"duplicate\"} 1");
        has(&metrics, "datastorage_write_total{table=\"system_audit\",status=\"duplicate\"} 6");
        has(&metrics, "datastorage_write_duration_seconds_count{table=\"toolset_audit\"} 5");
        metrics.query(Operation::Verify, false, Duration::ZERO);
        has(&metrics, "datastorage_query_total{operation=\"verify\",status=\"failure\"} 1");
        has(&metrics, "datastorage_query_total{operation=\"verify\",status=\"success\"} 0");
        metrics.dualwrite_failure(DualWriteFailure::TransactionRollback, 3);
        has(&metrics, "datastorage_dualwrite_failure_total{reason=\"transaction_rollback\"} 3");
        for class in Class::ALL {
            metrics.redactions(*class, class.index() as u64 + 1);
        }
        has(&metrics, "datastorage_redactions_total{class=\"private_key\"} 1");
        metrics.auth("forbidden");
        has(&metrics, "datastorage_auth_total{result=\"forbidden\"} 1");
    }

    #[test]
    fn a_refused_field_counts_by_its_own_name_and_never_by_one_of_the_client() {
        let metrics = Metrics::new();
        metrics.validation_failure("actor.id", Reason::LengthExceeded);
        metrics.validation_failure("data.items[3]", Reason::Invalid);
        metrics.validation_failure("kind", Reason::XssDetected);
        metrics.validation_failure("<script>", Reason::Invalid);
        has(&metrics, "datastorage_validation_failures_total{field=\"actor\",reason=\"length_exceeded\"} 1");
        has(&metrics, "datastorage_validation_failures_total{field=\"data\",reason=\"invalid\"} 1");
        has(&metrics, "datastorage_validation_failures_total{field=\"kind\",reason=\"invalid\"} 1");
        has(&metrics, "datastorage_validation_failures_total{field=\"other\",reason=\"invalid\"} 1");
        assert!(!metrics.render().unwrap().contains("<script"));
    }
}
