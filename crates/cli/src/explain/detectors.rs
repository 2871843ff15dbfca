//! The section about the results of the built-in detectors.

use crd_types::ServiceReason;
use detectors::{Confidence, Evidence, Explanation, Outcome, Product};
use toolset::select;

use super::{case::Case, classification::Classification};
use crate::{
    paint::Paint,
    pods::pods_count,
    text::{Text, text, wrap},
};

pub(super) fn section(case: &Case<'_>) -> Vec<Text> {
    let disabled = select::disabled(&case.snapshot.config);
    let (with_evidence, without): (Vec<Explanation>, Vec<Explanation>) = explanations(case)
        .into_iter()
        .partition(|one| one.finding.is_some() || one.evidence.iter().any(|evidence| evidence.supports));
    let mut lines = vec![case.heading("Detectors")];
    if is_stated(case) {
        lines.push(Text::from("  Annotations and signatures take precedence over the detectors."));
    }
    for one in &with_evidence {
        let name = one.product.as_str();
        let marker = if disabled.contains(&one.product) {
            case.paint.warn(" (Disabled in the ToolsetConfig)")
        } else {
            Text::default()
        };
        let name = case.paint.bold(format!("{name:<15}"));
        lines.push(text!("  ", name, marker, "  ", conclusion(case.paint, one)));
        lines.extend(one.evidence.iter().map(|evidence| text!("      ", evidence_line(case.paint, evidence))));
        if hint_helps(case, one) {
            lines.extend(wrap("      → ", &one.hint));
        }
    }
    if !without.is_empty() {
        let names: Vec<&str> = without.iter().map(|one| one.product.as_str()).collect();
        let text = if with_evidence.is_empty() {
            format!("No detector found evidence: {}", names.join(", "))
        } else {
            format!("No evidence for {}", names.join(", "))
        };
        lines.extend(wrap("  ", text).into_iter().map(|line| case.paint.dim(line)));
    }
    lines
}

/// The result of every detector, with what the Pods show if that counts.
fn explanations(case: &Case<'_>) -> Vec<Explanation> {
    let view = &case.service.view;
    let counted = case.service.pods().filter(|_| pods_count(&case.snapshot.config, &case.snapshot.index, case.service));
    let mut all = match counted {
        Some(evidence) => detectors::pods::explain_with_pods(view, &evidence.facts),
        None => detectors::explain(view),
    };
    // No detector looks for a custom type.
    all.retain(|one| one.product != Product::Custom);
    all
}

/// Whether the hint of a detector helps. It does not if the detector is certain, if the Service is a tool, or if the
/// first section shows the hint already.
fn hint_helps(case: &Case<'_>, one: &Explanation) -> bool {
    let certain = one.finding.as_ref().is_some_and(|finding| {
        finding.confidence == Confidence::High && matches!(finding.outcome, Outcome::Endpoint(_))
    });
    let shown =
        matches!(case.classification.reason(), Some(ServiceReason::NotEnoughEvidence | ServiceReason::NoUsablePort))
            && case.classification.product() == Some(one.product);
    !one.hint.is_empty() && !certain && !shown && !matches!(case.classification, Classification::Tool(_))
}

/// Whether an annotation or a signature states the type.
fn is_stated(case: &Case<'_>) -> bool {
    let candidate = case.planned.trace.selection.candidates.iter().find(|candidate| candidate.key == *case.key());
    candidate.is_some_and(|candidate| candidate.origin != select::claim::Origin::Rules)
}

fn conclusion(paint: Paint, one: &Explanation) -> Text {
    let Some(finding) = &one.finding else {
        return paint.dim("not enough evidence");
    };
    let outcome = match &finding.outcome {
        Outcome::Endpoint(target) => {
            paint.good(format!("serves queries on {} port {}{}", target.scheme, target.port, path(&target.path)))
        }
        Outcome::NotAnEndpoint { role } => paint.warn(format!("serves no queries (endpoint role: {role})")),
        Outcome::NoUsablePort => paint.warn("none of its ports is known to serve queries"),
    };
    text!(outcome, format!(" (confidence {})", finding.confidence))
}

fn path(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(", path {path}") }
}

fn evidence_line(paint: Paint, evidence: &Evidence) -> Text {
    let mark = if evidence.supports { paint.good("+") } else { paint.bad("-") };
    text!(mark, " ", &evidence.detail)
}
