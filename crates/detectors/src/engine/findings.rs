//! From the assessment of a Service to its finding.

use std::borrow::Cow;

use super::{
    conclusion::{Assessment, Basis, Conclusion},
    evidence::deciding,
    hint::hint,
    identities::Identities,
    ports::{Fit, target_at},
    role::release,
    rule::{EndpointRole, Login, Rule},
    whole_words,
};
use crate::{
    finding::{Assumed, Auth, Finding, Outcome, Rank},
    product::Confidence,
    scheme::shown_scheme,
    view::ServiceView,
};

/// Stacks that bring a Prometheus, Grafana or Elasticsearch of their own, which has only their data. Their names start
/// with these words.
const BUNDLERS: &[&str] = &["gitlab", "kubecost", "linkerd", "longhorn", "mastodon", "opencost", "openebs", "openfaas"];

/// The finding, if the Service is the product.
pub(crate) fn finding(rule: &Rule, identities: &Identities<'_>, assessment: &Assessment<'_>) -> Option<Finding> {
    let view = identities.view;
    let (confidence, outcome, tier) = match &assessment.conclusion {
        Conclusion::NotTheProduct(_) => return None,
        Conclusion::OtherRole(other) => {
            let confidence = match assessment.basis {
                Basis::Shape(_) | Basis::ExactName => Confidence::High,
                _ => Confidence::Low,
            };
            (confidence, Outcome::NotAnEndpoint { role: other.description() }, 0)
        }
        Conclusion::NoPort(_, confidence) => (*confidence, Outcome::NoUsablePort, 0),
        Conclusion::Endpoint { endpoint, choice, confidence } => {
            (*confidence, Outcome::Endpoint(target_at(view, endpoint, choice.port)), endpoint.tier)
        }
        Conclusion::Candidate { endpoint, port, .. } => {
            (Confidence::Low, Outcome::Endpoint(target_at(view, endpoint, port)), endpoint.tier)
        }
    };
    let certain = confidence == Confidence::High && matches!(outcome, Outcome::Endpoint(_));
    let (auth, assumed) = assumed(rule, assessment, view);
    Some(Finding {
        product: rule.product,
        confidence,
        outcome,
        rank: Rank { bundled: is_bundled(assessment, view), tier },
        hint: (!certain).then(|| Cow::Owned(hint(rule, identities, assessment))),
        auth,
        assumed,
        decided_by: Cow::Owned(deciding(rule, identities, assessment)),
        by_port_alone: matches!(assessment.conclusion, Conclusion::Candidate { .. }),
    })
}

/// What the endpoint asks of its clients, and which of its parts nothing proves.
///
/// A path is proven if no configuration of the product changes it, or if the shape has one: what a chart writes into a
/// configuration is the same in every install.
fn assumed(rule: &Rule, assessment: &Assessment<'_>, view: &ServiceView) -> (Auth, Assumed) {
    let (endpoint, port, fit): (&EndpointRole, _, _) = match &assessment.conclusion {
        Conclusion::Endpoint { endpoint, choice, .. } => (endpoint, choice.port, Some(choice.fit)),
        Conclusion::Candidate { endpoint, port, .. } => (endpoint, *port, None),
        _ => return (Auth::Unknown, Assumed::NOTHING),
    };
    let has_shape = matches!(assessment.basis, Basis::Shape(_));
    // Before the product is a proxy, and nobody knows what it asks for.
    let (auth, auth_is_known) = match endpoint.login.unwrap_or(rule.login) {
        _ if fit == Some(Fit::FrontDoor) => (Auth::Unknown, false),
        Login::Always(auth) => (auth, true),
        Login::Usual(auth) => (auth, false),
    };
    let path_is_known =
        fit != Some(Fit::FrontDoor) && (endpoint.path_is_fixed || has_shape && !endpoint.path.is_empty());
    (auth, Assumed { scheme: shown_scheme(view, port).is_none(), path: !path_is_known, auth: !auth_is_known })
}

fn is_bundled(assessment: &Assessment<'_>, view: &ServiceView) -> bool {
    let by_shape = matches!(assessment.basis, Basis::Shape(shape) if shape.bundled);
    let starts_with_bundler =
        |value: &str| whole_words::split(value).next().is_some_and(|word| whole_words::contains(BUNDLERS, word));
    by_shape
        || view.labels.contains_key("linkerd.io/extension")
        || starts_with_bundler(release(view).unwrap_or(&view.key.name))
}
