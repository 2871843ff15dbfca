//! What the agent's own discovery would name on the same clusters.
//!
//! HolmesGPT looks for a Prometheus if none is configured (`holmes/plugins/toolsets/service_discovery.py`, called by
//! `prometheus/prometheus.py`). It tries label selectors in order over all namespaces, takes the first Service of the
//! first selector that matches any, and calls `http://<name>.<namespace>.svc.<domain>:<port>` with the first port of
//! that Service. It looks for no other product.

use std::{collections::BTreeMap, fmt::Write as _};

use detectors::{Product, Scheme, ServiceView};

/// The agent whose discovery this is.
pub const VERSION: &str = "HolmesGPT 0.45.0";

/// A requirement of a label selector.
enum Requirement {
    /// `key=value`.
    Is(&'static str, &'static str),
    /// `key!=value`, which holds also without the label.
    IsNot(&'static str, &'static str),
}
use Requirement::{Is, IsNot};

/// The selectors in the order in which they are tried: those for Prometheus and Thanos, then those for VictoriaMetrics.
const SELECTORS: [&[Requirement]; 14] = [
    &[Is("app", "kube-prometheus-stack-prometheus")],
    &[Is("app", "prometheus"), Is("component", "server"), IsNot("release", "kubecost")],
    &[Is("app", "prometheus-server")],
    &[Is("app", "prometheus-operator-prometheus")],
    &[Is("app", "rancher-monitoring-prometheus")],
    &[Is("app", "prometheus-prometheus")],
    &[Is("app.kubernetes.io/component", "query"), Is("app.kubernetes.io/name", "thanos")],
    &[Is("app.kubernetes.io/name", "thanos-query")],
    &[Is("app", "thanos-query")],
    &[Is("app", "thanos-querier")],
    &[Is("app.kubernetes.io/name", "vmsingle")],
    &[Is("app.kubernetes.io/name", "victoria-metrics-single")],
    &[Is("app.kubernetes.io/name", "vmselect")],
    &[Is("app", "vmselect")],
];

/// What a Service really is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It answers PromQL here.
    Usable {
        /// The port to call.
        port: u16,
        /// The scheme of that port.
        scheme: Scheme,
        /// The path prefix.
        path: String,
    },
    /// It answers PromQL, and another Service is preferred.
    Alternate,
    /// It does not answer PromQL.
    Other,
}

/// Where somebody would call a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The port.
    pub port: u16,
    /// The scheme.
    pub scheme: Scheme,
    /// The path prefix.
    pub path: String,
}

/// A Service of a cluster.
pub struct Service<'a> {
    /// The cluster.
    pub cluster: &'a str,
    /// The Service.
    pub view: &'a ServiceView,
    /// What it really is.
    pub truth: Truth,
    /// Where our rules call it, if they choose it for PromQL.
    pub ours: Option<Call>,
}

/// Whether a product answers PromQL. Cortex has no detector; its API is that of Mimir.
pub fn answers_promql(product: Product) -> bool {
    matches!(product, Product::Prometheus | Product::Thanos | Product::Mimir | Product::VictoriaMetrics)
}

/// How a cluster's PromQL endpoint was named.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// A Service and port that answer PromQL.
    right: u32,
    /// Of these: with another scheme or path than the endpoint has, so that a query fails.
    broken: u32,
    /// Something else.
    wrong: u32,
    /// Nothing at all.
    nothing: u32,
}

/// The comparison on all clusters that have an endpoint for PromQL.
#[derive(Debug, Default)]
pub struct Comparison {
    clusters: u32,
    agent: Count,
    ours: Count,
}

/// Compares the agent's discovery with ours, cluster by cluster. We are right on a cluster only if nothing that we
/// choose for PromQL is wrong.
pub fn compare(services: &[Service<'_>]) -> Comparison {
    let mut clusters: BTreeMap<&str, Vec<&Service<'_>>> = BTreeMap::new();
    for service in services {
        clusters.entry(service.cluster).or_default().push(service);
    }
    let mut comparison = Comparison::default();
    for mut services in clusters.into_values() {
        if !services.iter().any(|service| matches!(service.truth, Truth::Usable { .. })) {
            continue;
        }
        // The order in which the API server lists them.
        services.sort_by_key(|service| service.view.key.to_string());
        comparison.clusters += 1;
        comparison.agent.add(by_agent(&services).as_slice());
        let ours: Vec<(&Truth, Call)> =
            services.iter().filter_map(|service| Some((&service.truth, service.ours.clone()?))).collect();
        comparison.ours.add(&ours);
    }
    comparison
}

/// What the agent names.
fn by_agent<'a>(services: &[&'a Service<'_>]) -> Option<(&'a Truth, Call)> {
    SELECTORS.iter().find_map(|selector| {
        let first = services.iter().find(|service| selector.iter().all(|one| one.holds(service.view)))?;
        let port = first.view.ports.first()?.port;
        Some((&first.truth, Call { port, scheme: Scheme::Http, path: String::new() }))
    })
}

impl Requirement {
    fn holds(&self, view: &ServiceView) -> bool {
        match self {
            Is(key, value) => view.labels.get(key) == Some(value),
            IsNot(key, value) => view.labels.get(key) != Some(value),
        }
    }
}

impl Count {
    /// Counts what was named on one cluster.
    fn add(&mut self, named: &[(&Truth, Call)]) {
        let is_right = |(truth, call): &(&Truth, Call)| match truth {
            Truth::Usable { port, .. } => *port == call.port,
            Truth::Alternate => true,
            Truth::Other => false,
        };
        let is_broken = |(truth, call): &(&Truth, Call)| match truth {
            Truth::Usable { scheme, path, .. } => *scheme != call.scheme || *path != call.path,
            Truth::Alternate | Truth::Other => false,
        };
        if named.is_empty() {
            self.nothing += 1;
        } else if named.iter().all(is_right) {
            self.right += 1;
            self.broken += u32::from(named.iter().any(is_broken));
        } else {
            self.wrong += 1;
        }
    }
}

impl Comparison {
    /// The comparison as a table.
    pub fn table(&self) -> String {
        let mut text = format!(
            "\nPromQL endpoints: what the agent's own discovery ({VERSION}) and ours name on {} clusters that have one\n\
             {:<24}{:>7}{:>32}{:>7}{:>9}\n",
            self.clusters, "", "right", "of these, wrong scheme or path", "wrong", "nothing"
        );
        for (who, count) in [("the agent's discovery", self.agent), ("ours", self.ours)] {
            let Count { right, broken, wrong, nothing } = count;
            let _ = writeln!(text, "{who:<24}{right:>7}{broken:>32}{wrong:>7}{nothing:>9}");
        }
        text
    }

    /// The comparison as `key=value` pairs.
    pub fn pairs(&self) -> String {
        let Self { clusters, agent, ours } = self;
        format!(
            "promql_clusters={clusters} agent_right={} agent_broken={} agent_wrong={} agent_nothing={} \
             ours_right={} ours_broken={} ours_wrong={} ours_nothing={}",
            agent.right, agent.broken, agent.wrong, agent.nothing, ours.right, ours.broken, ours.wrong, ours.nothing
        )
    }
}
