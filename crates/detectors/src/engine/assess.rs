//! Assesses a Service by the rule of one product: whether it is the product, in which role, on which port, how sure
//! that is.
//!
//! * **High**: labels, or the exact shape that a chart or an operator creates, state product and role, and the port
//!   matches.
//! * **Medium**: two independent pieces of evidence agree and none contradicts. That is an identity (a legacy label,
//!   the selector, whole words of the Service's name) with a port of the product's own, or two identities with a usual
//!   port.
//! * **Low**: one piece of evidence.

use std::{borrow::Cow, fmt};

use super::{
    identities::{Identities, Identity},
    other_programs,
    ports::{self, Choice, Fit, target_at},
    role::{COMPONENT_LABEL, Role, stated_role},
    rule::{EndpointRole, Ports, Rule, Shape, Then},
    shape, whole_words,
};
use crate::{
    finding::{EvidenceKind, Target},
    product::{Confidence, Product},
    view::PortView,
};

/// What a Service is by the rule of one product.
pub(crate) struct Assessment<'a> {
    pub basis: Basis,
    pub conclusion: Conclusion<'a>,
}

/// What the conclusion is based on.
#[derive(Clone, Copy)]
pub(crate) enum Basis {
    /// The shape that a chart or an operator creates.
    Shape(&'static Shape),
    /// A label is exactly a name of the product.
    ExactName,
    /// Identities mention the product.
    Mention,
    /// A port number.
    PortNumber,
    /// There is no evidence.
    Nothing,
}

pub(crate) enum Conclusion<'a> {
    NotTheProduct(Mismatch<'a>),
    /// The product, in a role that answers no queries.
    OtherRole(OtherRole<'a>),
    /// An endpoint role, but none of the ports that it needs.
    NoPort(&'a Ports, Confidence),
    Endpoint {
        endpoint: &'static EndpointRole,
        choice: Choice<'a>,
        confidence: Confidence,
    },
    /// Only the number of the port is evidence for the product.
    Candidate {
        endpoint: &'static EndpointRole,
        port: &'a PortView,
    },
}

/// Why a Service is not the product.
pub(crate) enum Mismatch<'a> {
    /// Nothing mentions the product.
    NotMentioned,
    /// This word makes the identity the name of another program.
    OtherProgram(Identity<'a>, &'a str),
    /// The identity mentions another product.
    OtherProduct(Identity<'a>, Product),
    /// `app.kubernetes.io/name` is the name of another program.
    OtherNameLabel,
}

impl Mismatch<'_> {
    /// Where the evidence against the product comes from, if there is any.
    pub(crate) fn kind(&self) -> Option<EvidenceKind> {
        match self {
            Self::NotMentioned => None,
            Self::OtherProgram(identity, _) | Self::OtherProduct(identity, _) => Some(identity.kind),
            Self::OtherNameLabel => Some(EvidenceKind::Label),
        }
    }
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMentioned => f.write_str("nothing in the Service mentions it"),
            Self::OtherProgram(identity, word) => write!(f, "`{word}` in {identity} names another program"),
            Self::OtherProduct(identity, product) => write!(f, "{identity} names {product}"),
            Self::OtherNameLabel => f.write_str("app.kubernetes.io/name names another program"),
        }
    }
}

/// A role that answers no queries.
pub(crate) enum OtherRole<'a> {
    /// As a shape describes it.
    OfShape(&'static str),
    /// As the Service states it.
    Stated(Role<'a>),
    /// Unknown, because all components have the name and the Service states no role.
    NotStated,
}

impl OtherRole<'_> {
    /// A description for people.
    pub(crate) fn description(&self) -> Cow<'static, str> {
        match self {
            Self::OfShape(text) => Cow::Borrowed(text),
            Self::Stated(role) => Cow::Owned(role.value.to_owned()),
            Self::NotStated => Cow::Borrowed("a component that does not state its role"),
        }
    }
}

/// Assesses a Service by `rule`.
pub(crate) fn assess<'a>(rule: &'static Rule, identities: &Identities<'a>) -> Assessment<'a> {
    if let Some(shape) = shape::matching(rule, identities.view).next() {
        let conclusion = match &shape.then {
            Then::OtherRole(text) => Conclusion::OtherRole(OtherRole::OfShape(text)),
            Then::Endpoint(endpoint) => by_labels(endpoint, rule, identities, shape.confidence),
        };
        return Assessment { basis: Basis::Shape(shape), conclusion };
    }
    if let Some((identity, role_required)) = exact_label(rule, identities) {
        let conclusion = by_exact_label(rule, identities, identity, role_required);
        return Assessment { basis: Basis::ExactName, conclusion };
    }
    if identities.mentioning(rule.product).next().is_some() {
        return Assessment { basis: Basis::Mention, conclusion: by_mention(rule, identities) };
    }
    by_port_number(rule, identities)
}

