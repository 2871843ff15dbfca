//! Selects candidates among the Services, and says why each one is chosen or rejected. Health comes later.
//!
//! ```text
//! source ─► opt-out ─► annotations ─► claim (signature, stated type, rules) ─► trust ─► detector ─► role, port ─►
//! evidence
//!        ─► endpoint ─► second stage (per namespace)
//! ```

pub mod annotation;
pub mod candidate;
pub mod claim;
pub mod evidence;
mod identified;
pub mod interest;
pub mod overridden;
pub mod remembered;
pub mod selector;
pub mod signature;
pub mod source;
mod trust;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crd_types::{NamespacesFrom, ServiceReason, Source, State, ToolsetConfig, Trust};
use detectors::{Confidence, DisplacedBecause, Finding, Product, ServiceKey, ServiceView};

use self::{
    annotation::{Annotations, Malformed},
    candidate::{Candidate, CandidateOutcome, Selection},
    claim::{Claim, ClaimOutcome, Origin},
    identified::Identified,
    remembered::{Memory, Parts, Remembered},
};
use crate::{
    identity,
    index::{Index, Recognised},
    pods::Pods,
};

/// What makes a Service certain whose rule has no better advice.
pub(crate) const ADVICE: &str =
    "Annotate the Service with kubernaut.io/toolset: enabled and kubernaut.io/toolset-type.";

/// What a selection, a plan and a rendering are made for.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The `ToolsetConfig`.
    pub config: &'a ToolsetConfig,
    /// The domain of Service names, e.g. `cluster.local`.
    pub cluster_domain: &'a str,
}

/// Compares every Service that can be a candidate with the spec.
///
/// `remembered` reads how a Service is in the output, if its Pods count and are not known. `admits` says which Services
/// can be tools.
pub fn select(
    ctx: &Context<'_>,
    index: &Index,
    remembered: Option<Memory<'_>>,
    admits: Option<&dyn Fn(&ServiceKey) -> bool>,
) -> Selection {
    let mut selection = Selection::default();
    let mut namespace: Option<(&str, Vec<&Source>)> = None;
    // Services come sorted by namespace, so the sources of a namespace are looked up once.
    each_possible(ctx.config, index, |service| {
        let name = &*service.view.key.namespace;
        if namespace.as_ref().is_none_or(|(known, _)| *known != name) {
            namespace = Some((name, source::covering(ctx.config, name, index.namespace_labels(name))));
        }
        let covering = namespace.as_ref().map_or(&[][..], |(_, covering)| covering.as_slice());
        if let Ok(source) = source::select(covering, &service.view) {
            selection.candidates.extend(judge(ctx, index, service, source, remembered));
        }
    });
    // What cannot enter displaces nothing.
    if let Some(admits) = admits {
        selection.admit(admits);
    }
    second_stage(ctx, index, &mut selection.candidates);
    selection
}

/// Calls `each` for the Services that can be candidates, by namespace and name. With signatures any Service can be one,
/// else only a Service that something recognises. Namespaces that no source names are left out.
fn each_possible<'i>(config: &ToolsetConfig, index: &'i Index, mut each: impl FnMut(&'i Recognised)) {
    let signatures = !config.spec.signatures.is_empty();
    match (named_namespaces(config), signatures) {
        (Some(names), true) => names.iter().for_each(|name| index.services_in(name).for_each(&mut each)),
        (Some(names), false) => names.iter().for_each(|name| index.interesting_in(name).for_each(&mut each)),
        (None, true) => index.services().for_each(each),
        (None, false) => index.interesting().for_each(each),
    }
}

/// The namespaces that the sources name, if all of them do.
fn named_namespaces(config: &ToolsetConfig) -> Option<BTreeSet<&str>> {
    let mut names = BTreeSet::new();
    for source in &config.spec.sources {
        match source.namespaces.from {
            NamespacesFrom::Names => names.extend(source.namespaces.names.iter().map(String::as_str)),
            NamespacesFrom::Same => names.extend(config.metadata.namespace.as_deref()),
            NamespacesFrom::All | NamespacesFrom::Selector => return None,
        }
    }
    Some(names)
}

