//! The section about all candidates for the same product, in the order of their rank.

use crd_types::ServiceReason;
use detectors::{Product, ServiceKey};
use toolset::{Tool, tool::Rejection};

use super::case::Case;
use crate::{
    paint::Paint,
    table::{Table, cell, plain},
    text::Text,
};

/// The maximum number of rejected candidates in the list.
const MAX_REJECTED: usize = 10;

pub(super) fn section(case: &Case<'_>) -> Vec<Text> {
    let Some(product) = case.classification.product() else {
        return Vec::new();
    };
    let plan = &case.planned.plan;
    let tools: Vec<&Tool> = plan.tools.iter().filter(|tool| tool.product == product).collect();
    let others: Vec<&Rejection> = plan
        .rejected
        .iter()
        .filter(|rejection| {
            rejection.product == Some(product) && (rejection.key == *case.key() || is_relevant(case, rejection))
        })
        .collect();
    if tools.len() + others.len() < 2 {
        return Vec::new();
    }
    let mut table = Table::new(&["RANK", "SERVICE", "RESULT", ""]);
    let this =
        |key: Option<&ServiceKey>| if key == Some(case.key()) { "← this one".to_owned() } else { " ".to_owned() };
    for (rank, tool) in tools.iter().enumerate() {
        table.row(vec![
            cell((rank + 1).to_string(), plain),
            cell(tool.origin_in_words(), plain),
            cell("tool", Paint::good),
            cell(note(case, tool, this(tool.key.as_ref())), Paint::dim),
        ]);
    }
    // The explained Service is always listed.
    let (shown, cut): (Vec<_>, Vec<_>) = others
        .into_iter()
        .enumerate()
        .partition(|(index, rejection)| *index < MAX_REJECTED || rejection.key == *case.key());
    for (_, rejection) in shown {
        table.row(vec![
            cell("", plain),
            cell(rejection.key.to_string(), plain),
            cell(rejection.reason.as_str(), Paint::warn),
            cell(this(Some(&rejection.key)), Paint::dim),
        ]);
    }
    let mut lines = vec![case.heading(&heading(product))];
    lines.extend(table.lines(case.paint, "  ").into_iter().map(|line| line.trim_end()));
    if !cut.is_empty() {
        lines.push(case.paint.dim(format!("  and {} more that are not tools", cut.len())));
    }
    lines
}

fn heading(product: Product) -> String {
    format!("Candidates for {product}, highest rank first")
}

/// Whether a rejected candidate is relevant. Services that serve no queries are not, and neither are headless twins in
/// other namespaces.
fn is_relevant(case: &Case<'_>, rejection: &Rejection) -> bool {
    let routine = matches!(
        rejection.reason,
        ServiceReason::NotAnEndpoint | ServiceReason::HeadlessTwin | ServiceReason::NoUsablePort
    );
    !routine || rejection.key.namespace == case.key().namespace && rejection.reason == ServiceReason::HeadlessTwin
}

/// Why a tool has its rank. Empty if only its name decides.
fn note(case: &Case<'_>, tool: &Tool, this: String) -> String {
    let candidate =
        case.planned.trace.selection.candidates.iter().find(|candidate| Some(&candidate.key) == tool.key.as_ref());
    let detector = case.snapshot.config.spec.detector(tool.product);
    let preferred = |key: &ServiceKey| {
        detector.preferred.iter().any(|one| *one.namespace == *key.namespace && *one.name == *key.name)
    };
    let mut notes = Vec::new();
    if tool.key.as_ref().is_some_and(preferred) {
        notes.push("listed under preferred");
    }
    if let Some(candidate) = candidate {
        if candidate.trust == crd_types::Trust::Tenant {
            notes.push("from a Tenant source");
        }
        if candidate.rank.bundled {
            notes.push("bundled with another product");
        } else if candidate.rank.tier > 0 {
            notes.push("a component behind the preferred endpoint");
        }
    }
    let notes = notes.join(", ");
    match (this.trim().is_empty(), notes.is_empty()) {
        (_, true) => this,
        (true, false) => notes,
        (false, false) => format!("{this}, {notes}"),
    }
}
