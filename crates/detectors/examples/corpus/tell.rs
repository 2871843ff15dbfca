//! Describes a row of the corpus and what the rules say of it.

use std::fmt::Write as _;

use detectors::{Explanation, Product, Target};

use crate::read::Row;

/// Adds a row with the result of the rules and their explanation.
pub(crate) fn tell(
    out: &mut String,
    what: &str,
    row: &Row,
    target: Option<(Product, &Target)>,
    explanations: Vec<Explanation>,
) {
    let _ =
        writeln!(out, "- {what}: [{}] {} (truth: {}, {})", row.scenario, row.view.key, row.raw["truth"], row.family);
    if let Some((product, target)) = target {
        let _ = writeln!(out, "    chosen: {product} {}://…:{}{}", target.scheme, target.port, target.path);
    }
    for key in ["type", "clusterIP", "labels", "annotations", "selector", "ports", "port_to_use", "truth_with_pod"] {
        if !row.raw[key].is_null() {
            let _ = writeln!(out, "    {key}: {}", row.raw[key]);
        }
    }
    if !row.notes.is_empty() {
        let _ = writeln!(out, "    notes: {}", row.notes);
    }
    let product = target.map(|(product, _)| product).or(row.product);
    for explanation in explanations.into_iter().filter(|explanation| Some(explanation.product) == product) {
        for evidence in &explanation.evidence {
            let sign = if evidence.supports { '+' } else { '-' };
            let _ = writeln!(out, "    {sign} {}", evidence.detail);
        }
        let _ = writeln!(out, "    {}", explanation.hint);
    }
}

/// The lists of mistakes and of notes, with their titles.
pub(crate) fn lists(mistakes: &str, notes: &str) -> String {
    let mut text = String::new();
    for (title, lines) in [("\nMistakes\n", mistakes), ("\nNotes\n", notes)] {
        if !lines.is_empty() {
            text.push_str(title);
            text.push_str(lines);
        }
    }
    text
}
