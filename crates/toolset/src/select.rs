//! Selection: which Services are candidates, and what speaks against each, before health is looked at. No clock.
//!
//! ```text
//! source ─► opt-out ─► annotations ─► claim (signature, stated type, rules) ─► trust ─► detector ─► role, port ─► evidence
//!        ─► endpoint ─► second stage (per namespace) ─► tenant caps
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crd_types::{AllowanceKind, ServiceReason, Source, State, ToolsetConfig, Trust};
use detectors::{Confidence, DisplacedBecause, Finding, Product, Rank, ServiceKey, ServiceType, ServiceView};

use crate::{
    annotation::{self, Annotations},
    caps,
    claim::{self, Claim, Origin, Verdict as ClaimVerdict},
    endpoint::Endpoint,
    index::{Index, Recognised},
    source::{self, Sources},
};

/// What a selection, a plan and a rendering are made for.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The `ToolsetConfig`.
    pub config: &'a ToolsetConfig,
    /// The domain of Service names, e.g. `cluster.local`.
    pub cluster_domain: &'a str,
}

/// Where a candidate stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It becomes a tool if health and overrides agree.
    Chosen(Endpoint),
    /// It does not.
    Rejected {
        /// The stable reason.
        reason: ServiceReason,
        /// What was found and what would change it, in words.
        message: String,
    },
}

/// A Service inside a selected source that a detector, a signature or an annotation speaks of.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The Service.
    pub key: ServiceKey,
    /// What it was recognised as; `None` where a malformed annotation is all there is.
    pub product: Option<Product>,
    /// The user's name for a `Custom` one.
    pub custom: Option<String>,
    /// The source that selects it, by name.
    pub source: String,
    /// How far that source is trusted.
    pub trust: Trust,
    /// How sure the recognition is.
    pub confidence: Confidence,
    /// What recognised it.
    pub origin: Origin,
    /// Its place among the instances of its product.
    pub rank: Rank,
    /// Seconds since 1970; decides admission under the caps.
    pub created: i64,
    /// `toolset-name`.
    pub tool_name: Option<String>,
    /// A path to probe, where somebody named one.
    pub health_path: Option<String>,
    /// What the agent should know, from the signature that matched.
    pub instructions: Option<String>,
    /// Where it stands.
    pub verdict: Verdict,
}

impl Candidate {
    /// The endpoint, if it is chosen.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match &self.verdict {
            Verdict::Chosen(endpoint) => Some(endpoint),
            Verdict::Rejected { .. } => None,
        }
    }

    pub(crate) fn reject(&mut self, reason: ServiceReason, message: impl Into<String>) {
        self.verdict = Verdict::Rejected { reason, message: message.into() };
    }
}

/// All candidates of one `ToolsetConfig`, by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Sorted by key, unique.
    pub candidates: Vec<Candidate>,
}

impl Selection {
    /// The Services whose health decides whether they are in the output.
    pub fn awaiting_health(&self) -> impl Iterator<Item = &ServiceKey> {
        self.candidates.iter().filter(|candidate| candidate.endpoint().is_some()).map(|candidate| &candidate.key)
    }
}

/// Judges every Service of the index against the spec.
pub fn select(ctx: &Context<'_>, index: &Index) -> Selection {
    let sources = Sources::new(ctx.config, index);
    let signatures = !ctx.config.spec.signatures.is_empty();
    let mut selection = Selection::default();
    let mut namespace: Option<(&str, Vec<&Source>)> = None;
    // Services come sorted by namespace, so that a namespace's sources are looked up once.
    for service in index.services().filter(|service| signatures || service.is_interesting()) {
        let name = &*service.view.key.namespace;
        if namespace.as_ref().is_none_or(|(known, _)| *known != name) {
            namespace = Some((name, sources.covering(name)));
        }
        let covering = namespace.as_ref().map_or(&[][..], |(_, covering)| covering.as_slice());
        if let Ok(source) = Sources::select(covering, &service.view) {
            selection.candidates.extend(judge(ctx, index, service, source));
        }
    }
    second_stage(index, &mut selection.candidates);
    caps::admit(&mut selection.candidates);
    selection
}

/// One Service's verdict on its own: everything but its neighbours and the caps. `None` if nothing speaks of it.
pub fn judge(ctx: &Context<'_>, index: &Index, service: &Recognised, source: &Source) -> Option<Candidate> {
    let view = &service.view;
    let (said, malformed) = match annotation::read(view, ctx.cluster_domain) {
        Ok(said) => (said, None),
        Err(malformed) => (Annotations::default(), Some(malformed)),
    };
    let claim = claim::claim(ctx.config, service, &said);
    if claim.is_none() && malformed.is_none() && said == Annotations::default() {
        return None;
    }
    let mut candidate = Candidate::new(view, source, claim.as_ref(), &said);
    candidate.verdict = verdict(ctx, index, service, source, claim, &said, malformed);
    Some(candidate)
}

