//! The list of all rules.

use crate::{
    alertmanager, elasticsearch,
    engine::{rule::Rule, vocabulary::Vocabulary},
    grafana, jaeger, kibana, loki, mimir, opensearch, prometheus, tempo, thanos, victorialogs, victoriametrics,
    victoriatraces, zipkin,
};

/// Every product with a table, in the order of [`Product`](crate::product::Product). `MCP` servers declare themselves
/// (`mcp.rs`), and `Custom` has no rule.
pub(crate) const RULES: &[&Rule] = &[
    &prometheus::RULE,
    &thanos::RULE,
    &mimir::RULE,
    &victoriametrics::RULE,
    &alertmanager::RULE,
    &grafana::RULE,
    &loki::RULE,
    &tempo::RULE,
    &jaeger::RULE,
    &zipkin::RULE,
    &elasticsearch::RULE,
    &opensearch::RULE,
    &victorialogs::RULE,
    &victoriatraces::RULE,
    &kibana::RULE,
];

/// The names in all rules.
pub(crate) static VOCABULARY: Vocabulary = Vocabulary::of(RULES);
