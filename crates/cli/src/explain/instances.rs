//! All candidates for the same product, in the order of their rank.

use crd_types::ServiceReason;
use detectors::ServiceKey;
use toolset::{Tool, tool::Rejection};

use super::{
    case::Case,
    model::{Candidate, Candidates},
};

/// The maximum number of rejected candidates in the list.
const MAX_REJECTED: usize = 10;

pub(super) fn candidates(case: &Case<'_>) -> Option<Candidates> {
    let product = case.classification.product()?;
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
        return None;
    }
    let tools = tools.into_iter().enumerate().map(|(rank, tool)| Candidate {
        rank: Some(rank + 1),
        service: tool.origin_in_words(),
        reason: None,
        is_this: tool.key.as_ref() == Some(case.key()),
        notes: notes(case, tool),
    });
    // The explained Service is always listed.
    let (shown, cut): (Vec<_>, Vec<_>) = others
        .into_iter()
        .enumerate()
        .partition(|(index, rejection)| *index < MAX_REJECTED || rejection.key == *case.key());
    let shown = shown.into_iter().map(|(_, rejection)| Candidate {
        rank: None,
        service: rejection.key.to_string(),
        reason: Some(rejection.reason.as_str().to_owned()),
        is_this: rejection.key == *case.key(),
        notes: Vec::new(),
    });
    Some(Candidates { type_: product.to_string(), ranked: tools.chain(shown).collect(), more: cut.len() })
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
fn notes(case: &Case<'_>, tool: &Tool) -> Vec<String> {
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
    notes.into_iter().map(ToOwned::to_owned).collect()
}
