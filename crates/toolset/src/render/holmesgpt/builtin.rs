//! The agent's built-in toolsets. No entry of ours may have such a name, and `spec.baseline` can name them.

use std::{collections::BTreeSet, sync::LazyLock};

use crate::plan::names::folded;

/// Every built-in toolset of 0.45.0, sorted, and the names that its loader treats in a way of their own.
const NAMES: [&str; 53] = [
    "MongoDBAtlas",
    "aks/core",
    "aks/node-health",
    "argocd/core",
    "bash",
    "cilium/core",
    "confluence",
    "connectivity_check",
    "coralogix",
    "coralogix/logs",
    "core_investigation",
    "crossplane/core",
    "database/sql",
    "datadog/general",
    "datadog/logs",
    "datadog/metrics",
    "datadog/traces",
    "docker/core",
    "elasticsearch/cluster",
    "elasticsearch/data",
    "grafana/dashboards",
    "grafana/loki",
    "grafana/tempo",
    "helm/core",
    "http",
    "hubble/observability",
    "inspektor-gadget/node",
    "inspektor-gadget/tcpdump",
    "internet",
    "kafka/admin",
    "kubectl-run",
    "kubernetes/core",
    "kubernetes/kube-prometheus-stack",
    "kubernetes/live-metrics",
    "kubernetes/logs",
    "kubevela/core",
    "mongodb",
    "newrelic",
    "notion",
    "opensearch/query_assist",
    "openshift/core",
    "openshift/live-metrics",
    "openshift/logs",
    "openshift/security",
    "prometheus/metrics",
    "prometheus/multi-tenant-metrics",
    "rabbitmq/core",
    "robusta",
    "runbook",
    "servicenow/tables",
    "skills",
    "slab",
    "victorialogs",
];

/// Those of [`NAMES`] that are not toolsets: a `type`, or a name that the loader skips or renames.
const NOT_TOOLSETS: [&str; 3] = ["http", "kubectl-run", "mongodb"];

/// How the agent makes a tool's name from an entry's.
pub(super) fn mapped(name: &str) -> String {
    name.chars().map(|c| if matches!(c, '-' | '/') { '_' } else { c }).collect()
}

/// Whether the agent would confuse an entry of that name with one of its own, or with its tools. The agent tells the
/// tools of MCP servers apart only by the letters and digits of their entry, so names are compared as [`folded`].
pub(super) fn is_reserved(name: &str) -> bool {
    static FOLDED: LazyLock<BTreeSet<String>> = LazyLock::new(|| NAMES.iter().map(|name| folded(name)).collect());
    FOLDED.contains(&folded(name))
}

/// Whether the agent has a built-in toolset of exactly that name.
pub(super) fn exists(name: &str) -> bool {
    NAMES.binary_search(&name).is_ok() && !NOT_TOOLSETS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_it_can_be_searched() {
        assert!(NAMES.is_sorted());
    }

    #[test]
    fn a_name_that_differs_from_a_built_in_only_by_what_the_agent_maps_is_reserved() {
        for name in ["bash", "kubernetes/core", "kubernetes-core", "kubernetes_core", "mongodbatlas", "http", "skills"]
        {
            assert!(is_reserved(name), "{name}");
        }
        assert!(!is_reserved("jaeger-tracing-query"));
    }

    #[test]
    fn a_baseline_can_only_mean_a_toolset() {
        assert!(exists("kubernetes/logs"));
        assert!(exists("runbook"));
        assert!(!exists("http"));
        assert!(!exists("kubernetes-logs"));
    }
}
