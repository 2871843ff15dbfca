//! What a Service is, as its own annotations state it, else as the built-in rules find it. Nothing here depends on a
//! `ToolsetConfig`, so the index computes it once per Service.

use std::borrow::Cow;

use crd_types::ServiceReason;
use detectors::{Assumed, Auth, Confidence, Finding, Outcome, PortView, Product, Protocol, Rank, ServiceView, Target};

use super::annotation::{self, Annotations, StatedType};
use crate::pods::Pods;

/// Where a recognition comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The built-in rules.
    Rules,
    /// `kubernaut.io/toolset-type`.
    Annotation,
    /// The signature of this name in the `ToolsetConfig`.
    Signature(String),
}

/// What a Service is, and where it would be called.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The product.
    pub product: Product,
    /// The user's name for a `Custom` one.
    pub custom: Option<String>,
    /// How sure this is. What somebody stated is High.
    pub confidence: Confidence,
    /// Where this comes from.
    pub origin: Origin,
    /// Its place among its product's instances.
    pub rank: Rank,
    /// The target, or why there is none.
    pub outcome: ClaimOutcome,
    /// What would make it sure.
    pub hint: Option<Cow<'static, str>>,
    /// What the target asks of its clients.
    pub auth: Auth,
    /// Which parts of the target are assumed.
    pub assumed: Assumed,
    /// The evidence that decided, as text for people.
    pub decided_by: Cow<'static, str>,
    /// Whether only a port suggests the product.
    pub by_port_alone: bool,
    /// From the signature.
    pub health_path: Option<String>,
    /// From the signature.
    pub instructions: Option<String>,
}

/// Whether a Service can be called.
#[derive(Clone, Debug)]
pub enum ClaimOutcome {
    /// It can be called here.
    Target(Target),
    /// It cannot be called.
    Rejected {
        /// The stable reason.
        reason: ServiceReason,
        /// Why, and what would change it.
        message: String,
    },
}

/// The claim of a Service's annotations, else that of the built-in rules. `None` without either. If Pods count, they
/// complete what the annotations leave open.
pub fn of_service(view: &ServiceView, findings: &[Finding], stated: &Annotations, pods: Pods) -> Option<Claim> {
    match &stated.stated {
        Some(type_) => Some(by_annotation(type_, view, findings, stated, pods)),
        None => best(findings).map(|finding| by_rules(finding, view, findings, stated, pods)),
    }
}

/// The finding that counts. The surest one wins; among equally sure ones an endpoint, then the first in the order of
/// products.
pub fn best(findings: &[Finding]) -> Option<&Finding> {
    let surest = findings.iter().map(|finding| finding.confidence).max()?;
    let mut sure = findings.iter().filter(|finding| finding.confidence == surest);
    let endpoint = sure.clone().find(|finding| matches!(finding.outcome, Outcome::Endpoint(_)));
    endpoint.or_else(|| sure.next())
}

