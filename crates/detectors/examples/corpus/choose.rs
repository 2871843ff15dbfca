//! Which Services of the corpus the rules choose.

use std::collections::BTreeMap;

use detectors::{Confidence, Finding, Outcome, Product, ServiceType, ServiceView, Target, displaced_endpoints};

use crate::read::Row;

/// What is chosen of the findings of each row. `None` if nothing is.
pub(crate) fn choose(rows: &[&Row], recognise: impl Fn(&Row) -> Vec<Finding>) -> Vec<Option<Finding>> {
    let mut chosen: Vec<Option<Finding>> = rows.iter().map(|row| best(row, recognise(row))).collect();
    let mut groups: BTreeMap<(usize, &str, &str), Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        groups.entry((row.file, &row.scenario, &row.view.key.namespace)).or_default().push(at);
    }
    for group in groups.values() {
        let there: Vec<usize> = group.iter().copied().filter(|at| chosen[*at].is_some()).collect();
        let endpoints: Vec<(&ServiceView, &Finding)> =
            there.iter().filter_map(|at| Some((&rows[*at].view, chosen[*at].as_ref()?))).collect();
        let displaced = displaced_endpoints(&endpoints);
        for (at, displaced) in there.into_iter().zip(displaced) {
            if displaced.is_some() {
                chosen[at] = None;
            }
        }
    }
    chosen
}

fn best(row: &Row, findings: Vec<Finding>) -> Option<Finding> {
    if row.view.service_type == ServiceType::ExternalName || row.view.selector.is_empty() {
        return None;
    }
    findings.into_iter().find(|finding| {
        finding.product != Product::MCP
            && finding.confidence >= Confidence::Medium
            && matches!(finding.outcome, Outcome::Endpoint(_))
    })
}

/// The endpoint of a finding.
pub(crate) fn endpoint(finding: Option<&Finding>) -> Option<(Product, &Target)> {
    match finding.map(|finding| (finding.product, &finding.outcome)) {
        Some((product, Outcome::Endpoint(target))) => Some((product, target)),
        _ => None,
    }
}
