//! What the built-in rules find in one Service.

use std::cmp::Reverse;

use crate::{
    engine::{
        assess::{assess, target},
        candidates::Candidates,
        findings::finding,
        identities::Identities,
    },
    finding::{Finding, Outcome, Target},
    mcp,
    product::Product,
    rules::{RULES, VOCABULARY},
    scheme::scheme_of,
    view::{Protocol, ServiceView},
};

/// What the built-in rules find in one Service: one finding per product that recognises it, the best first. Endpoints
/// come before others, then the confidence decides, then the order of [`Product`].
///
/// For the vast majority of Services the result is empty. Then nothing is allocated.
///
/// Other Services do not affect the result. Annotations of this project, signatures and opt-outs do not either; the
/// caller applies them before the rules.
pub fn recognise(view: &ServiceView) -> Vec<Finding> {
    let identities = Identities::of(view, &VOCABULARY);
    let candidates = Candidates::of(&identities, &VOCABULARY);
    let by_rule = RULES
        .iter()
        .filter(|rule| candidates.contain(rule))
        .filter_map(|rule| finding(rule, &identities, &assess(rule, &identities)));
    let mut findings: Vec<Finding> = by_rule.chain(mcp::finding(view)).collect();
    findings.sort_by_key(|finding| {
        (!matches!(finding.outcome, Outcome::Endpoint(_)), Reverse(finding.confidence), finding.product)
    });
    findings
}

/// The setting of a product that moves its API to another path, for people. `None` if it has none.
pub fn path_setting(product: Product) -> Option<&'static str> {
    RULES.iter().find(|rule| rule.product == product).and_then(|rule| rule.path_setting)
}

/// What to call on a Service that somebody states is `product`: the port, scheme and path that the product's rule
/// chooses, whatever the evidence for the product is. If the rule finds no port, this is the Service's only TCP port.
/// `None` if there are several, or none.
pub fn target_of(product: Product, view: &ServiceView) -> Option<Target> {
    if product == Product::MCP {
        return mcp::target(view);
    }
    let rule = RULES.iter().find(|rule| rule.product == product);
    let by_rule = rule.and_then(|rule| target(rule, &Identities::of(view, &VOCABULARY)));
    by_rule.or_else(|| {
        let mut tcp = view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
        let only = tcp.next().filter(|_| tcp.next().is_none())?;
        Some(Target { port: only.port, scheme: scheme_of(view, only), path: "".into() })
    })
}
