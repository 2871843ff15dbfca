//! Who says what a Service is: a signature, else its annotations, else the built-in rules.

use std::borrow::Cow;

use crd_types::{ServiceReason, Signature, ToolsetConfig};
use detectors::{Confidence, Finding, Outcome, PortView, Product, Protocol, Rank, ServiceView, Target};

use crate::{
    annotation::{self, Annotations, StatedType},
    checked,
    index::Recognised,
    source,
};

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
    pub rank: Rank,
    /// The target, or why there is none.
    pub verdict: Verdict,
    /// What would settle it.
    pub hint: Option<Cow<'static, str>>,
    /// From the signature.
    pub health_path: Option<String>,
    /// From the signature.
    pub instructions: Option<String>,
}

/// The target that a claim leads to.
#[derive(Clone, Debug)]
pub enum Verdict {
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

/// The claim on a Service, `None` if nobody makes one.
pub fn claim(config: &ToolsetConfig, service: &Recognised, said: &Annotations) -> Option<Claim> {
    let view = &service.view;
    if let Some(signature) = config.spec.signatures.iter().find(|signature| signature_matches(signature, view)) {
        return Some(by_signature(signature, service));
    }
    if let Some(stated) = &said.stated {
        return Some(by_annotation(stated, service, said));
    }
    best(&service.findings).map(|finding| by_rules(finding, view, said))
}

/// Whether a signature matches: its selector and all its annotations. One without either matches nothing.
pub fn signature_matches(signature: &Signature, view: &ServiceView) -> bool {
    let selector = signature.selector.as_ref().is_none_or(|selector| source::matches(selector, &view.labels));
    let annotations = signature.annotations.iter().all(|(key, value)| view.annotations.get(key) == Some(value));
    (signature.selector.is_some() || !signature.annotations.is_empty()) && selector && annotations
}

/// The finding that counts: the surest; of equally sure ones an endpoint before a mere part, then the order of products.
pub fn best(findings: &[Finding]) -> Option<&Finding> {
    let surest = findings.iter().map(|finding| finding.confidence).max()?;
    let mut sure = findings.iter().filter(|finding| finding.confidence == surest);
    let endpoint = sure.clone().find(|finding| matches!(finding.outcome, Outcome::Endpoint(_)));
    endpoint.or_else(|| sure.next())
}

fn by_signature(signature: &Signature, service: &Recognised) -> Claim {
    let view = &service.view;
    let product = signature.type_;
    let verdict = match signature_target(signature, product, view) {
        Ok(target) => Verdict::Target(target),
        Err((reason, why)) => Verdict::Rejected { reason, message: format!("signature {}: {why}", signature.name) },
    };
    Claim {
        product,
        custom: signature.custom_type.clone(),
        confidence: Confidence::High,
        origin: Origin::Signature(signature.name.clone()),
        rank: rank(product, service),
        verdict,
        hint: None,
        health_path: signature.health_path.clone(),
        instructions: signature.instructions.clone(),
    }
}

fn signature_target(
    signature: &Signature,
    product: Product,
    view: &ServiceView,
) -> Result<Target, (ServiceReason, String)> {
    let mut target = match &signature.port {
        Some(port) => {
            let declared = annotation::declared_port(view, &port.to_string());
            target_at(product, view, declared.map_err(|why| (ServiceReason::NoUsablePort, format!("its port {why}")))?)
        }
        None => detectors::target_of(product, view).ok_or_else(|| {
            let ports = annotation::ports_in_words(view);
            (
                ServiceReason::NoUsablePort,
                format!("which port to call does not follow from the type; give one of {ports} as port"),
            )
        })?,
    };
    if let Some(scheme) = signature.scheme {
        target.scheme = scheme;
    }
    if let Some(path) = &signature.path {
        let path = checked::path(path).map_err(|why| (ServiceReason::EndpointNotAllowed, format!("its path {why}")))?;
        target.path = path.into();
    }
    Ok(target)
}

fn by_annotation(stated: &StatedType, service: &Recognised, said: &Annotations) -> Claim {
    let view = &service.view;
    let chosen = said.port.and_then(|number| tcp_port(view, number));
    let target = match chosen {
        Some(port) => Some(target_at(stated.product, view, port)),
        None => detectors::target_of(stated.product, view),
    };
    let verdict = match target {
        Some(target) => Verdict::Target(adjusted(target, said)),
        None => Verdict::Rejected {
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
        rank: rank(stated.product, service),
        verdict,
        hint: None,
        health_path: None,
        instructions: None,
    }
}

fn by_rules(finding: &Finding, view: &ServiceView, said: &Annotations) -> Claim {
    let chosen = said.port.and_then(|number| tcp_port(view, number));
    let verdict = match (&finding.outcome, chosen) {
        (Outcome::NotAnEndpoint { role }, _) => Verdict::Rejected {
            reason: ServiceReason::NotAnEndpoint,
            message: format!("it is {} of {}, which serves no queries", with_article(role), finding.product),
        },
        (_, Some(port)) => Verdict::Target(adjusted(target_at(finding.product, view, port), said)),
        (Outcome::Endpoint(target), None) => Verdict::Target(adjusted(target.clone(), said)),
        (Outcome::NoUsablePort, None) => Verdict::Rejected {
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
        rank: finding.rank,
        verdict,
        hint: finding.hint.clone(),
        health_path: None,
        instructions: None,
    }
}

/// The target on a port that somebody chose: the product's own scheme and path where its rule picks the same port, else the
/// scheme that the port shows and the product's path.
fn target_at(product: Product, view: &ServiceView, port: &PortView) -> Target {
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
fn rank(product: Product, service: &Recognised) -> Rank {
    service.findings.iter().find(|finding| finding.product == product).map(|finding| finding.rank).unwrap_or_default()
}

fn tcp_port(view: &ServiceView, number: u16) -> Option<&PortView> {
    view.ports.iter().find(|port| port.port == number && port.protocol == Protocol::Tcp)
}

/// `distributor` becomes `the distributor part`; roles that are phrases already have an article.
fn with_article(role: &str) -> Cow<'_, str> {
    let phrase = ["a ", "an ", "the "].iter().any(|article| role.starts_with(article));
    if phrase { role.into() } else { format!("the {role} part").into() }
}
