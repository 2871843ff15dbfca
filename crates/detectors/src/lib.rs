//! Recognises observability systems among Kubernetes Services.
//!
//! ```text
//! ServiceView ──► recognise ──► Finding per product ──► displaced_endpoints (per namespace) ──► Displaced
//! ```
//! Pure: no client, no clock. One file per product holds its facts as a table; the engine weighs a Service by each of them
//! and knows no product.
//!
//! # How sure
//! * **High**: labels, or the exact shape that a chart or an operator gives, state product and role, and the port fits.
//! * **Medium**: two independent pieces agree and none contradicts: a legacy label, the selector or the Service's name in
//!   whole words, and a port that is the product's own; or two of the former and a port whose name is usual for it.
//! * **Low**: one piece only. A candidate, with a hint at what would settle it.
//!
//! A name is never read as a substring, a port never taken because it is the first, and 80, 443, 3000, 8080 and 9090 are
//! never evidence alone.
//!
//! # A new product
//! is one file beside these with a `RULE` (copy `zipkin.rs`, the shortest), a line in `RULES` below, a variant in
//! [`Product`], and fixtures in `tests/recognition`: what its charts, its operator and people write, and as many Services that
//! only look like it. `cargo run -p detectors --example corpus` scores all rules on Services whose truth is known.

mod alertmanager;
mod displaced;
mod elasticsearch;
mod engine;
mod explain;
mod finding;
mod grafana;
mod jaeger;
mod kibana;
mod loki;
mod mcp;
mod mimir;
mod opensearch;
mod product;
mod prometheus;
mod scheme;
mod tempo;
mod thanos;
mod victorialogs;
mod victoriametrics;
mod victoriatraces;
mod view;
mod zipkin;

use std::cmp::Reverse;

use engine::{Facts, Vocabulary, rule::Rule};

pub use displaced::displaced_endpoints;
pub use explain::{Explanation, explain};
pub use finding::{Displaced, DisplacedBecause, Evidence, EvidenceKind, Finding, Outcome, Rank, Target};
pub use product::{Confidence, Product, Scheme};
pub use scheme::scheme_of;
pub use view::{PortView, Protocol, ServiceKey, ServiceType, ServiceView, StringMap, TargetPort};

/// Every product with a table, in the order of [`Product`]. `MCP` servers say so themselves (`mcp.rs`), `Custom` has no rule.
const RULES: &[&Rule] = &[
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

static VOCABULARY: Vocabulary = Vocabulary::of(RULES);

/// What the built-in rules say of one Service: one finding per product that recognises it, best first (endpoints before
/// others, then confidence, then the fixed order of [`Product`]). Empty for the vast majority of Services, and then without
/// an allocation.
///
/// Reads only this Service: nothing about another one changes the answer. Annotations of this project, signatures and
/// opt-outs are not read here; they stand above the rules.
pub fn recognise(view: &ServiceView) -> Vec<Finding> {
    let facts = Facts::of(view, &VOCABULARY);
    let by_rule = |rule: &&'static Rule| engine::finding(rule, &facts, &engine::judge(rule, &facts));
    let mut findings: Vec<Finding> = RULES.iter().filter_map(by_rule).chain(mcp::finding(view)).collect();
    findings.sort_by_key(|finding| {
        (!matches!(finding.outcome, Outcome::Endpoint(_)), Reverse(finding.confidence), finding.product)
    });
    findings
}

/// The port, scheme and path that `product`'s rules would choose on this Service, whatever else speaks for or against the
/// product: for Services whose type somebody stated. `None` where the rule finds no port and the Service has not exactly one
/// TCP port.
pub fn target_of(product: Product, view: &ServiceView) -> Option<Target> {
    if product == Product::MCP {
        return mcp::target(view);
    }
    let rule = RULES.iter().find(|rule| rule.product == product);
    let by_rule = rule.and_then(|rule| engine::target(rule, &Facts::of(view, &VOCABULARY)));
    by_rule.or_else(|| {
        let mut tcp = view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
        let only = tcp.next().filter(|_| tcp.next().is_none())?;
        Some(Target { port: only.port, scheme: scheme_of(view, only), path: "".into() })
    })
}
