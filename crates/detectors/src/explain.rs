//! What each detector finds in a Service, and why, for people.

use crate::{
    engine::{assess::assess, evidence::evidence, findings::finding, hint::hint, identities::Identities},
    finding::Explanation,
    mcp,
    product::Product,
    rules::{RULES, VOCABULARY},
    view::ServiceView,
};

/// The result of every built-in detector for a Service, in the order of [`Product`].
pub fn explain(view: &ServiceView) -> Vec<Explanation> {
    let identities = Identities::of(view, &VOCABULARY);
    let by_rule = RULES.iter().map(|rule| {
        let assessment = assess(rule, &identities);
        Explanation {
            product: rule.product,
            finding: finding(rule, &identities, &assessment),
            evidence: evidence(rule, &identities, &assessment),
            hint: hint(rule, &identities, &assessment),
        }
    });
    by_rule.chain([mcp::explain(view), custom()]).collect()
}

/// A custom type has no built-in rule. Only annotations and signatures name it.
fn custom() -> Explanation {
    Explanation {
        product: Product::Custom,
        finding: None,
        evidence: Vec::new(),
        hint: "No built-in rule recognises a custom type. Annotate the Service with kubernaut.io/toolset=enabled and \
               kubernaut.io/toolset-type=<name>, or add a signature to the ToolsetConfig."
            .to_owned(),
    }
}
