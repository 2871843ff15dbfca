//! The list of all tables of programs.

use super::program::Program;
use crate::{
    alertmanager, elasticsearch, grafana, jaeger, kibana, loki, mcp, mimir, opensearch, prometheus, tempo, thanos,
    victorialogs, victoriametrics, victoriatraces, zipkin,
};

/// The programs of all products, in the order of [`Product`](crate::product::Product).
pub(crate) const PROGRAMS: &[&[Program]] = &[
    prometheus::PODS,
    thanos::PODS,
    mimir::PODS,
    victoriametrics::PODS,
    alertmanager::PODS,
    grafana::PODS,
    loki::PODS,
    tempo::PODS,
    jaeger::PODS,
    zipkin::PODS,
    elasticsearch::PODS,
    opensearch::PODS,
    victorialogs::PODS,
    victoriatraces::PODS,
    kibana::PODS,
    mcp::PODS,
];
