//! What every built-in detector says of the Service.

use crd_types::ServiceReason;
use detectors::{Confidence, Evidence, Explanation, Outcome};
use toolset::select;

use super::{Case, verdict::Verdict};
use crate::{
    paint::Paint,
    text::{capitalised, wrap},
};

pub fn section(case: &Case<'_>) -> Vec<String> {
    let off = select::disabled(&case.snapshot.config);
    let said = detectors::explain(&case.service.view);
    let (speaking, silent): (Vec<Explanation>, Vec<Explanation>) = said
        .into_iter()
        .partition(|one| one.finding.is_some() || one.evidence.iter().any(|evidence| evidence.supports));
    let mut lines = vec![case.heading("Detectors")];
    if stated(case) {
        lines.push("  What people say of it goes before the detectors; theirs is for information only.".to_owned());
    }
    for one in &speaking {
        let name = one.product.as_str();
        let disabled = if off.contains(&one.product) {
            case.paint.warn(" (Disabled in the ToolsetConfig)")
        } else {
            String::new()
        };
        lines.push(format!("  {}{disabled}  {}", case.paint.bold(&format!("{name:<15}")), conclusion(case.paint, one)));
        lines.extend(one.evidence.iter().map(|evidence| format!("      {}", fact(case.paint, evidence))));
        if hint_helps(case, one) {
            lines.extend(wrap("      → ", &one.hint));
        }
    }
    if !silent.is_empty() {
        let names: Vec<&str> = silent.iter().map(|one| one.product.as_str()).collect();
        let text = if speaking.is_empty() {
            format!("No detector finds anything of its own: {}", names.join(", "))
        } else {
            format!("Nothing found by {}", names.join(", "))
        };
        lines.extend(wrap("  ", &text).into_iter().map(|line| case.paint.dim(&line)));
    }
    lines
}

/// Whether what would change this detector's mind is of any use: not where it already says what happens, and not where the
/// verdict is its own and has said it.
fn hint_helps(case: &Case<'_>, one: &Explanation) -> bool {
    let sure = one.finding.as_ref().is_some_and(|finding| {
        finding.confidence == Confidence::High && matches!(finding.outcome, Outcome::Endpoint(_))
    });
    let said = matches!(case.verdict.reason(), Some(ServiceReason::NotEnoughEvidence | ServiceReason::NoUsablePort))
        && case.verdict.product() == Some(one.product);
    !one.hint.is_empty() && !sure && !said && !matches!(case.verdict, Verdict::Tool(_))
}

/// Whether an annotation or a signature decides.
fn stated(case: &Case<'_>) -> bool {
    let candidate = case.planned.trace.selection.candidates.iter().find(|candidate| candidate.key == *case.key());
    candidate.is_some_and(|candidate| candidate.origin != select::claim::Origin::Rules)
}

fn conclusion(paint: Paint, one: &Explanation) -> String {
    let Some(finding) = &one.finding else {
        return paint.dim("not enough to speak of");
    };
    let outcome = match &finding.outcome {
        Outcome::Endpoint(target) => {
            paint.good(&format!("an endpoint: {} port {}{}", target.scheme, target.port, path(&target.path)))
        }
        Outcome::NotAnEndpoint { role } => paint.warn(&format!("{}: it serves no queries", capitalised(role))),
        Outcome::NoUsablePort => paint.warn("no port that is known to answer queries"),
    };
    format!("{}, {outcome}", finding.confidence)
}

fn path(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(", path {path}") }
}

fn fact(paint: Paint, evidence: &Evidence) -> String {
    let mark = if evidence.supports { paint.good("+") } else { paint.bad("-") };
    format!("{mark} {}", evidence.detail)
}
