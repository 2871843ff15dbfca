//! What every detector says of a Service, for people.

use crate::{
    Evidence, Finding, Product, RULES, ServiceView, VOCABULARY,
    engine::{self, Facts},
    mcp,
};

/// What one detector says of a Service, for people: also when it says nothing.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Which detector.
    pub product: Product,
    /// Its finding, if it recognised the Service at all.
    pub finding: Option<Finding>,
    /// The facts it looked at, also those that did not suffice.
    pub evidence: Vec<Evidence>,
    /// What would change the verdict, in words a person can act on.
    pub hint: String,
}

/// Every built-in detector's verdict on a Service, in the order of [`Product`].
pub fn explain(view: &ServiceView) -> Vec<Explanation> {
    let facts = Facts::of(view, &VOCABULARY);
    let by_rule = RULES.iter().map(|rule| {
        let verdict = engine::judge(rule, &facts);
        Explanation {
            product: rule.product,
            finding: engine::finding(rule, &facts, &verdict),
            evidence: engine::evidence(rule, &facts, &verdict),
            hint: engine::hint(rule, &facts, &verdict),
        }
    });
    by_rule.chain([mcp::explain(view), custom()]).collect()
}

/// A kind the user named has no built-in rule: only annotations and signatures make it.
fn custom() -> Explanation {
    Explanation {
        product: Product::Custom,
        finding: None,
        evidence: Vec::new(),
        hint: "No rule recognises a kind of your own: annotate the Service with kubernaut.io/toolset=enabled, \
               kubernaut.io/toolset-type=<name>, or add a signature to the ToolsetConfig."
            .to_owned(),
    }
}