/// The candidate that a Service is on its own, without its neighbours. `None` if nothing recognises it.
fn judge(
    ctx: &Context<'_>,
    index: &Index,
    service: &Recognised,
    source: &Source,
    remembered: Option<Memory<'_>>,
) -> Option<Candidate> {
    let (view, pods) = (&service.view, pods_of(ctx.config, source.trust));
    let (stated, malformed) = match service.annotations(ctx.cluster_domain) {
        Ok(stated) => (stated, None),
        Err(malformed) => (Annotations::nothing(), Some(malformed)),
    };
    let claim = match signature::claim(&ctx.config.spec.signatures, service, pods) {
        Some(claim) => Some(Cow::Owned(claim)),
        // The cached claim may use an annotation that is wrong for this cluster domain.
        None if malformed.is_some() => claim::of_service(view, service.findings(pods), stated, pods).map(Cow::Owned),
        None => service.claim(pods).map(Cow::Borrowed),
    };
    let is_known = service.pods().is_some();
    let before = remembered.and_then(|remembered| remembered(&view.key));
    let before_pods = before.as_ref().and_then(Remembered::tool).filter(|_| pods == Pods::Count && !is_known);
    let kept = claim
        .as_deref()
        .zip(before_pods)
        .and_then(|(claim, before)| remembered::applied(claim, view, stated, before, before.from_pods));
    let (claim, from_pods) = if let Some((kept, from_pods)) = kept {
        (Some(Cow::Owned(kept)), from_pods)
    } else {
        let counted = claim.as_deref().filter(|_| pods == Pods::Count && is_known && malformed.is_none());
        let from_pods = counted.map(|counted| from_pods(ctx.config, service, counted)).unwrap_or_default();
        (claim, from_pods)
    };
    let is_asked = malformed.is_none() && identity::counts(ctx.config, source.trust);
    // The answers are about the endpoint that the overrides state.
    let overridden =
        claim.as_deref().filter(|_| is_asked).and_then(|claim| overridden::overridden(ctx.config, view, claim));
    let is_overridden = overridden.is_some();
    let claim = overridden.map(Cow::Owned).or(claim);
    let asked = claim.as_deref().filter(|_| is_asked);
    let identified = asked.and_then(|claim| identified::identified(claim, service, stated, before.as_ref()));
    let (claim, from_identity, said) = match identified {
        Some(Identified { claim, parts, said }) => (Some(Cow::Owned(claim)), parts, said),
        None => (claim, Parts::NOTHING, String::new()),
    };
    if claim.is_none() && malformed.is_none() && stated == Annotations::nothing() {
        return None;
    }
    let outcome = outcome(ctx, index, service, source, claim.as_deref(), stated, malformed);
    let ambiguous_pods = pods == Pods::Count && service.pods().is_some_and(|evidence| evidence.ambiguous);
    let candidate = candidate(view, source, claim.as_deref(), stated, outcome);
    Some(Candidate { is_overridden, ambiguous_pods, from_pods, from_identity, identity: said, ..candidate })
}

/// Which parts of a claim come from Pods.
fn from_pods(config: &ToolsetConfig, service: &Recognised, counted: &Claim) -> Parts {
    let by_signature = signature::claim(&config.spec.signatures, service, Pods::Ignored);
    Parts::between(by_signature.as_ref().or_else(|| service.claim(Pods::Ignored)), counted)
}

/// Whether what Pods say counts for the Services of a source.
pub fn pods_of(config: &ToolsetConfig, trust: Trust) -> Pods {
    match (config.spec.evidence.pods, trust) {
        (State::Enabled, Trust::Trusted) => Pods::Count,
        (State::Disabled, _) | (_, Trust::Tenant) => Pods::Ignored,
    }
}

