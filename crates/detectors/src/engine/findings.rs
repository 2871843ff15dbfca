//! From the assessment of a Service to its finding.

use std::borrow::Cow;

use super::{
    assess::{Assessment, Basis, Conclusion},
    hint::hint,
    identities::Identities,
    ports::target_at,
    role::release,
    rule::Rule,
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
        Conclusion::Candidate { endpoint, port } => {
            (Confidence::Low, Outcome::Endpoint(target_at(view, endpoint, port)), endpoint.tier)
        }
    };
    let certain = confidence == Confidence::High && matches!(outcome, Outcome::Endpoint(_));
    Some(Finding {
        product: rule.product,
        confidence,
        outcome,
        rank: Rank { bundled: is_bundled(assessment, view), tier },
        hint: (!certain).then(|| Cow::Owned(hint(rule, view, assessment))),
        auth: Auth::Unknown,
        assumed: assumed(assessment, view),
        decided_by: Cow::Borrowed(""),
    })
}

fn assumed(assessment: &Assessment<'_>, view: &ServiceView) -> Assumed {
    let port = match &assessment.conclusion {
        Conclusion::Endpoint { choice, .. } => choice.port,
        Conclusion::Candidate { port, .. } => port,
        _ => return Assumed::NOTHING,
    };
    Assumed { scheme: shown_scheme(view, port).is_none(), path: true, auth: true }
}

fn is_bundled(assessment: &Assessment<'_>, view: &ServiceView) -> bool {
    let by_shape = matches!(assessment.basis, Basis::Shape(shape) if shape.bundled);
    let starts_with_bundler =
        |value: &str| whole_words::split(value).next().is_some_and(|word| whole_words::contains(BUNDLERS, word));
    by_shape
        || view.labels.contains_key("linkerd.io/extension")
        || starts_with_bundler(release(view).unwrap_or(&view.key.name))
}
