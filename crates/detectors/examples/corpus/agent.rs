//! What the agent's own discovery would name on the same clusters.
//!
//! HolmesGPT looks for a Prometheus if none is configured (`holmes/plugins/toolsets/service_discovery.py`, called by
//! `prometheus/prometheus.py`). It tries label selectors in order over all namespaces, takes the first Service of the
//! first selector that matches any, and calls `http://<name>.<namespace>.svc.<domain>:<port>` with the first port of
//! that Service. It looks for no other product.

use std::{collections::BTreeMap, fmt::Write as _};

use detectors::{Finding, Product, Scheme, ServiceView, recognise};

use crate::{
    choose::{choose, endpoint},
    read::{Row, Truth},
    with_pods,
};

/// The agent whose discovery this is.
pub(crate) const VERSION: &str = "HolmesGPT 0.45.0";

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

/// A Service, and what our rules choose of it.
type Judged<'a> = (&'a Row, Option<&'a Finding>);

/// A Service that somebody would call, and where.
#[derive(Clone, Copy)]
struct Call<'a> {
    row: &'a Row,
    port: u16,
    scheme: Scheme,
    path: &'a str,
}

/// How a cluster's `PromQL` endpoint was named.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// A Service and port that answer `PromQL`.
    right: u32,
    /// Of these: with another scheme or path than the endpoint has, so that a query fails.
    broken: u32,
    /// Something else.
    wrong: u32,
    /// Nothing at all.
    nothing: u32,
}

/// The comparison on all clusters that have an endpoint for `PromQL`.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    clusters: u32,
    agent: Count,
    ours: Count,
}

/// Compares the agent's discovery with ours, cluster by cluster. Ours reads the Pods that the corpus has. We are right
/// on a cluster only if nothing that we choose for `PromQL` is wrong.
pub(crate) fn compare(rows: &[Row]) -> Comparison {
    let rows: Vec<&Row> = rows.iter().collect();
    let chosen = choose(&rows, |row| match &row.pod {
        Some(pod) => with_pods::recognise(row, pod),
        None => recognise(&row.view),
    });
    let mut clusters: BTreeMap<(usize, &str), Vec<Judged<'_>>> = BTreeMap::new();
    for (row, chosen) in rows.iter().zip(&chosen) {
        clusters.entry((row.file, &row.scenario)).or_default().push((row, chosen.as_ref()));
    }
    let mut comparison = Comparison::default();
    for mut services in clusters.into_values() {
        if !services.iter().any(|(row, _)| matches!(truth_of(row), Some(Truth::Usable { .. }))) {
            continue;
        }
        // The order in which the API server lists them.
        services.sort_by_key(|(row, _)| row.view.key.to_string());
        comparison.clusters += 1;
        comparison.agent.add(by_agent(&services).as_slice());
        let ours = services.iter().filter_map(|(row, chosen)| {
            let (_, target) = endpoint(*chosen).filter(|(product, _)| answers_promql(*product))?;
            Some(Call { row, port: target.port, scheme: target.scheme, path: &target.path })
        });
        comparison.ours.add(&ours.collect::<Vec<_>>());
    }
    comparison
}

fn answers_promql(product: Product) -> bool {
    matches!(product, Product::Prometheus | Product::Thanos | Product::Mimir | Product::VictoriaMetrics)
}

/// Where a Service answers `PromQL`, as far as the corpus knows. `None` if it does not. Cortex has no detector, and it
/// answers `PromQL`.
fn truth_of(row: &Row) -> Option<&Truth> {
    let (product, truth) = match &row.pod {
        Some(pod) => (pod.product, &pod.truth),
        None => (row.product, &row.truth),
    };
    let answers = product.or(row.product).is_some_and(answers_promql) || row.family == "cortex";
    Some(truth).filter(|truth| answers && !matches!(truth, Truth::Other))
}

/// What the agent names.
fn by_agent<'a>(services: &[Judged<'a>]) -> Option<Call<'a>> {
    SELECTORS.iter().find_map(|selector| {
        let (row, _) = services.iter().find(|(row, _)| selector.iter().all(|one| one.holds(&row.view)))?;
        let port = row.view.ports.first()?.port;
        Some(Call { row, port, scheme: Scheme::Http, path: "" })
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
    fn add(&mut self, named: &[Call<'_>]) {
        let is_right = |call: &Call<'_>| match truth_of(call.row) {
            Some(Truth::Usable { port, .. }) => *port == call.port,
            Some(Truth::Alternate) => true,
            Some(Truth::Other) | None => false,
        };
        let is_broken = |call: &Call<'_>| match truth_of(call.row) {
            Some(Truth::Usable { scheme, path, .. }) => *scheme != call.scheme || *path != call.path,
            _ => false,
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
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "PromQL endpoints: what the agent's own discovery ({VERSION}) and ours name on {} clusters that have one\n\
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
    pub(crate) fn pairs(&self) -> String {
        let Self { clusters, agent, ours } = self;
        format!(
            "promql_clusters={clusters} agent_right={} agent_broken={} agent_wrong={} agent_nothing={} \
             ours_right={} ours_broken={} ours_wrong={} ours_nothing={}",
            agent.right, agent.broken, agent.wrong, agent.nothing, ours.right, ours.broken, ours.wrong, ours.nothing
        )
    }
}
