//! What a Service is, as its own annotations state it, else as the built-in rules find it. Nothing here depends on a
//! `ToolsetConfig`, so the index computes it once per Service.

use std::borrow::Cow;

use crd_types::ServiceReason;
use detectors::{Confidence, Finding, Outcome, PortView, Product, Protocol, ServiceView, Standing, Target};

use super::annotation::{self, Annotations, StatedType};

/// What a recognition rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The built-in rules.
    Rules,
    /// `kubernaut.io/toolset-type`.
    Annotation,
    /// The signature of this name in the `ToolsetConfig`.
    Signature(String),
}

/// What a Service is said to be, and where it would be called.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The product.
    pub product: Product,
    /// The user's name for a `Custom` one.
    pub custom: Option<String>,
    /// How sure; stated things are High.
    pub confidence: Confidence,
    /// Who says so.
    pub origin: Origin,
    /// Its place among its product's instances.
    pub standing: Standing,
    /// The target, or why there is none.
    pub outcome: ClaimOutcome,
    /// What would settle it.
    pub hint: Option<Cow<'static, str>>,
    /// From the signature.
    pub health_path: Option<String>,
    /// From the signature.
    pub instructions: Option<String>,
}

/// The target that a claim leads to.
#[derive(Clone, Debug)]
pub enum ClaimOutcome {
    /// Call it here.
    Target(Target),
    /// It cannot be called.
    Rejected {
        /// The stable reason.
        reason: ServiceReason,
        /// In words.
        message: String,
    },
}

/// The claim that a Service makes by its annotations, else the one that the rules make for it. `None` without either.
pub fn of_service(view: &ServiceView, findings: &[Finding], stated: &Annotations) -> Option<Claim> {
    match &stated.stated {
        Some(type_) => Some(by_annotation(type_, view, findings, stated)),
        None => best(findings).map(|finding| by_rules(finding, view, stated)),
    }
}

/// The finding that counts: the surest; of equally sure ones an endpoint before a mere part, then the order of products.
pub fn best(findings: &[Finding]) -> Option<&Finding> {
    let surest = findings.iter().map(|finding| finding.confidence).max()?;
    let mut sure = findings.iter().filter(|finding| finding.confidence == surest);
    let endpoint = sure.clone().find(|finding| matches!(finding.outcome, Outcome::Endpoint(_)));
    endpoint.or_else(|| sure.next())
}

fn by_annotation(stated: &StatedType, view: &ServiceView, findings: &[Finding], said: &Annotations) -> Claim {
    let chosen = said.port.and_then(|number| tcp_port(view, number));
    let target = match chosen {
        Some(port) => Some(target_at(stated.product, view, port)),
        None => detectors::target_of(stated.product, view),
    };
    let outcome = match target {
        Some(target) => ClaimOutcome::Target(adjusted(target, said)),
        None => ClaimOutcome::Rejected {
            reason: ServiceReason::InvalidAnnotation,
            message: format!(
                "annotation {} is missing, and which port to call does not follow from the type; the Service declares {}",
                annotation::PORT,
                annotation::ports_in_words(view)
            ),
        },
    };
    Claim {
        product: stated.product,
        custom: stated.custom.clone(),
        confidence: Confidence::High,
        origin: Origin::Annotation,
        standing: standing(stated.product, findings),
        outcome,
        hint: None,
        health_path: None,
        instructions: None,
    }
}

fn by_rules(finding: &Finding, view: &ServiceView, said: &Annotations) -> Claim {
    let chosen = said.port.and_then(|number| tcp_port(view, number));
    let outcome = match (&finding.outcome, chosen) {
        (Outcome::NotAnEndpoint { role }, _) => ClaimOutcome::Rejected {
            reason: ServiceReason::NotAnEndpoint,
            message: format!("it is {} of {}, which serves no queries", with_article(role), finding.product),
        },
        (_, Some(port)) => ClaimOutcome::Target(adjusted(target_at(finding.product, view, port), said)),
        (Outcome::Endpoint(target), None) => ClaimOutcome::Target(adjusted(target.clone(), said)),
        (Outcome::NoUsablePort, None) => ClaimOutcome::Rejected {
            reason: ServiceReason::NoUsablePort,
            message: format!(
                "looks like {}, but none of its ports is known to answer queries ({}); name one with {}",
                finding.product,
                annotation::ports_in_words(view),
                annotation::PORT
            ),
        },
    };
    Claim {
        product: finding.product,
        custom: None,
        confidence: finding.confidence,
        origin: Origin::Rules,
        standing: finding.standing,
        outcome,
        hint: finding.hint.clone(),
        health_path: None,
        instructions: None,
    }
}

/// The target on a port that somebody chose: the product's own scheme and path where its rule picks the same port, else the
/// scheme that the port shows and the product's path.
pub(super) fn target_at(product: Product, view: &ServiceView, port: &PortView) -> Target {
    let own = detectors::target_of(product, view);
    match own {
        Some(own) if own.port == port.port => own,
        own => Target {
            port: port.port,
            scheme: detectors::scheme_of(view, port),
            path: own.map(|own| own.path).unwrap_or_default(),
        },
    }
}

fn adjusted(mut target: Target, said: &Annotations) -> Target {
    target.scheme = said.scheme.unwrap_or(target.scheme);
    if let Some(path) = &said.path {
        target.path = path.clone().into();
    }
    target
}

/// A stated type ranks where the rules would have ranked it, if they recognise it too.
pub(super) fn standing(product: Product, findings: &[Finding]) -> Standing {
    findings.iter().find(|finding| finding.product == product).map(|finding| finding.standing).unwrap_or_default()
}

fn tcp_port(view: &ServiceView, number: u16) -> Option<&PortView> {
    view.ports.iter().find(|port| port.port == number && port.protocol == Protocol::Tcp)
}

/// `distributor` becomes `the distributor part`; roles that are phrases already have an article.
fn with_article(role: &str) -> Cow<'_, str> {
    let phrase = ["a ", "an ", "the "].iter().any(|article| role.starts_with(article));
    if phrase { role.into() } else { format!("the {role} part").into() }
}
