//! The evidence against a product, for a confidence below High.

use super::{
    conclusion::Mismatch,
    identities::{Identities, Identity, NAME_LABEL},
    pieces::Pieces,
    ports,
    rule::Rule,
};
use crate::finding::EvidenceKind;

/// Words that people give to a first install as well as to a program that shows how to use the product:
/// operator-sdk names the custom resource in its samples `<kind>-sample`.
const WEAK_WORDS: &[&str] = &["example", "sample", "samples"];

/// Whether a key is one of those under which everybody writes the name of the program itself. Under the others, people
/// also write what the program belongs to: one Pod with the Deployment's name can run Prometheus and Alertmanager.
fn is_strong_key(key: &str) -> bool {
    matches!(key, NAME_LABEL | "app" | "k8s-app" | "name" | "io.kompose.service" | "run")
}

/// The evidence against the product.
///
/// If a label or the selector is exactly a name of the product, another product in the Service's name only names the
/// owner (`vmalertmanager-victoria-metrics-k8s-stack`). A word does not count against a port that is named after the
/// part that answers queries: the OpenTelemetry operator calls Jaeger v2 a collector. One weak contradiction does not
/// count against three pieces that agree.
pub(crate) fn contradiction<'a>(rule: &'static Rule, identities: &Identities<'a>) -> Option<Mismatch<'a>> {
    if let Some((identity, word)) = identities.contradiction() {
        let is_weak = WEAK_WORDS.iter().any(|weak| word.eq_ignore_ascii_case(weak));
        let outweighed = ports::named_after_query(identities.view, rule).is_some()
            || is_weak && Pieces::of(rule, identities).agree_with_a_port(rule, identities.view);
        if !outweighed {
            return Some(Mismatch::OtherProgram(*identity, word));
        }
    }
    let has_exact = identities.iter().any(|identity| identity.exact_name(rule).is_some());
    let mut others = identities
        .iter()
        .filter(|identity| !has_exact || identity.kind != EvidenceKind::Name)
        .filter_map(|identity| Some((identity, identity.mention.product()?)))
        .filter(|(_, product)| *product != rule.product);
    let (identity, product) = others.next()?;
    let is_weak = |identity: &Identity<'_>| identity.kind != EvidenceKind::Name && !is_strong_key(identity.key);
    let is_only_one = others.next().is_none();
    if is_only_one && is_weak(identity) && Pieces::of(rule, identities).agree_with_a_port(rule, identities.view) {
        return None;
    }
    Some(Mismatch::OtherProduct(*identity, product))
}
