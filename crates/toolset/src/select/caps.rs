//! The caps that protect the agent, and tenants from each other, against a flood of tenants' Services.
//!
//! Older Services are admitted first, so a later one cannot evict them. Trusted Services are not counted.

use std::collections::BTreeMap;

use crd_types::{ServiceReason, Trust};
use detectors::Product;

use super::candidate::Candidate;

/// Tools from Tenant sources in one namespace.
pub(super) const PER_NAMESPACE: usize = 10;
/// Tools from Tenant sources of one type.
pub(super) const PER_TYPE: usize = 50;
/// Tools from Tenant sources in all.
pub(super) const IN_ALL: usize = 200;

/// Rejects what is over the caps, by creation time, then namespace and name.
pub(super) fn admit(candidates: &mut [Candidate]) {
    let mut tenants: Vec<&mut Candidate> = candidates
        .iter_mut()
        .filter(|candidate| candidate.trust == Trust::Tenant && candidate.endpoint().is_some())
        .collect();
    tenants.sort_by(|a, b| (a.created, &a.key).cmp(&(b.created, &b.key)));
    let mut by_namespace: BTreeMap<Box<str>, usize> = BTreeMap::new();
    let mut by_type: BTreeMap<Option<Product>, usize> = BTreeMap::new();
    let mut all = 0;
    for candidate in tenants {
        let in_namespace = by_namespace.entry(Box::from(&*candidate.key.namespace)).or_default();
        let of_type = by_type.entry(candidate.product).or_default();
        let full = [
            (*in_namespace >= PER_NAMESPACE, format!("{PER_NAMESPACE} tools per namespace")),
            (*of_type >= PER_TYPE, format!("{PER_TYPE} tools per type")),
            (all >= IN_ALL, format!("{IN_ALL} tools in all")),
        ];
        if let Some((_, cap)) = full.into_iter().find(|(reached, _)| *reached) {
            candidate.reject(
                ServiceReason::LimitExceeded,
                format!("Tenant sources may give at most {cap}, and older Services use them up"),
            );
            continue;
        }
        *in_namespace += 1;
        *of_type += 1;
        all += 1;
    }
}