/// The label that is exactly a name of the product. If there is an `app.kubernetes.io/name`, legacy labels do not
/// count.
fn exact_label<'f, 'a>(rule: &Rule, identities: &'f Identities<'a>) -> Option<(&'f Identity<'a>, bool)> {
    let exact = |kind| {
        identities
            .iter()
            .filter(move |identity| identity.kind == kind)
            .find_map(|identity| identity.exact_name(rule).map(|name| (identity, name.role_required)))
    };
    let has_name_label = || identities.iter().any(|identity| identity.kind == EvidenceKind::Label);
    exact(EvidenceKind::Label).or_else(|| if has_name_label() { None } else { exact(EvidenceKind::LegacyLabel) })
}

/// The conclusion if a label is exactly a name of the product.
///
/// Charts put such a label on all components, so the role decides and nothing else is needed. But people write legacy
/// labels by hand too. Without a sign of a chart or a known role, a contradiction counts and the port must agree.
fn by_exact_label<'a>(
    rule: &'static Rule,
    identities: &Identities<'a>,
    exact: &Identity<'a>,
    role_required: bool,
) -> Conclusion<'a> {
    let labels = &identities.view.labels;
    let standard = exact.kind == EvidenceKind::Label;
    let stated = stated_role(identities.view, rule);
    let has_chart = ["chart", "helm.sh/chart", "heritage"].iter().any(|key| labels.contains_key(key));
    let certain = standard || has_chart || stated.is_some_and(|stated| endpoint_role(rule, stated.value).is_some());
    if !certain && let Some(mismatch) = contradiction(rule, identities) {
        return match (stated, mismatch) {
            (Some(stated), Mismatch::OtherProgram(identity, _)) if stated.value == identity.value => {
                Conclusion::OtherRole(OtherRole::Stated(stated))
            }
            (_, mismatch) => Conclusion::NotTheProduct(mismatch),
        };
    }
    if role_required && stated.is_none() {
        return match mentioned_role(rule, identities, true) {
            Some(endpoint) => by_hand(endpoint, rule, identities),
            None => Conclusion::OtherRole(OtherRole::NotStated),
        };
    }
    match role_of(rule, identities, standard, !certain) {
        Ok(endpoint) if certain => by_labels(endpoint, rule, identities, Confidence::High),
        Ok(endpoint) => by_hand(endpoint, rule, identities),
        Err(other) => Conclusion::OtherRole(other),
    }
}

/// The conclusion if identities mention the product but no label is exactly its name.
fn by_mention<'a>(rule: &'static Rule, identities: &Identities<'a>) -> Conclusion<'a> {
    if let Some(mismatch) = contradiction(rule, identities) {
        return Conclusion::NotTheProduct(mismatch);
    }
    let only_by_name = || identities.mentioning(rule.product).all(|identity| identity.kind == EvidenceKind::Name);
    if identities.have_other_name_label() && only_by_name() {
        return Conclusion::NotTheProduct(Mismatch::OtherNameLabel);
    }
    match role_of(rule, identities, true, true) {
        Ok(endpoint) => by_hand(endpoint, rule, identities),
        Err(other) => Conclusion::OtherRole(other),
    }
}

/// The conclusion if nothing mentions the product. Its port number makes the Service a candidate if nothing mentions
/// another program either.
fn by_port_number<'a>(rule: &'static Rule, identities: &Identities<'a>) -> Assessment<'a> {
    let candidate = || {
        let port = ports::with_number(identities.view, rule.specific_ports)?;
        if identities.have_other_name_label() || !identities.mention_nothing() || identities.contradiction().is_some() {
            return None;
        }
        let endpoint = rule.endpoints.iter().find(|endpoint| endpoint.ports.numbers.contains(&port.port))?;
        Some(Conclusion::Candidate { endpoint, port })
    };
    match candidate() {
        Some(conclusion) => Assessment { basis: Basis::PortNumber, conclusion },
        None => Assessment { basis: Basis::Nothing, conclusion: Conclusion::NotTheProduct(Mismatch::NotMentioned) },
    }
}

/// The evidence against the product, for a confidence below High. If a label or the selector is exactly a name of the
/// product, another product in the Service's name only names the owner (`vmalertmanager-victoria-metrics-k8s-stack`).
fn contradiction<'a>(rule: &Rule, identities: &Identities<'a>) -> Option<Mismatch<'a>> {
    if let Some((identity, word)) = identities.contradiction() {
        return Some(Mismatch::OtherProgram(*identity, word));
    }
    let has_exact = identities.iter().any(|identity| identity.exact_name(rule).is_some());
    identities
        .iter()
        .filter(|identity| !has_exact || identity.kind != EvidenceKind::Name)
        .filter_map(|identity| Some((identity, identity.mention.product()?)))
        .find(|(_, product)| *product != rule.product)
        .map(|(identity, product)| Mismatch::OtherProduct(*identity, product))
}

