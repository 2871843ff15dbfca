//! Assesses a Service by the rule of one product: whether it is the product, in which role, on which port, how sure
//! that is.
//!
//! * **High**: labels, or the exact shape that a chart or an operator creates, state product and role, and the port
//!   matches.
//! * **Medium** and **Low**: see [`pieces`](super::pieces).

use super::{
    conclusion::{Assessment, Basis, Conclusion, Mismatch, OtherRole},
    contradiction::contradiction,
    endpoint_role::{endpoint_role, mentioned_role, role_of},
    identities::{Identities, Identity},
    only_port, peers,
    pieces::Pieces,
    ports::{self, Fit, target_at},
    role::stated_role,
    rule::{EndpointRole, Rule, Then},
    shape, telling_port,
};
use crate::{
    finding::{EvidenceKind, Target},
    product::Confidence,
};

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
    if identities.mentioning(rule.product).next().is_some() || identities.chart_of(rule).is_some() {
        return Assessment { basis: Basis::Mention, conclusion: by_mention(rule, identities) };
    }
    match by_port(rule, identities) {
        Some(conclusion) => Assessment { basis: Basis::Port, conclusion },
        None => Assessment { basis: Basis::Nothing, conclusion: Conclusion::NotTheProduct(Mismatch::NotMentioned) },
    }
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

/// The conclusion if identities or the chart mention the product but no label is exactly its name.
fn by_mention<'a>(rule: &'static Rule, identities: &Identities<'a>) -> Conclusion<'a> {
    if let Some(mismatch) = contradiction(rule, identities) {
        return Conclusion::NotTheProduct(mismatch);
    }
    let chart = identities.chart_of(rule);
    let only_by_name =
        || chart.is_none() && identities.mentioning(rule.product).all(|identity| identity.kind == EvidenceKind::Name);
    if identities.have_other_name_label() && only_by_name() {
        return Conclusion::NotTheProduct(Mismatch::OtherNameLabel);
    }
    let is_shared = chart.and_then(|chart| rule.chart(chart.name())).is_some_and(|chart| chart.role_required);
    if is_shared && identities.mentioning(rule.product).next().is_none() && stated_role(identities.view, rule).is_none()
    {
        return Conclusion::OtherRole(OtherRole::NotStated);
    }
    match role_of(rule, identities, true, true) {
        Ok(endpoint) => by_hand(endpoint, rule, identities),
        Err(other) => Conclusion::OtherRole(other),
    }
}

/// The conclusion if nothing mentions the product. A port that only it has makes the Service a candidate if nothing
/// mentions another product, or names another program.
fn by_port<'a>(rule: &'static Rule, identities: &Identities<'a>) -> Option<Conclusion<'a>> {
    let telling_port::Telling { port, beside } = telling_port::find(identities.view, rule)?;
    if !identities.mention_nothing() || identities.contradiction().is_some() {
        return None;
    }
    let has_number = |endpoint: &&EndpointRole| ports::has_own_number(port, &endpoint.ports);
    let endpoint = rule.endpoints.iter().find(has_number).or_else(|| rule.endpoints.first())?;
    Some(Conclusion::Candidate { endpoint, port, beside })
}

/// The conclusion if labels or a shape state the role.
fn by_labels<'a>(
    endpoint: &'static EndpointRole,
    rule: &Rule,
    identities: &Identities<'a>,
    confidence: Confidence,
) -> Conclusion<'a> {
    let view = identities.view;
    if let Some(choice) = ports::choose(view, &endpoint.ports, rule) {
        return Conclusion::Endpoint { endpoint, choice, confidence };
    }
    match only_port::choose(view, &endpoint.ports, rule) {
        Some(choice) if choice.fit >= Fit::Typical => Conclusion::Endpoint { endpoint, choice, confidence },
        // The product is certain, but that the proxy leads to it is not.
        Some(choice) => Conclusion::Endpoint { endpoint, choice, confidence: confidence.min(Confidence::Medium) },
        None => without_port(endpoint, rule, identities, confidence),
    }
}

/// The conclusion if people wrote the labels and the name by hand.
fn by_hand<'a>(endpoint: &'static EndpointRole, rule: &Rule, identities: &Identities<'a>) -> Conclusion<'a> {
    let pieces = Pieces::of(rule, identities);
    let only_port = || only_port::choose(identities.view, &endpoint.ports, rule).filter(|_| pieces.are_two());
    let Some(choice) = ports::choose(identities.view, &endpoint.ports, rule).or_else(only_port) else {
        return without_port(endpoint, rule, identities, Confidence::Low);
    };
    let confidence = if identities.pods_of_another(rule.product).is_some() {
        Confidence::Low
    } else {
        pieces.confidence(&choice, &endpoint.ports, rule)
    };
    Conclusion::Endpoint { endpoint, choice, confidence }
}

/// The conclusion if no port matches.
fn without_port<'a>(
    endpoint: &'static EndpointRole,
    rule: &Rule,
    identities: &Identities<'a>,
    confidence: Confidence,
) -> Conclusion<'a> {
    if peers::have_all_ports(identities.view, &endpoint.ports, rule) {
        Conclusion::OtherRole(OtherRole::Peers)
    } else {
        Conclusion::NoPort(&endpoint.ports, confidence)
    }
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
