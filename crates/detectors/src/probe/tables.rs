//! The tables of all products.

use super::facts::Facts;
use crate::{
    alertmanager, elasticsearch, grafana, jaeger, kibana, loki, mimir, opensearch, product::Product, prometheus, tempo,
    thanos, victorialogs, victoriametrics, victoriatraces, zipkin,
};

/// The tables of all products, in the order of [`Product`]. A product without a table is never probed.
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

/// Whether a product can be identified by its responses.
pub fn is_asked(product: Product) -> bool {
    facts_of(product).is_some()
}

pub(crate) fn facts_of(product: Product) -> Option<&'static Facts> {
    ALL.iter().find(|facts| facts.product == product)
}
