//! What each detector finds in a Service, and why, for people.

use crate::{
    engine::{assess::assess, evidence::evidence, findings::finding, hint::hint, identities::Identities},
    finding::{Explanation, Finding, Outcome},
    mcp,
    product::{Confidence, Product},
    recognise::path_setting,
    rules::{RULES, VOCABULARY},
    view::ServiceView,
};

/// The result of every built-in detector for a Service, in the order of [`Product`].
pub fn explain(view: &ServiceView) -> Vec<Explanation> {
    let identities = Identities::of(view, &VOCABULARY);
    let by_rule = RULES.iter().map(|rule| {
        let assessment = assess(rule, &identities);
        let finding = finding(rule, &identities, &assessment);
        let mut hint = hint(rule, &identities, &assessment);
        if let Some(about_path) = finding.as_ref().and_then(about_path) {
            hint.push(' ');
            hint.push_str(&about_path);
        }
        let evidence = evidence(rule, &identities, &assessment);
        Explanation { product: rule.product, finding, evidence, hint }
    });
    by_rule.chain([mcp::explain(view), custom()]).collect()
}

/// Where the path of an endpoint is set, if it is assumed. Low candidates are asked about more important things.
fn about_path(finding: &Finding) -> Option<String> {
    let Outcome::Endpoint(target) = &finding.outcome else { return None };
    if finding.confidence == Confidence::Low || !finding.assumed.path {
        return None;
    }
    let path = if target.path.is_empty() { "/" } else { &target.path };
    let setting = path_setting(finding.product)?;
    Some(format!(
        "The path {path} is assumed, because a Service does not show it. If {setting} sets another path, annotate the Service with \
         kubernaut.io/toolset-path."
    ))
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
