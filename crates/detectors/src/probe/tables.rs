//! The list of all tables of answers.

use super::facts::Facts;
use crate::{
    alertmanager, elasticsearch, grafana, jaeger, kibana, loki, mimir, opensearch, product::Product, prometheus, tempo,
    thanos, victorialogs, victoriametrics, victoriatraces, zipkin,
};

/// The answers of all products, in the order of [`Product`]. A product without a table is never asked.
pub(crate) const ALL: &[Facts] = &[
    prometheus::PROBE,
    thanos::PROBE,
    mimir::PROBE,
    victoriametrics::PROBE,
    alertmanager::PROBE,
    grafana::PROBE,
    loki::PROBE,
    tempo::PROBE,
    jaeger::PROBE,
    zipkin::PROBE,
    elasticsearch::PROBE,
    opensearch::PROBE,
    victorialogs::PROBE,
    victoriatraces::PROBE,
    kibana::PROBE,
];

/// Whether a product is known by its answers.
pub fn is_asked(product: Product) -> bool {
    facts_of(product).is_some()
}

pub(crate) fn facts_of(product: Product) -> Option<&'static Facts> {
    ALL.iter().find(|facts| facts.product == product)
}