/// The conclusion if labels or a shape state the role.
fn by_labels<'a>(
    endpoint: &'static EndpointRole,
    rule: &Rule,
    identities: &Identities<'a>,
    confidence: Confidence,
) -> Conclusion<'a> {
    match ports::choose(identities.view, &endpoint.ports, rule) {
        Some(choice) => Conclusion::Endpoint { endpoint, choice, confidence },
        None => Conclusion::NoPort(&endpoint.ports, confidence),
    }
}

/// The conclusion if people wrote the labels and the name by hand.
fn by_hand<'a>(endpoint: &'static EndpointRole, rule: &Rule, identities: &Identities<'a>) -> Conclusion<'a> {
    let Some(choice) = ports::choose(identities.view, &endpoint.ports, rule) else {
        return Conclusion::NoPort(&endpoint.ports, Confidence::Low);
    };
    // Labels and selector are usually written together, so they are one piece of evidence. The Service's name is
    // another.
    let mentioned_in =
        |name: bool| identities.mentioning(rule.product).any(|identity| (identity.kind == EvidenceKind::Name) == name);
    let agree = match choice.fit {
        _ if identities.pods_of_another(rule.product).is_some() => false,
        Fit::Own => true,
        Fit::Usual => {
            mentioned_in(true) && mentioned_in(false) && !ports::leads_elsewhere(choice.port, &endpoint.ports)
        }
    };
    let confidence = if agree { Confidence::Medium } else { Confidence::Low };
    Conclusion::Endpoint { endpoint, choice, confidence }
}

/// The endpoint role with this value.
fn endpoint_role(rule: &'static Rule, value: &str) -> Option<&'static EndpointRole> {
    rule.endpoints.iter().find(|endpoint| whole_words::contains(endpoint.roles, value))
}

/// The role of the Service: the stated one, else the one after the product's name (`thanos-query`), else the one of
/// Services that state none.
///
/// Under the recommended label (`strict`) an unknown value is another role. Under other keys people write many things,
/// so there it is one only if its words name a component. The Service's name counts only if `by_name`.
fn role_of<'a>(
    rule: &'static Rule,
    identities: &Identities<'a>,
    strict: bool,
    by_name: bool,
) -> Result<&'static EndpointRole, OtherRole<'a>> {
    if let Some(stated) = stated_role(identities.view, rule) {
        if let Some(endpoint) = endpoint_role(rule, stated.value) {
            return Ok(endpoint);
        }
        let unknown = strict && stated.key == COMPONENT_LABEL && !rule.free_roles && !stated.is_neutral();
        if other_programs::are_named_in(stated.value, rule)
            || (unknown && !whole_words::has_sequence(stated.value, rule.name_words))
        {
            return Err(OtherRole::Stated(stated));
        }
    }
    let default = || if rule.name_words_need_role { None } else { default_role(rule, identities) };
    mentioned_role(rule, identities, by_name).or_else(default).ok_or(OtherRole::NotStated)
}

/// The endpoint role that an identity mentions: the text after the product's name in `thanos-query`, or all of
/// `vmselect`.
fn mentioned_role(rule: &'static Rule, identities: &Identities<'_>, by_name: bool) -> Option<&'static EndpointRole> {
    let mentioning =
        || identities.mentioning(rule.product).filter(move |identity| by_name || identity.kind != EvidenceKind::Name);
    let after_name = mentioning().find_map(|identity| endpoint_role(rule, identity.mention.rest()));
    after_name.or_else(|| mentioning().find_map(|identity| endpoint_role(rule, identity.value)))
}

/// The endpoint role of a Service that states none: the first whose own port exists, else the first.
fn default_role(rule: &'static Rule, identities: &Identities<'_>) -> Option<&'static EndpointRole> {
    let endpoints = || rule.endpoints.iter().filter(|endpoint| endpoint.role_optional);
    let has_own_port = |endpoint: &&EndpointRole| {
        ports::choose(identities.view, &endpoint.ports, rule).is_some_and(|choice| choice.fit == Fit::Own)
    };
    endpoints().find(has_own_port).or_else(|| endpoints().next())
}

/// What to call if the Service is the product for certain: the port of the role that the Service has, else of the first
/// role that has a matching port.
pub(crate) fn target(rule: &'static Rule, identities: &Identities<'_>) -> Option<Target> {
    let by_shape = shape::matching(rule, identities.view).filter_map(|shape| match &shape.then {
        Then::Endpoint(endpoint) => Some(endpoint),
        Then::OtherRole(_) => None,
    });
    let stated = role_of(rule, identities, false, true).ok();
    by_shape.chain(stated).chain(rule.endpoints).find_map(|endpoint| {
        let choice = ports::choose(identities.view, &endpoint.ports, rule)?;
        Some(target_at(identities.view, endpoint, choice.port))
    })
}