fn candidate(
    view: &ServiceView,
    source: &Source,
    claim: Option<&Claim>,
    stated: &Annotations,
    outcome: CandidateOutcome,
) -> Candidate {
    Candidate {
        key: view.key.clone(),
        product: claim.map(|claim| claim.product),
        custom: claim.and_then(|claim| claim.custom.clone()),
        source: source.name.clone(),
        trust: source.trust,
        confidence: claim.map_or(Confidence::Low, |claim| claim.confidence),
        decided_by: claim.map(|claim| claim.decided_by.clone().into_owned()).unwrap_or_default(),
        by_port_alone: claim.is_some_and(|claim| claim.by_port_alone),
        auth: claim.map(|claim| claim.auth).unwrap_or_default(),
        assumed: claim.map(|claim| claim.assumed).unwrap_or_default(),
        is_overridden: false,
        ambiguous_pods: false,
        from_pods: Parts::NOTHING,
        from_identity: Parts::NOTHING,
        identity: String::new(),
        origin: claim.map_or(Origin::Annotation, |claim| claim.origin.clone()),
        rank: claim.map(|claim| claim.rank).unwrap_or_default(),
        created: view.created,
        tool_name: stated.name.clone(),
        health_path: claim.and_then(|claim| claim.health_path.clone()).or_else(|| stated.health_path.clone()),
        needs_slices_of: trust::needs_own_slices(view, source).then_some(view.uid),
        instructions: claim.and_then(|claim| claim.instructions.clone()),
        outcome,
    }
}

fn outcome(
    ctx: &Context<'_>,
    index: &Index,
    service: &Recognised,
    source: &Source,
    claim: Option<&Claim>,
    stated: &Annotations,
    malformed: Option<Malformed>,
) -> CandidateOutcome {
    let view = &service.view;
    let rejected = |reason: ServiceReason, message: String| CandidateOutcome::Rejected { reason, message };
    if annotation::is_opted_out(view) {
        return rejected(ServiceReason::OptedOut, format!("Annotation {} opts this Service out.", annotation::TOOLSET));
    }
    if let Some(malformed) = malformed {
        return rejected(ServiceReason::InvalidAnnotation, malformed.message);
    }
    let Some(claim) = claim else {
        let message = format!(
            "This Service has kubernaut.io annotations but no annotation {type_}, and no detector recognises it. Add the annotation {type_}.",
            type_ = annotation::TYPE
        );
        return rejected(ServiceReason::InvalidAnnotation, message);
    };
    let readiness = index.readiness(&view.key);
    if let Some((reason, message)) = trust::refusal(view, readiness, source, claim.product, stated.opted_in) {
        return rejected(reason, message);
    }
    let detector = ctx.config.spec.detector(claim.product);
    if detector.state == State::Disabled {
        let message = format!(
            "Detector {} is Disabled. To use this Service, set spec.detectors[type={}].state to Enabled.",
            claim.product, claim.product
        );
        return rejected(ServiceReason::DetectorDisabled, message);
    }
    let target = match &claim.outcome {
        ClaimOutcome::Target(target) => target,
        ClaimOutcome::Rejected { reason, message } => return rejected(*reason, message.clone()),
    };
    let wanted = detector.min_confidence;
    if claim.confidence < wanted {
        let hint = claim.hint.as_deref().unwrap_or(ADVICE);
        let message = format!(
            "This Service looks like {} with confidence {}, but confidence {wanted} is required. {hint}",
            claim.product, claim.confidence
        );
        return rejected(ServiceReason::NotEnoughEvidence, message);
    }
    match service.endpoint(target, pods_of(ctx.config, source.trust), ctx.cluster_domain) {
        Ok(endpoint) => CandidateOutcome::Chosen(endpoint),
        Err(why) => {
            rejected(ServiceReason::EndpointNotAllowed, format!("No endpoint can be built for this Service: {why}."))
        }
    }
}

