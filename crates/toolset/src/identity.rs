//! The responses of a Service to identity probes, and what they change.

use crd_types::{IdentityMode, ServiceReason, ToolsetConfig, Trust};
use detectors::{Assumed, Confidence, Product, Scheme, ServiceKey, ServiceView, Target, probe};

use crate::{
    index::Recognised,
    pods,
    select::{
        ADVICE,
        annotation::Annotations,
        claim::{Claim, ClaimOutcome, Origin},
        remembered::{self, Parts, Remembered},
    },
};

/// What to ask a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityQuestion {
    /// The Service.
    pub key: ServiceKey,
    /// The product that it is taken for.
    pub product: Product,
    /// Where that would be called.
    pub target: Target,
    /// Which parts of that are assumed, so the answer can change them.
    pub assumed: Assumed,
    /// A hash of what decides which Pods answer: the uid of the Service, its selector and its ports.
    pub selects: u64,
}

/// What the responses of a Service show. It contains no text of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityEvidence {
    /// The product that was asked for.
    pub product: Product,
    /// The port of the Service that was asked.
    pub port: u16,
    /// What the answer proves about the product.
    pub verdict: IdentityVerdict,
    /// The scheme, if the answer proves it.
    pub scheme: Option<Scheme>,
    /// The path, if the product was confirmed there.
    pub path: Option<String>,
    /// The requests and the class of the last answer, for people.
    pub said: String,
}

/// What an answer proves about a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityVerdict {
    /// It is the product.
    Confirmed,
    /// It is another product, with this name.
    Denied {
        /// Its name.
        is: &'static str,
    },
    /// It proves nothing.
    Unknown,
}

/// Whether answers count for the Services of a source.
pub fn counts(config: &ToolsetConfig, trust: Trust) -> bool {
    config.spec.evidence.identity == IdentityMode::Probe && trust == Trust::Trusted
}

/// What to ask about a claim. `None` if everything is certain, if the claim leads nowhere, or if no answer could tell.
pub(crate) fn question(view: &ServiceView, claim: &Claim) -> Option<IdentityQuestion> {
    let ClaimOutcome::Target(target) = &claim.outcome else { return None };
    let is_open = claim.confidence < Confidence::High || claim.assumed.scheme;
    (is_open && probe::is_asked(claim.product)).then(|| IdentityQuestion {
        key: view.key.clone(),
        selects: pods::selects_hash(view),
        product: claim.product,
        target: target.clone(),
        // Whether it asks for a login changes no request.
        assumed: Assumed { auth: false, ..claim.assumed },
    })
}

/// A claim with what is known from an identity probe.
#[derive(Clone, Debug)]
pub(crate) struct Identified {
    pub claim: Claim,
    /// Which parts of the claim come from an identity probe.
    pub parts: Parts,
    /// The requests and the class of the last answer, for people.
    pub said: String,
}

/// The claim with what the responses of its Service show. `None` if nothing was asked.
///
/// An entry keeps what an earlier response has shown until a later response proves something. So nothing changes if the
/// Service does not respond, or if its response proves nothing.
pub(crate) fn identified(
    claim: &Claim,
    service: &Recognised,
    stated: &Annotations,
    before: Option<&Remembered>,
) -> Option<Identified> {
    let asked = question(&service.view, claim)?;
    let answer = answer(service.identity(), &asked);
    let proves_nothing = answer.is_none_or(|answer| answer.verdict == IdentityVerdict::Unknown);
    let before = before.filter(|before| proves_nothing && before.product == claim.product);
    let kept = before.and_then(|before| {
        let mut parts = before.from_identity;
        parts.scheme &= answer.is_none_or(|answer| answer.scheme.is_none());
        let (claim, parts) = remembered::applied(claim, &service.view, stated, before, parts)?;
        Some((claim, parts, before))
    });
    match (kept, answer) {
        (None, None) => None,
        (Some((claim, parts, before)), None) => Some(Identified { claim, parts, said: before.identity.clone() }),
        (kept, Some(answer)) => {
            let (claim, kept) = kept.map_or((claim.clone(), Parts::NOTHING), |(claim, parts, _)| (claim, parts));
            let (claim, shown) = applied(claim, answer);
            Some(Identified { claim, parts: kept.and(shown), said: answer.said.clone() })
        }
    }
}

/// The answer to the question about a claim, if there is one.
fn answer<'a>(answers: &'a [IdentityEvidence], asked: &IdentityQuestion) -> Option<&'a IdentityEvidence> {
    answers.iter().find(|one| one.product == asked.product && one.port == asked.target.port)
}

/// The claim as an answer changes it, and which parts come from the answer.
///
/// A response replaces only what is assumed, and rejects only what the rules have found. Explicit values stay.
fn applied(mut claim: Claim, evidence: &IdentityEvidence) -> (Claim, Parts) {
    let mut parts = Parts::NOTHING;
    let ClaimOutcome::Target(target) = &mut claim.outcome else { return (claim, parts) };
    if let (IdentityVerdict::Denied { is }, Origin::Rules) = (evidence.verdict, &claim.origin) {
        let message = format!(
            "This Service looks like {}, but its response to an identity probe is that of {is} ({}). If the Service is \
             {}, annotate it with kubernaut.io/toolset: enabled and kubernaut.io/toolset-type.",
            claim.product, evidence.said, claim.product
        );
        claim.outcome = ClaimOutcome::Rejected { reason: ServiceReason::NotTheProduct, message };
        return (claim, parts);
    }
    if let Some(scheme) = evidence.scheme.filter(|_| claim.assumed.scheme) {
        target.scheme = scheme;
        (claim.assumed.scheme, parts.scheme) = (false, true);
    }
    match evidence.verdict {
        IdentityVerdict::Confirmed => {
            if let Some(path) = evidence.path.as_ref().filter(|_| claim.assumed.path) {
                target.path = path.clone().into();
                (claim.assumed.path, parts.path) = (false, true);
            }
            if claim.confidence < Confidence::High {
                parts.product = true;
                claim.confidence = Confidence::High;
                claim.decided_by = format!("identity probe, {}", evidence.said).into();
                (claim.hint, claim.by_port_alone) = (None, false);
            }
        }
        IdentityVerdict::Unknown | IdentityVerdict::Denied { .. } => {
            let hint = claim.hint.as_deref().unwrap_or(ADVICE);
            let hint = format!("{hint} The identity probe did not confirm the product: {}.", evidence.said);
            claim.hint = Some(hint.into());
        }
    }
    (claim, parts)
}

#[cfg(test)]
mod tests;
