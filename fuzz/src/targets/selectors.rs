//! Label selectors: the laws that Kubernetes documents, and what a signature or a source needs to match.

use detectors::StringMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use toolset::select::{selector::matches, signature};

use crate::{Broken, Outcome, input::Input, spec, world};

/// Checks one selector and one set of labels.
pub(super) fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let raw = spec::selector(&mut input);
    let selector: LabelSelector = serde_json::from_value(raw.clone()).map_err(|error| Broken(error.to_string()))?;
    let mut view = world::service(&mut input);
    let labels: StringMap = world::labels(&mut input).into_iter().collect();
    let expressions = selector.match_expressions.clone().unwrap_or_default();
    let one = |expression: &LabelSelectorRequirement| LabelSelector {
        match_labels: None,
        match_expressions: Some(vec![expression.clone()]),
    };
    let exact = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value.as_str()));
    let all = exact && expressions.iter().all(|expression| matches(&one(expression), &labels));
    check!(matches(&selector, &labels) == all, "{selector:?} and its parts differ on {labels:?}");
    check!(matches(&LabelSelector::default(), &labels), "the empty selector does not match {labels:?}");
    for expression in &expressions {
        let with = |operator: &str| {
            matches(&one(&LabelSelectorRequirement { operator: operator.to_owned(), ..expression.clone() }), &labels)
        };
        let value = labels.get(&expression.key);
        let is_among = value.is_some_and(|value| expression.values.iter().flatten().any(|one| one == value));
        check!(with("In") == is_among && with("NotIn") != is_among, "{expression:?} on {labels:?}");
        check!(
            with("Exists") == value.is_some() && with("DoesNotExist") != value.is_some(),
            "{expression:?} on {labels:?}"
        );
        check!(!with(&format!("{}x", expression.operator)), "an operator that Kubernetes lacks matches {labels:?}");
    }
    of_signature(&mut input, &selector, &raw, &mut view)
}

fn of_signature(
    input: &mut Input<'_>,
    selector: &LabelSelector,
    raw: &serde_json::Value,
    view: &mut detectors::ServiceView,
) -> Outcome {
    let wanted = world::annotations(input, "a.team.svc");
    let mut json = serde_json::json!({"name": "s", "type": "Prometheus", "annotations": wanted});
    if input.any() {
        json["selector"] = raw.clone();
    }
    let rule: crd_types::Signature = serde_json::from_value(json).map_err(|error| Broken(error.to_string()))?;
    if input.any() {
        let own = view.annotations.iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        view.annotations = own.chain(wanted.clone()).collect();
    }
    let has_all = wanted.iter().all(|(key, value)| view.annotations.get(key) == Some(value.as_str()));
    let selects = rule.selector.is_none() || matches(selector, &view.labels);
    let expected = has_all && selects && (rule.selector.is_some() || !wanted.is_empty());
    check!(signature::matches(&rule, view) == expected, "{rule:?} on {view:?}");
    Ok(())
}