/// Rejects headless twins and Services for which there is a preferred endpoint, among the Trusted of one namespace.
///
/// Services of Tenants are not compared. They are always stated, so they are never displaced, and they must not
/// displace others.
fn second_stage(ctx: &Context<'_>, index: &Index, candidates: &mut [Candidate]) {
    let pods = pods_of(ctx.config, Trust::Trusted);
    let counts = |candidate: &Candidate| candidate.trust == Trust::Trusted && candidate.endpoint().is_some();
    let counted: Vec<usize> = (0..candidates.len()).filter(|position| counts(&candidates[*position])).collect();
    let same = |a: &usize, b: &usize| candidates[*a].key.namespace == candidates[*b].key.namespace;
    let groups: Vec<&[usize]> = counted.chunk_by(same).filter(|positions| positions.len() > 1).collect();
    for positions in groups {
        let findings: Vec<(usize, &ServiceView, Cow<'_, Finding>)> = positions
            .iter()
            .filter_map(|&position| {
                let service = index.service(&candidates[position].key)?;
                Some((position, &service.view, finding_of(service, &candidates[position], pods)?))
            })
            .collect();
        let input: Vec<(&ServiceView, &Finding)> =
            findings.iter().map(|(_, view, finding)| (*view, &**finding)).collect();
        for ((position, ..), displaced) in findings.iter().zip(detectors::displaced_endpoints(&input)) {
            // A Service that somebody stated is wanted.
            let Some(displaced) = displaced.filter(|_| candidates[*position].origin == Origin::Rules) else { continue };
            let (reason, what) = match displaced.because {
                DisplacedBecause::HeadlessTwin => {
                    (ServiceReason::HeadlessTwin, "This Service is headless and selects the same Pods as")
                }
                DisplacedBecause::PreferredEndpoint => {
                    (ServiceReason::LostToPreferred, "This Service provides the same data as the preferred Service")
                }
            };
            let message = format!(
                "{what} {}. To use this Service as well, annotate it with kubernaut.io/toolset: enabled and kubernaut.io/toolset-type.",
                displaced.by
            );
            candidates[*position].reject(reason, message);
        }
    }
}

/// The built-in finding that a candidate comes from, or one that is made from what was stated or remembered.
fn finding_of<'a>(service: &'a Recognised, candidate: &Candidate, pods: Pods) -> Option<Cow<'a, Finding>> {
    let product = candidate.product?;
    let endpoint = candidate.endpoint()?;
    let is_at = |finding: &&Finding| {
        let outcome = &finding.outcome;
        finding.product == product
            && matches!(outcome, detectors::Outcome::Endpoint(target) if target.port == endpoint.port)
    };
    let found = service.findings(pods).iter().find(is_at);
    if let Some(finding) = found.filter(|_| candidate.origin == Origin::Rules) {
        return Some(Cow::Borrowed(finding));
    }
    let target = detectors::Target { port: endpoint.port, scheme: endpoint.scheme, path: endpoint.path.clone().into() };
    Some(Cow::Owned(Finding {
        product,
        confidence: candidate.confidence,
        outcome: detectors::Outcome::Endpoint(target),
        rank: candidate.rank,
        hint: None,
        auth: detectors::Auth::Unknown,
        assumed: detectors::Assumed::NOTHING,
        decided_by: "".into(),
        by_port_alone: false,
    }))
}

/// The number of candidates of each product, for the status and metrics.
pub fn candidates_by_product(selection: &Selection) -> BTreeMap<Product, usize> {
    let mut counts = BTreeMap::new();
    for product in selection.candidates.iter().filter_map(|candidate| candidate.product) {
        *counts.entry(product).or_default() += 1;
    }
    counts
}

/// The products whose detector is Disabled in the spec, for `explain`.
pub fn disabled(config: &ToolsetConfig) -> BTreeSet<Product> {
    let off = |product: &Product| config.spec.detector(*product).state == State::Disabled;
    Product::ALL.iter().copied().filter(off).collect()
}

#[cfg(test)]
mod tests;