impl Candidate {
    fn new(view: &ServiceView, source: &Source, claim: Option<&Claim>, said: &Annotations) -> Self {
        Self {
            key: view.key.clone(),
            product: claim.map(|claim| claim.product),
            custom: claim.and_then(|claim| claim.custom.clone()),
            source: source.name.clone(),
            trust: source.trust,
            confidence: claim.map_or(Confidence::Low, |claim| claim.confidence),
            origin: claim.map_or(Origin::Annotation, |claim| claim.origin.clone()),
            rank: claim.map(|claim| claim.rank).unwrap_or_default(),
            created: view.created,
            tool_name: said.name.clone(),
            health_path: said.health_path.clone().or_else(|| claim.and_then(|claim| claim.health_path.clone())),
            instructions: claim.and_then(|claim| claim.instructions.clone()),
            verdict: Verdict::Rejected { reason: ServiceReason::NotEnoughEvidence, message: String::new() },
        }
    }
}

fn verdict(
    ctx: &Context<'_>,
    index: &Index,
    service: &Recognised,
    source: &Source,
    claim: Option<Claim>,
    said: &Annotations,
    malformed: Option<annotation::Malformed>,
) -> Verdict {
    let view = &service.view;
    let rejected = |reason: ServiceReason, message: String| Verdict::Rejected { reason, message };
    if annotation::is_opted_out(view) {
        return rejected(ServiceReason::OptedOut, format!("annotation {} opts this Service out", annotation::TOOLSET));
    }
    if let Some(malformed) = malformed {
        return rejected(ServiceReason::InvalidAnnotation, malformed.message);
    }
    let Some(claim) = claim else {
        let message =
            format!("it has annotations but no {}, and no rule recognises it; add the type", annotation::TYPE);
        return rejected(ServiceReason::InvalidAnnotation, message);
    };
    if let Some((reason, message)) = refused_by_trust(index, view, source, &claim, said) {
        return rejected(reason, message);
    }
    let detector = ctx.config.spec.detector(claim.product);
    if detector.state == State::Disabled {
        let message = format!(
            "the detector {} is Disabled; set spec.detectors[type={}].state to Enabled",
            claim.product, claim.product
        );
        return rejected(ServiceReason::DetectorDisabled, message);
    }
    let target = match claim.verdict {
        ClaimVerdict::Target(target) => target,
        ClaimVerdict::Rejected { reason, message } => return rejected(reason, message),
    };
    let wanted = detector.min_confidence;
    if claim.confidence < wanted {
        let hint = claim
            .hint
            .as_deref()
            .unwrap_or("annotate the Service with kubernaut.io/toolset: enabled and kubernaut.io/toolset-type");
        let message =
            format!("looks like {} with confidence {}, {wanted} is needed; {hint}", claim.product, claim.confidence);
        return rejected(ServiceReason::NotEnoughEvidence, message);
    }
    match Endpoint::of_service(&view.key, target.scheme, target.port, &target.path, ctx.cluster_domain) {
        Ok(endpoint) => Verdict::Chosen(endpoint),
        Err(why) => rejected(ServiceReason::EndpointNotAllowed, format!("no endpoint can be built for it: {why}")),
    }
}

