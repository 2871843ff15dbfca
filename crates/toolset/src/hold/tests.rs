use std::{collections::BTreeMap, sync::Arc};

use crd_types::ToolsetConfig;
use detectors::ServiceView;
use serde_json::{Value, json};

use super::{Reduced, reduce};
use crate::{
    DEFAULT_CLUSTER_DOMAIN, Rendered,
    fixtures::{annotated, config, grafana, index, prometheus, rendered, service},
};

fn stated(namespace: &str, name: &str, type_: &str) -> ServiceView {
    let annotations = [("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", type_)];
    annotated(service(namespace, name, &[("http", 8080)]), &annotations)
}

/// Two namespaces, and two products with an entry of their own.
fn cluster() -> Vec<ServiceView> {
    vec![
        prometheus("monitoring", "prometheus"),
        grafana("monitoring", "grafana"),
        grafana("apps", "grafana"),
        stated("monitoring", "traces", "jaeger"),
        stated("apps", "vectors", "vector-database"),
    ]
}

fn spec(more: Value) -> ToolsetConfig {
    let mut spec = json!({
        "sources": [
            {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring"]}},
            {"name": "apps", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["apps"]}},
        ],
        "tools": [{"name": "corp", "type": "Prometheus", "endpoint": "https://prom.corp.example:443"}],
    });
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more);
    }
    config(spec)
}

/// What an output with everything becomes under another spec.
fn reduced(before: &ToolsetConfig, after: &ToolsetConfig) -> (Rendered, Reduced) {
    let (_, output) = rendered(before, &index(cluster()));
    let data: BTreeMap<String, Arc<str>> =
        output.data.iter().map(|(key, text)| ((*key).to_owned(), Arc::clone(text))).collect();
    let reduced = reduce(after, DEFAULT_CLUSTER_DOMAIN, &data).unwrap();
    (output, reduced)
}

fn removed(after: Value) -> Vec<String> {
    let (_, reduced) = reduced(&spec(json!({})), &spec(after));
    let texts: String = reduced.rendered.data.values().map(|text| &**text).collect();
    for one in &reduced.removed {
        let host = one.split_once('/').map_or(one.clone(), |(namespace, name)| format!("{name}.{namespace}.svc"));
        assert!(!texts.contains(&host), "{one} is still in\n{texts}");
    }
    reduced.removed.into_iter().collect()
}

#[test]
fn an_output_that_the_spec_takes_nothing_from_stays_byte_for_byte() {
    for formats in [json!(["HolmesGPT", "ToolsetJSON"]), json!(["HolmesGPT"]), json!(["ToolsetJSON"])] {
        let spec = spec(json!({"output": {"formats": formats}}));
        let (before, after) = reduced(&spec, &spec);
        assert_eq!((&before.data, &before.hash), (&after.rendered.data, &after.rendered.hash));
        assert!(after.removed.is_empty() && after.unjudged.is_empty(), "{after:?}");
    }
}

#[test]
fn what_no_source_selects_any_more_goes() {
    let only_monitoring = json!({"sources": [
        {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring"]}},
    ]});
    assert_eq!(removed(only_monitoring), ["apps/grafana", "apps/vectors"]);
}

#[test]
fn what_is_trusted_less_goes_because_nothing_says_that_it_opted_in() {
    let lowered = json!({"sources": [
        {"name": "apps", "trust": "Tenant", "namespaces": {"from": "Names", "names": ["apps"]}},
        {"name": "platform", "trust": "Trusted", "namespaces": {"from": "All"}},
    ]});
    assert_eq!(removed(lowered), ["apps/grafana", "apps/vectors"]);
}

#[test]
fn what_labels_decide_stays() {
    let by_labels = json!({"sources": [
        {"name": "s", "trust": "Trusted", "namespaces": {"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}},
    ]});
    assert!(removed(by_labels).is_empty());
    let by_service_labels = json!({"sources": [
        {"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}, "serviceSelector": {"matchLabels": {"a": "b"}}},
    ]});
    assert!(removed(by_service_labels).is_empty());
}

#[test]
fn what_a_detector_or_an_override_switches_off_goes() {
    assert_eq!(removed(json!({"detectors": [{"type": "Jaeger", "state": "Disabled"}]})), ["monitoring/traces"]);
    assert_eq!(
        removed(json!({"overrides": [
            {"name": "off", "match": {"type": "Grafana"}, "state": "Disabled"},
            {"name": "on", "match": {"namespace": "apps"}, "state": "Enabled"},
        ]})),
        ["monitoring/grafana"]
    );
    assert_eq!(
        removed(
            json!({"overrides": [{"name": "off", "match": {"customType": "vector-database"}, "state": "Disabled"}]})
        ),
        ["apps/vectors"]
    );
}

#[test]
fn what_the_spec_no_longer_lists_goes() {
    assert_eq!(removed(json!({"tools": []})), ["https://prom.corp.example:443"]);
}

#[test]
fn what_carries_credentials_that_the_spec_takes_away_goes() {
    let with = spec(json!({"overrides": [{
        "name": "token", "match": {"namespace": "monitoring", "service": "prometheus"},
        "credentials": {"type": "Bearer", "env": "TOKEN"},
    }]}));
    assert!(reduced(&with, &with).1.removed.is_empty());
    let (_, without) = reduced(&with, &spec(json!({})));
    assert_eq!(without.removed.into_iter().collect::<Vec<_>>(), ["monitoring/prometheus"]);
    assert!(!without.rendered.data["custom_toolset.yaml"].contains("TOKEN"));
}

#[test]
fn a_format_that_the_spec_no_longer_has_goes() {
    let (_, reduced) = reduced(&spec(json!({})), &spec(json!({"output": {"formats": ["HolmesGPT"]}})));
    assert_eq!(reduced.rendered.data.keys().copied().collect::<Vec<_>>(), ["custom_toolset.yaml"]);
}

#[test]
fn what_cannot_be_judged_stays_and_is_named() {
    let only_yaml = json!({"formats": ["HolmesGPT"]});
    let before = spec(json!({"output": only_yaml}));
    // The agent's file does not say which of four products an instance of prometheus/metrics is.
    let after = spec(json!({"output": only_yaml, "detectors": [{"type": "Thanos", "state": "Disabled"}]}));
    let (_, reduced) = reduced(&before, &after);
    assert!(reduced.removed.is_empty());
    assert_eq!(reduced.unjudged.into_iter().collect::<Vec<_>>(), ["monitoring/prometheus"]);
}

#[test]
fn a_file_that_cannot_be_read_is_left_alone() {
    for (key, text) in [("toolset.json", "{"), ("custom_toolset.yaml", "toolsets: [")] {
        let data = BTreeMap::from([(key.to_owned(), Arc::from(text))]);
        assert!(reduce(&spec(json!({})), DEFAULT_CLUSTER_DOMAIN, &data).is_err());
    }
}
