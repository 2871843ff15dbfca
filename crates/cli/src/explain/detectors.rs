//! What every built-in detector says of the Service.

use detectors::{Evidence, Explanation, Outcome};
use toolset::select;

use super::{Case, verdict::Verdict, verdict::capitalised};
use crate::paint::Paint;

pub fn section(case: &Case<'_>) -> Vec<String> {
    let off = select::disabled(&case.snapshot.config);
    let said = detectors::explain(&case.service.view);
    let (speaking, silent): (Vec<Explanation>, Vec<Explanation>) =
        said.into_iter().partition(|one| one.finding.is_some() || one.evidence.iter().any(|evidence| evidence.supports));
    let mut lines = vec![case.heading("Detectors")];
    if stated(case) {
        lines.push("  What people say of it goes before the detectors; theirs is for information only.".to_owned());
    }
    for one in &speaking {
        let name = one.product.as_str();
        let disabled = if off.contains(&one.product) { case.paint.warn(" (Disabled in the ToolsetConfig)") } else { String::new() };
        lines.push(format!("  {}{disabled}  {}", case.paint.bold(&format!("{name:<15}")), conclusion(case.paint, one)));
        lines.extend(one.evidence.iter().map(|evidence| format!("      {}", fact(case.paint, evidence))));
        if !one.hint.is_empty() && !matches!(case.verdict, Verdict::Tool(_)) {
            lines.push(format!("      {} {}", case.paint.warn("→"), one.hint));
        }
    }
    if !silent.is_empty() {
        let names: Vec<&str> = silent.iter().map(|one| one.product.as_str()).collect();
        let text = match speaking.is_empty() {
            true => format!("No detector finds anything of its own: {}", names.join(", ")),
            false => format!("Nothing found by {}", names.join(", ")),
        };
        lines.extend(wrapped(&text, 100).into_iter().map(|line| format!("  {}", case.paint.dim(&line))));
    }
    lines
}

/// Whether an annotation or a signature decides.
fn stated(case: &Case<'_>) -> bool {
    let candidate = case.planned.selection.candidates.iter().find(|candidate| candidate.key == *case.key());
    candidate.is_some_and(|candidate| candidate.origin != toolset::claim::Origin::Rules)
}

fn conclusion(paint: Paint, one: &Explanation) -> String {
    let Some(finding) = &one.finding else {
        return paint.dim("not enough to speak of");
    };
    let outcome = match &finding.outcome {
        Outcome::Endpoint(target) => paint.good(&format!("an endpoint: {} port {}{}", target.scheme, target.port, path(&target.path))),
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

/// Lines of at most `width` characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() || line.chars().count() + 1 + word.chars().count() <= width => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
