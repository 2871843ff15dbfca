//! Applies what the responses to identity probes prove to the claim of a Service.

use crd_types::ServiceReason;
use detectors::{Assumed, Confidence, ServiceView, probe};

use super::{
    ADVICE,
    annotation::Annotations,
    claim::{Claim, ClaimOutcome, Origin},
    remembered::{self, Denial, Parts, Remembered},
};
use crate::{
    identity::{IdentityEvidence, IdentityQuestion, IdentityVerdict},
    index::Recognised,
    pods,
};

/// What separates the message of a denial from the reason why the Service can no longer be probed.
const LAST_PROBE: &str = " The last identity probe was ";

/// The question about a claim. `None` if everything is certain, if the claim has no endpoint, or if no response could
/// prove the product.
pub(super) fn question(view: &ServiceView, claim: &Claim) -> Option<IdentityQuestion> {
    let ClaimOutcome::Target(target) = &claim.outcome else { return None };
    let is_open = claim.confidence < Confidence::High || claim.assumed.scheme;
    (is_open && probe::is_asked(claim.product)).then(|| IdentityQuestion {
        key: view.key.clone(),
        selects: pods::selects_hash(view),
        product: claim.product,
        target: target.clone(),
        // Whether the program requires a login changes no request.
        assumed: Assumed { auth: false, ..claim.assumed },
    })
}

/// A claim after an identity probe.
#[derive(Clone, Debug)]
pub(super) struct Identified {
    pub claim: Claim,
    /// Which parts of the claim come from an identity probe.
    pub parts: Parts,
    /// A text for people: the requests and the class of the decisive response, or why no request was sent.
    pub said: String,
}

/// The claim with what the responses of its Service prove. `None` if there is no question about the claim, or if there
/// are no responses, neither now nor before.
///
/// A tool keeps what an earlier response has proved until a later response proves something. So nothing changes if the
/// Service does not respond, if it must no longer be probed, or if its response proves nothing.
///
/// A Service that was denied stays denied until it responds. Every response ends the denial, even if it proves nothing:
/// the program may have been replaced, and only a proof rejects a Service.
pub(super) fn identified(
    claim: &Claim,
    service: &Recognised,
    stated: &Annotations,
    before: Option<&Remembered>,
) -> Option<Identified> {
    let asked = question(&service.view, claim)?;
    let answer = answer(service.identity(), &asked);
    if let Some(denial) = before.and_then(Remembered::denial).filter(|denial| stays(denial, claim, answer)) {
        let because = answer.filter(|answer| answer.verdict == IdentityVerdict::NotProbed);
        let because = because.map(|answer| format!("{LAST_PROBE}{}.", answer.said)).unwrap_or_default();
        let without = denial.message.split(LAST_PROBE).next().unwrap_or_default();
        let (reason, message) = (ServiceReason::NotTheProduct, format!("{without}{because}"));
        let claim = Claim { outcome: ClaimOutcome::Rejected { reason, message }, ..claim.clone() };
        return Some(Identified { claim, parts: Parts::NOTHING, said: String::new() });
    }
    let proves_nothing = answer.is_none_or(|answer| answer.verdict.proves_nothing());
    let before = before.and_then(Remembered::tool);
    let before = before.filter(|before| proves_nothing && before.product == claim.product);
    let kept = before.and_then(|before| {
        let mut parts = before.from_identity;
        // Another port can have another scheme.
        parts.scheme &=
            answer.is_none_or(|answer| answer.scheme.is_none()) && before.endpoint.port == asked.target.port;
        let (claim, parts) = remembered::applied(claim, &service.view, stated, before, parts)?;
        Some((claim, parts, before))
    });
    match (kept, answer) {
        (None, None) => None,
        // The text about the earlier response says more than the reason why no new request was sent.
        (Some((claim, parts, before)), None | Some(IdentityEvidence { verdict: IdentityVerdict::NotProbed, .. })) => {
            Some(Identified { claim, parts, said: before.identity.clone() })
        }
        (kept, Some(answer)) => {
            let (claim, kept) = kept.map_or((claim.clone(), Parts::NOTHING), |(claim, parts, _)| (claim, parts));
            let (claim, shown) = applied(claim, answer);
            Some(Identified { claim, parts: kept.and(shown), said: answer.said.clone() })
        }
    }
}

/// The evidence that belongs to a question, if there is any.
fn answer<'a>(answers: &'a [IdentityEvidence], asked: &IdentityQuestion) -> Option<&'a IdentityEvidence> {
    let stated = asked.stated();
    answers.iter().find(|one| one.product == asked.product && one.port == asked.target.port && one.stated == stated)
}

/// Whether the denial of a Service with this claim still applies.
fn stays(denial: &Denial, claim: &Claim, answer: Option<&IdentityEvidence>) -> bool {
    let is_silent = answer.is_none_or(|answer| answer.verdict.is_silent());
    is_silent && claim.origin == Origin::Rules && denial.product == claim.product
}

/// The claim after the evidence is applied, and the parts that come from the evidence.
///
/// A response replaces only assumed parts. It rejects only products that the built-in rules have found. Explicit values
/// stay.
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
        IdentityVerdict::Unknown | IdentityVerdict::Silent | IdentityVerdict::Denied { .. } => {
            let hint = claim.hint.as_deref().unwrap_or(ADVICE);
            let hint = format!("{hint} The identity probe did not confirm the product: {}.", evidence.said);
            claim.hint = Some(hint.into());
        }
        IdentityVerdict::NotProbed => {
            let hint = claim.hint.as_deref().unwrap_or(ADVICE);
            claim.hint = Some(format!("{hint} The identity probe was {}.", evidence.said).into());
        }
    }
    (claim, parts)
}

#[cfg(test)]
mod tests;