/// The rules of trust that hold whatever the Service is.
fn refused_by_trust(
    index: &Index,
    view: &ServiceView,
    source: &Source,
    claim: &Claim,
    said: &Annotations,
) -> Option<(ServiceReason, String)> {
    if source.trust == Trust::Tenant {
        if !said.opted_in {
            let message = format!(
                "source {} is Tenant and takes only Services that opt in; annotate it with {}: enabled and {}",
                source.name,
                annotation::TOOLSET,
                annotation::TYPE
            );
            return Some((ServiceReason::TenantNotOptedIn, message));
        }
        if claim.product == Product::MCP {
            let message =
                "an MCP server's own texts reach the model, so MCP is never taken from a Tenant source".to_owned();
            return Some((ServiceReason::EndpointNotAllowed, message));
        }
    }
    let refuse = |kind: AllowanceKind, reason: ServiceReason, what: &str| {
        if source::allows(source, &view.key, kind) {
            return None;
        }
        let message = format!(
            "{what}; to vouch for it add {{namespace: {}, name: {}, kind: {kind}}} to allow in source {}",
            view.key.namespace, view.key.name, source.name
        );
        Some((reason, message))
    };
    if view.service_type == ServiceType::ExternalName {
        return refuse(
            AllowanceKind::ExternalName,
            ServiceReason::ExternalNameNotAllowed,
            "it is an alias for a name outside (ExternalName)",
        );
    }
    if view.selector.is_empty() {
        let refused = refuse(
            AllowanceKind::Selectorless,
            ServiceReason::SelectorlessNotAllowed,
            "it has no selector, so its addresses are whatever somebody wrote",
        );
        // Whoever vouches for a Service without a selector vouches for the slices that somebody must have made for it.
        if refused.is_some() {
            return refused;
        }
    } else if index.readiness(&view.key).manual {
        let refused = refuse(
            AllowanceKind::ManualSlices,
            ServiceReason::EndpointNotAllowed,
            "it has hand-made EndpointSlices, which can point anywhere",
        );
        if refused.is_some() {
            return refused;
        }
    }
    if view.external_ips {
        return refuse(AllowanceKind::ExternalIPs, ServiceReason::EndpointNotAllowed, "it has externalIPs");
    }
    None
}

/// Headless twins and preferred endpoints, among the Trusted of one namespace.
///
/// Tenants are left out: what they give is stated and so never displaced, they displace nobody else's, and a flood of theirs
/// would only cost time here, before the caps.
fn second_stage(index: &Index, candidates: &mut [Candidate]) {
    let mut groups: BTreeMap<std::sync::Arc<str>, Vec<usize>> = BTreeMap::new();
    let counts = |candidate: &Candidate| candidate.trust == Trust::Trusted && candidate.endpoint().is_some();
    for (position, candidate) in candidates.iter().enumerate().filter(|(_, candidate)| counts(candidate)) {
        groups.entry(candidate.key.namespace.clone()).or_default().push(position);
    }
    for positions in groups.into_values().filter(|positions| positions.len() > 1) {
        let findings: Vec<(usize, &ServiceView, Finding)> = positions
            .iter()
            .filter_map(|&position| {
                let service = index.service(&candidates[position].key)?;
                Some((position, &service.view, finding_of(service, &candidates[position])?))
            })
            .collect();
        let input: Vec<(&ServiceView, &Finding)> = findings.iter().map(|(_, view, finding)| (*view, finding)).collect();
        for ((position, ..), displaced) in findings.iter().zip(detectors::displaced_endpoints(&input)) {
            // Whoever named a Service explicitly wants that one.
            let Some(displaced) = displaced.filter(|_| candidates[*position].origin == Origin::Rules) else { continue };
            let (reason, what) = match displaced.because {
                DisplacedBecause::HeadlessTwin => (ServiceReason::HeadlessTwin, "is headless, over the same pods as"),
                DisplacedBecause::PreferredEndpoint => {
                    (ServiceReason::LostToPreferred, "serves the same data as the better entry point")
                }
            };
            let message = format!(
                "{what} {}; annotate it with kubernaut.io/toolset: enabled and kubernaut.io/toolset-type to take it as well",
                displaced.by
            );
            candidates[*position].reject(reason, message);
        }
    }
}

/// The built-in finding a candidate rests on, or one made up from what was stated.
fn finding_of(service: &Recognised, candidate: &Candidate) -> Option<Finding> {
    let product = candidate.product?;
    if candidate.origin == Origin::Rules {
        return service.findings.iter().find(|finding| finding.product == product).cloned();
    }
    let endpoint = candidate.endpoint()?;
    let target = detectors::Target { port: endpoint.port, scheme: endpoint.scheme, path: endpoint.path.clone().into() };
    Some(Finding {
        product,
        confidence: candidate.confidence,
        outcome: detectors::Outcome::Endpoint(target),
        rank: candidate.rank,
        hint: None,
    })
}

/// How many of each product are candidates, for the status and metrics.
pub fn candidates_by_product(selection: &Selection) -> BTreeMap<Product, usize> {
    let mut counts = BTreeMap::new();
    for product in selection.candidates.iter().filter_map(|candidate| candidate.product) {
        *counts.entry(product).or_default() += 1;
    }
    counts
}

/// The detector types that the spec switches off, for `explain`.
pub fn disabled(config: &ToolsetConfig) -> BTreeSet<Product> {
    let off = |product: &Product| config.spec.detector(*product).state == State::Disabled;
    Product::ALL.iter().copied().filter(off).collect()
}

#[cfg(test)]
mod tests;