fn by_annotation(
    stated: &StatedType,
    view: &ServiceView,
    findings: &[Finding],
    said: &Annotations,
    pods: Pods,
) -> Claim {
    let chosen = said.port.and_then(|number| tcp_port(view, number));
    let found = match chosen {
        Some(port) => Some(target_at(stated.product, view, findings, port, pods)),
        None => target_of(stated.product, view, findings, pods),
    };
    let mut known = Known::default();
    let outcome = match found {
        Some((target, of_it)) => {
            known = of_it.adjusted(said);
            ClaimOutcome::Target(adjusted(target, said))
        }
        None => ClaimOutcome::Rejected {
            reason: ServiceReason::InvalidAnnotation,
            message: format!(
                "Annotation {} is required, because the type does not determine which port to call. The Service declares {}.",
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
        rank: rank(stated.product, findings),
        outcome,
        hint: None,
        auth: known.auth,
        assumed: known.assumed,
        decided_by: Cow::Owned(format!("annotation {}", annotation::TYPE)),
        by_port_alone: false,
        health_path: None,
        instructions: None,
    }
}

fn by_rules(finding: &Finding, view: &ServiceView, findings: &[Finding], said: &Annotations, pods: Pods) -> Claim {
    let chosen = said.port.and_then(|number| tcp_port(view, number));
    let mut known = Known { auth: finding.auth, assumed: finding.assumed };
    let outcome = match (&finding.outcome, chosen) {
        (Outcome::NotAnEndpoint { role }, _) => ClaimOutcome::Rejected {
            reason: ServiceReason::NotAnEndpoint,
            message: not_an_endpoint(role, finding.product),
        },
        (_, Some(port)) => {
            let (target, of_it) = target_at(finding.product, view, findings, port, pods);
            known = of_it;
            ClaimOutcome::Target(adjusted(target, said))
        }
        (Outcome::Endpoint(target), None) => ClaimOutcome::Target(adjusted(target.clone(), said)),
        (Outcome::NoUsablePort, None) => ClaimOutcome::Rejected {
            reason: ServiceReason::NoUsablePort,
            message: format!(
                "This Service looks like {}, but none of its ports is known to serve queries ({}). Specify the port with annotation {}.",
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
        outcome,
        hint: finding.hint.clone(),
        auth: known.auth,
        assumed: known.adjusted(said).assumed,
        decided_by: finding.decided_by.clone(),
        by_port_alone: finding.by_port_alone,
        health_path: None,
        instructions: None,
    }
}

/// What is known of a target beside the target itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub auth: Auth,
    pub assumed: Assumed,
}

impl Known {
    /// What annotations state is not assumed.
    fn adjusted(mut self, said: &Annotations) -> Self {
        self.assumed.scheme &= said.scheme.is_none();
        self.assumed.path &= said.path.is_none();
        self
    }

    /// What is known of a target that only the Service shows.
    fn of_port(view: &ServiceView, port: &PortView) -> Self {
        let scheme = detectors::shown_scheme(view, port).is_none();
        Self { auth: Auth::Unknown, assumed: Assumed { scheme, path: true, auth: true } }
    }
}

/// What to call on a Service that somebody states is `product`: as the Pods show it, else as the product's rule says.
pub(super) fn target_of(
    product: Product,
    view: &ServiceView,
    findings: &[Finding],
    pods: Pods,
) -> Option<(Target, Known)> {
    let by_pods = findings.iter().filter(|finding| pods == Pods::Count && finding.product == product);
    let shown = by_pods.filter_map(|finding| match &finding.outcome {
        Outcome::Endpoint(target) => Some((target.clone(), Known { auth: finding.auth, assumed: finding.assumed })),
        Outcome::NotAnEndpoint { .. } | Outcome::NoUsablePort => None,
    });
    shown.into_iter().next().or_else(|| {
        let target = detectors::target_of(product, view)?;
        let known = Known::of_port(view, tcp_port(view, target.port)?);
        Some((target, known))
    })
}

/// The target on a port that somebody chose. If the Pods or the product's rule pick the same port, their scheme and path
/// are used, else the scheme that the port suggests and the product's path.
pub(super) fn target_at(
    product: Product,
    view: &ServiceView,
    findings: &[Finding],
    port: &PortView,
    pods: Pods,
) -> (Target, Known) {
    match target_of(product, view, findings, pods) {
        Some((own, known)) if own.port == port.port => (own, known),
        own => {
            let scheme = detectors::scheme_of(view, port);
            let path = own.map(|(own, _)| own.path).unwrap_or_default();
            (Target { port: port.port, scheme, path }, Known::of_port(view, port))
        }
    }
}

fn adjusted(mut target: Target, said: &Annotations) -> Target {
    target.scheme = said.scheme.unwrap_or(target.scheme);
    if let Some(path) = &said.path {
        target.path = path.clone().into();
    }
    target
}

/// A stated product ranks as the rules rank it, if they recognise it too.
pub(super) fn rank(product: Product, findings: &[Finding]) -> Rank {
    findings.iter().find(|finding| finding.product == product).map(|finding| finding.rank).unwrap_or_default()
}

fn tcp_port(view: &ServiceView, number: u16) -> Option<&PortView> {
    view.ports.iter().find(|port| port.port == number && port.protocol == Protocol::Tcp)
}

/// What a Service of this role is. A role of the Pods can be another program, which is no part of the product.
fn not_an_endpoint(role: &str, product: Product) -> String {
    match role.strip_prefix("another program, ") {
        Some(program) => format!("The Pods of this Service run another program, {program}, and not {product}."),
        None if role == "another program" => {
            format!("The Pods of this Service run another program, and not {product}.")
        }
        None => {
            format!("This Service belongs to {product}, but it does not serve queries: it is {}.", with_article(role))
        }
    }
}

/// `distributor` becomes `the distributor component`. A role that is a phrase already has an article.
fn with_article(role: &str) -> Cow<'_, str> {
    let phrase = ["a ", "an ", "the "].iter().any(|article| role.starts_with(article));
    if phrase { role.into() } else { format!("the {role} component").into() }
}
