//! The results of the built-in detectors.

use crd_types::ServiceReason;
use detectors::{Confidence, Explanation, Outcome, Product};
use toolset::select;

use super::{
    case::Case,
    classification::Classification,
    model::{Detector, Detectors, Evidence, Finding},
};
use crate::pods::pods_count;

pub(super) fn detectors(case: &Case<'_>) -> Detectors {
    let disabled = select::disabled(&case.snapshot.config);
    let (with_evidence, without): (Vec<Explanation>, Vec<Explanation>) = explanations(case)
        .into_iter()
        .partition(|one| one.finding.is_some() || one.evidence.iter().any(|evidence| evidence.supports));
    let results = with_evidence.into_iter().map(|one| {
        let hint = hint_helps(case, &one).then(|| one.hint.clone());
        let (finding, message) = finding(&one);
        let evidence = one.evidence.into_iter().map(|evidence| Evidence {
            kind: format!("{:?}", evidence.kind),
            supports: evidence.supports,
            message: evidence.detail.into_owned(),
        });
        Detector {
            type_: one.product.to_string(),
            disabled: disabled.contains(&one.product),
            finding,
            message,
            confidence: one.finding.map(|finding| finding.confidence.to_string()),
            evidence: evidence.collect(),
            hint,
        }
    });
    Detectors {
        overruled: is_stated(case),
        results: results.collect(),
        without_evidence: without.into_iter().map(|one| one.product.to_string()).collect(),
    }
}

/// The result of every detector, with what the Pods show if that counts.
pub(super) fn explanations(case: &Case<'_>) -> Vec<Explanation> {
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

/// What a detector found, as a word and as text.
fn finding(one: &Explanation) -> (Finding, String) {
    match one.finding.as_ref().map(|finding| &finding.outcome) {
        None => (Finding::NotEnoughEvidence, "not enough evidence".to_owned()),
        Some(Outcome::Endpoint(target)) => (
            Finding::Endpoint,
            format!("serves queries on {} port {}{}", target.scheme, target.port, path(&target.path)),
        ),
        Some(Outcome::NotAnEndpoint { role }) => {
            (Finding::NotAnEndpoint, format!("serves no queries (endpoint role: {role})"))
        }
        Some(Outcome::NoUsablePort) => {
            (Finding::NoUsablePort, "none of its ports is known to serve queries".to_owned())
        }
    }
}

fn path(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(", path {path}") }
}
