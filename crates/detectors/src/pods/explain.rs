//! What each detector finds in a Service with its Pods, and why, for people.

use super::{
    decide::recognise_with_pods,
    facts::{LeadsTo, PodFacts},
    text,
};
use crate::{
    explain::explain,
    finding::{Evidence, EvidenceKind, Explanation, Finding, Outcome},
    product::Product,
    recognise::recognise,
    view::ServiceView,
};

/// As [`explain`], with what the Pods say and what they changed. No value of a variable is shown, except a checked path.
pub fn explain_with_pods(view: &ServiceView, facts: &PodFacts) -> Vec<Explanation> {
    let mut all = explain(view);
    if facts.ports.is_empty() || recognise(view).is_empty() {
        return all;
    }
    let mut findings = recognise_with_pods(view, facts);
    for explanation in &mut all {
        let at = findings.iter().position(|finding| finding.product == explanation.product);
        let finding = at.map(|at| findings.swap_remove(at));
        let was_found = explanation.finding.is_some();
        if finding.is_some() || was_found {
            explanation.evidence.extend(evidence(explanation.product, facts));
        }
        if let Some(hint) = hint(finding.as_ref(), was_found, explanation.product, facts) {
            explanation.hint = hint;
        }
        explanation.finding = finding;
    }
    all
}

/// What the Pods say for and against a product.
fn evidence(product: Product, facts: &PodFacts) -> Vec<Evidence> {
    let against = |kind, detail: String| Evidence { kind, supports: false, detail: detail.into() };
    let mut all = Vec::new();
    for port in &facts.ports {
        match &port.leads_to {
            LeadsTo::Product(running) if running.product == product => all.extend(text::evidence(port, running)),
            LeadsTo::Product(running) => {
                let detail =
                    format!("port {} leads to {}: {}", port.port, running.product, text::identified(&running.by));
                all.push(against(text::kind(&running.by), detail));
            }
            LeadsTo::Other { program, by } => {
                let detail = format!("port {} leads to {program}: {}", port.port, text::identified(by));
                all.push(against(text::kind(by), detail));
            }
            LeadsTo::Unknown(unknown) => {
                let detail = match text::another_program(unknown, product) {
                    Some(image) => format!("port {} leads to {image}, which is not known to be {product}", port.port),
                    None => format!("behind port {}, {}", port.port, text::not_known(unknown)),
                };
                all.push(against(EvidenceKind::Image, detail));
                all.extend(unknown.scheme.as_ref().map(|scheme| Evidence {
                    kind: EvidenceKind::Probe,
                    supports: true,
                    detail: format!("a probe of port {} shows the scheme {}", port.port, scheme.value).into(),
                }));
            }
        }
    }
    all
}

fn hint(finding: Option<&Finding>, was_found: bool, product: Product, facts: &PodFacts) -> Option<String> {
    match finding {
        Some(Finding { hint: Some(hint), .. }) => Some(hint.to_string()),
        Some(Finding { outcome: Outcome::Endpoint(_), .. }) => {
            Some("The annotation kubernaut.io/toolset=disabled excludes the Service.".to_owned())
        }
        None if was_found => Some(format!(
            "The Pods of this Service do not run {product}: {}. If they do, annotate the Service with \
             kubernaut.io/toolset=enabled, kubernaut.io/toolset-type={}, kubernaut.io/toolset-port=<name or number>.",
            text::deciding(product, facts).unwrap_or_else(|| "they run another program".to_owned()),
            product.lower(),
        )),
        Some(_) | None => None,
    }
}
