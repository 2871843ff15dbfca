use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crd_types::ToolsetConfig;
use detectors::{ServiceKey, ServiceView};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{Data, Reduced, services};
use crate::{
    Base, DEFAULT_CLUSTER_DOMAIN, Rendered,
    fixtures::{annotated, config, grafana, index, prometheus, rendered, service},
    status::{Inputs, Observed, OutputState, ReloadState, status},
};

fn stated(namespace: &str, name: &str, type_: &str) -> ServiceView {
    let annotations = [("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", type_)];
    annotated(service(namespace, name, &[("http", 8080)]), &annotations)
}

/// Two namespaces of the platform, one of a tenant, and products with an entry of their own.
fn cluster() -> Vec<ServiceView> {
    vec![
        prometheus("monitoring", "prometheus"),
        prometheus("monitoring", "another"),
        grafana("monitoring", "grafana"),
        grafana("apps", "grafana"),
        stated("monitoring", "traces", "jaeger"),
        stated("apps", "vectors", "vector-database"),
        stated("apps", "own", "custom"),
        stated("team", "web", "prometheus"),
    ]
}

const CORP: &str = "https://prom.corp.example:443";
/// A tool of the spec that is a Service of the cluster.
const INSIDE: &str = "http://prom.corp.svc.cluster.local:9090";

fn sources(apps: &str) -> Value {
    json!([
        {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring"]}},
        {"name": "apps", "trust": apps, "namespaces": {"from": "Names", "names": ["apps"]}},
        {"name": "team", "trust": "Tenant", "namespaces": {"from": "Names", "names": ["team"]}},
    ])
}

fn spec(more: Value) -> ToolsetConfig {
    let mut spec = json!({
        "sources": sources("Trusted"),
        "tools": [
            {"name": "corp", "type": "Prometheus", "endpoint": CORP, "credentials": {"type": "Bearer", "env": "CORP"}},
            {"name": "inside", "type": "Prometheus", "endpoint": INSIDE},
        ],
        "overrides": [{
            "name": "token", "match": {"namespace": "monitoring", "service": "prometheus"},
            "credentials": {"type": "Bearer", "env": "TOKEN"},
        }],
    });
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more);
    }
    config(spec)
}

/// What is written under a spec, and the spec with the status that it then has.
fn written(mut config: ToolsetConfig) -> (Data, Rendered, ToolsetConfig) {
    let (plan, rendered) = rendered(&config, &index(cluster()));
    let observed = Observed {
        now: Timestamp::UNIX_EPOCH,
        plan: Some(&plan),
        rendered: Some(&rendered),
        left: None,
        inputs: &Inputs::default(),
        output: OutputState::Applied,
        reload: ReloadState::NotAsked,
        agent: None,
    };
    config.status = Some(status(&config, None, &observed));
    let data = rendered.data.iter().map(|(key, text)| (key.to_string(), Arc::clone(text))).collect();
    (data, rendered, config)
}

fn reduce(config: &ToolsetConfig, domain: &str, data: &Data, base: Option<Base<'_>>) -> Result<Reduced, String> {
    super::reduce(config, domain, data, base, Some(&BTreeMap::new()))
}

/// What the output under one spec becomes under another one.
fn changed(before: ToolsetConfig, mut after: ToolsetConfig) -> Reduced {
    let (data, _, before) = written(before);
    after.status = before.status;
    reduce(&after, DEFAULT_CLUSTER_DOMAIN, &data, None).unwrap()
}

fn names(keys: &BTreeSet<ServiceKey>) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

/// What a change of the spec removes, which is the same whatever formats are written. The result is what a plan from the
/// index would write.
fn removed(more: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for formats in [json!(["HolmesGPT", "ToolsetJSON"]), json!(["HolmesGPT"]), json!(["ToolsetJSON"])] {
        let with = |mut more: Value| {
            more["output"] = json!({"formats": formats});
            spec(more)
        };
        let reduced = changed(with(json!({})), with(more.clone()));
        let (_, from_index) = rendered(&with(more.clone()), &index(cluster()));
        assert_eq!(reduced.rendered.data, from_index.data, "{formats} {more}");
        all.push(names(&reduced.removed));
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
    all.swap_remove(0)
}

#[test]
fn an_output_that_the_spec_takes_nothing_from_stays_byte_for_byte() {
    assert!(removed(&json!({})).is_empty());
}

#[test]
fn what_no_source_selects_any_more_goes() {
    let only_monitoring = json!({"sources": [
        {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring"]}},
    ]});
    assert_eq!(removed(&only_monitoring), ["apps/grafana", "apps/own", "apps/vectors", "team/web"]);
}

#[test]
fn what_is_trusted_less_goes_because_nothing_says_that_it_opted_in() {
    let by_labels = json!({"matchLabels": {"a": "b"}});
    for tenants in [
        json!({"trust": "Tenant", "namespaces": {"from": "Names", "names": ["monitoring", "apps", "team"]}}),
        json!({"trust": "Tenant", "namespaces": {"from": "All"}, "serviceSelector": by_labels}),
        json!({"trust": "Tenant", "namespaces": {"from": "Selector", "selector": by_labels}}),
    ] {
        let mut source = tenants;
        source["name"] = json!("tenants");
        let reduced = changed(spec(json!({})), spec(json!({"sources": [source]})));
        let all = ["another", "grafana", "prometheus", "traces"].map(|name| format!("monitoring/{name}"));
        let all = ["apps/grafana", "apps/own", "apps/vectors"].map(str::to_owned).into_iter().chain(all);
        assert_eq!(names(&reduced.removed), all.collect::<Vec<_>>());
        assert!(!reduced.rendered.data["custom_toolset.yaml"].contains("TOKEN"), "no tenant gets credentials");
    }
}

#[test]
fn what_labels_decide_stays() {
    let selector = json!({"matchLabels": {"a": "b"}});
    for trusted in [
        json!({"trust": "Trusted", "namespaces": {"from": "Selector", "selector": selector}}),
        json!({"trust": "Trusted", "namespaces": {"from": "All"}, "serviceSelector": selector}),
    ] {
        let mut source = trusted;
        source["name"] = json!("s");
        assert!(changed(spec(json!({})), spec(json!({"sources": [source]}))).removed.is_empty());
    }
}

#[test]
fn what_a_detector_or_an_override_switches_off_goes() {
    let off = |rules: Value| json!({"overrides": rules});
    assert_eq!(removed(&json!({"detectors": [{"type": "Jaeger", "state": "Disabled"}]})), ["monitoring/traces"]);
    assert_eq!(
        removed(&json!({"detectors": [{"type": "Prometheus", "state": "Disabled"}]})),
        ["monitoring/another", "monitoring/prometheus", "team/web"]
    );
    assert_eq!(
        removed(&off(json!([
            {"name": "off", "match": {"type": "Grafana"}, "state": "Disabled"},
            {"name": "on", "match": {"namespace": "apps"}, "state": "Enabled"},
        ]))),
        ["monitoring/grafana"]
    );
    for (custom, gone) in [("vector-database", "apps/vectors"), ("custom", "apps/own")] {
        let rule = json!([{"name": "off", "match": {"customType": custom}, "state": "Disabled"}]);
        assert_eq!(removed(&off(rule)), [gone]);
    }
    assert_eq!(
        removed(&json!({"detectors": [{"type": "Prometheus", "instances": "Single"}]})).len(),
        2,
        "one of three is left"
    );
}

#[test]
fn credentials_and_tools_of_the_spec_are_as_the_present_spec_says() {
    let token = |env: &str| {
        json!({"overrides": [{
            "name": "token", "match": {"namespace": "monitoring", "service": "prometheus"},
            "credentials": {"type": "Bearer", "env": env},
        }]})
    };
    for more in [
        json!({"overrides": []}),
        token("OTHER"),
        json!({"tools": []}),
        json!({"tools": [{"name": "corp", "type": "Prometheus", "endpoint": CORP}]}),
        json!({"tools": [{"name": "inside", "type": "Prometheus", "endpoint": INSIDE}]}),
    ] {
        assert!(removed(&more).is_empty(), "no discovered tool goes for {more}");
    }
}

#[test]
fn the_base_file_stays_although_it_names_services_of_the_cluster() {
    let base = "toolsets:\n  mine:\n    type: http\n    enabled: true\n    config:\n      endpoints:\n      - hosts: [http://x.shop.svc.cluster.local:80]\nmcp_servers:\n  m:\n    config:\n      url: http://mcp.shop.svc.cluster.local:80/mcp\n";
    let spec = spec(json!({"output": {"base": {"configMapName": "mine"}}}));
    let reduced = reduce(&spec, DEFAULT_CLUSTER_DOMAIN, &Data::new(), Some(Base::Text(base))).unwrap();
    let text = &reduced.rendered.data["custom_toolset.yaml"];
    assert!(text.contains("x.shop.svc") && text.contains("mcp.shop.svc"), "{text}");
    let data = Data::from([("custom_toolset.yaml".to_owned(), Arc::clone(text))]);
    assert!(services(&spec, DEFAULT_CLUSTER_DOMAIN, &data, Some(base)).is_empty());
    let again = reduce(&spec, DEFAULT_CLUSTER_DOMAIN, &data, Some(Base::Text(base))).unwrap();
    assert_eq!((again.rendered.data, again.removed.len()), (reduced.rendered.data, 0));
}

#[test]
fn the_services_of_an_output_are_those_that_were_discovered() {
    for formats in [json!(["HolmesGPT", "ToolsetJSON"]), json!(["HolmesGPT"]), json!(["ToolsetJSON"])] {
        let (data, _, config) = written(spec(json!({"output": {"formats": formats}})));
        let found = services(&config, DEFAULT_CLUSTER_DOMAIN, &data, None);
        assert_eq!(found.len(), cluster().len(), "{found:?}");
        assert!(!found.contains(&ServiceKey::new("corp", "prom")), "it is from spec.tools");
    }
}

#[test]
fn a_file_that_cannot_be_read_does_not_keep_the_other_one_as_it_is() {
    let before = spec(json!({}));
    let (mut data, _, before) = written(before);
    data.insert("toolset.json".to_owned(), "{".into());
    let mut after = spec(json!({"sources": sources("Tenant")}));
    after.status = before.status;
    let reduced = reduce(&after, DEFAULT_CLUSTER_DOMAIN, &data, None).unwrap();
    assert_eq!(names(&reduced.removed), ["apps/grafana", "apps/own", "apps/vectors"]);
}

#[test]
fn what_cannot_be_read_back_is_named() {
    let (mut data, _, mut config) = written(spec(json!({"output": {"formats": ["HolmesGPT"]}})));
    config.status = None;
    let why = reduce(&config, DEFAULT_CLUSTER_DOMAIN, &data, None).unwrap_err();
    assert!(why.contains('/'), "{why}");
    data.clear();
    assert!(reduce(&config, DEFAULT_CLUSTER_DOMAIN, &data, None).is_ok());
}

#[test]
fn a_type_of_a_signature_that_is_called_like_a_product_is_told_apart_by_the_status() {
    let signature =
        json!([{"name": "s", "type": "Custom", "customType": "grafana", "annotations": {"x": "y"}, "port": "http"}]);
    let config = spec(json!({"signatures": signature, "detectors": [{"type": "Grafana", "state": "Disabled"}]}));
    let view = annotated(service("apps", "mine", &[("http", 80)]), &[("x", "y")]);
    let (_, output) = rendered(&config, &index([view]));
    let data: BTreeMap<String, Arc<str>> =
        output.data.iter().map(|(key, text)| (key.to_string(), Arc::clone(text))).collect();
    let reduced = reduce(&config, DEFAULT_CLUSTER_DOMAIN, &data, None).unwrap();
    assert!(reduced.removed.is_empty());
    assert_eq!(names(&reduced.unsure), ["apps/mine"]);
}

fn for_variables(mut more: Value) -> ToolsetConfig {
    more["output"] = json!({"formats": ["Environment"]});
    spec(more)
}

#[test]
fn variables_show_the_services_of_their_tools() {
    let (data, _, config) = written(for_variables(json!({"tools": []})));
    let found = services(&config, DEFAULT_CLUSTER_DOMAIN, &data, None);
    assert_eq!(names(&found), ["apps/grafana", "monitoring/another", "monitoring/traces"]);
    let (data, _, config) = written(for_variables(json!({})));
    let found = services(&config, DEFAULT_CLUSTER_DOMAIN, &data, None);
    assert_eq!(names(&found), ["apps/grafana", "monitoring/traces"], "{data:?}");
}

#[test]
fn variables_stay_as_they_are_if_the_spec_takes_nothing_away() {
    let (data, before, config) = written(for_variables(json!({"tools": []})));
    let reduced = reduce(&config, DEFAULT_CLUSTER_DOMAIN, &data, None).unwrap();
    assert_eq!((reduced.rendered.data, reduced.removed.len()), (before.data, 0));
    assert_eq!(reduced.left.len(), cluster().len() - 1, "every tool of the plan stays in the status");
}

#[test]
fn a_variable_whose_tool_the_spec_excludes_goes_because_nothing_says_which_other_one_is_the_best() {
    let off = |service: &str| json!({"name": service, "match": {"service": service}, "state": "Disabled"});
    let without = |services: &[&str]| {
        let rules: Vec<Value> = services.iter().map(|service| off(service)).collect();
        let reduced = changed(
            for_variables(json!({"tools": [], "overrides": []})),
            for_variables(json!({"tools": [], "overrides": rules})),
        );
        let found = reduced.rendered.data.get("PROMETHEUS_URL").map(ToString::to_string);
        (found, names(&reduced.removed))
    };
    let another = Some("http://another.monitoring.svc.cluster.local:80".to_owned());
    assert_eq!(without(&["prometheus"]), (another, vec!["monitoring/prometheus".to_owned()]));
    assert_eq!(without(&["another"]), (None, vec!["monitoring/another".to_owned()]));
}

#[test]
fn a_variable_names_a_tool_of_the_spec_also_while_services_cannot_be_seen() {
    let reduced = changed(
        for_variables(json!({"tools": []})),
        for_variables(json!({"tools": [{"name": "corp", "type": "Prometheus", "endpoint": CORP}]})),
    );
    assert!(reduced.rendered.data["PROMETHEUS_URL"].contains("corp"), "{:?}", reduced.rendered.data);
    let preferred = json!([{"type": "Prometheus", "preferred": [{"namespace": "monitoring", "name": "prometheus"}]}]);
    let reduced =
        changed(for_variables(json!({"tools": []})), for_variables(json!({"tools": [], "detectors": preferred})));
    assert!(reduced.rendered.data["PROMETHEUS_URL"].contains("another"), "{:?}", reduced.rendered.data);
}

#[test]
fn variables_whose_tools_cannot_be_read_back_are_left_as_they_are() {
    let (data, _, mut config) = written(for_variables(json!({"tools": []})));
    config.status = None;
    assert!(reduce(&config, DEFAULT_CLUSTER_DOMAIN, &data, None).is_err());
}

#[test]
fn a_deleted_config_map_says_nothing_of_what_was_in_it() {
    let (_, _, config) = written(for_variables(json!({"tools": []})));
    let reduced = reduce(&config, DEFAULT_CLUSTER_DOMAIN, &Data::new(), None).unwrap();
    assert_eq!((reduced.rendered.data.len(), reduced.left.len()), (0, 0));
}

fn for_grafana(mut more: Value) -> ToolsetConfig {
    more["output"] = json!({"formats": ["GrafanaDatasources"]});
    spec(more)
}

fn deleted(reduced: &Reduced) -> Vec<String> {
    let text = reduced.rendered.data.values().next().unwrap();
    let file: Value = serde_saphyr::from_str(text).unwrap();
    let names = file["deleteDatasources"].as_array().into_iter().flatten();
    names.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_services_of_data_sources_are_those_that_were_discovered() {
    let (data, _, config) = written(for_grafana(json!({})));
    let found = services(&config, DEFAULT_CLUSTER_DOMAIN, &data, None);
    assert_eq!(names(&found), ["monitoring/another", "monitoring/prometheus", "monitoring/traces"]);
    let same = "http://another.monitoring.svc.cluster.local:80";
    let tool = json!({"name": "same", "type": "Prometheus", "endpoint": same});
    let (data, _, mut config) = written(for_grafana(json!({"tools": [tool]})));
    config.status = None;
    let found = services(&config, DEFAULT_CLUSTER_DOMAIN, &data, None);
    assert!(names(&found).contains(&"monitoring/another".to_owned()), "the name says what the URL does not");
}

#[test]
fn data_sources_that_cannot_be_seen_are_not_deleted_and_those_that_the_spec_excludes_are() {
    let (mut data, _, config) = written(for_grafana(json!({})));
    let reduced = reduce(&config, DEFAULT_CLUSTER_DOMAIN, &data, None).unwrap();
    for (key, text) in &reduced.rendered.data {
        assert_eq!(Some(text), data.get(&**key), "byte for byte");
    }
    let off = json!({"name": "off", "match": {"service": "another"}, "state": "Disabled"});
    let mut after = for_grafana(json!({"overrides": [off]}));
    after.status.clone_from(&config.status);
    let reduced = reduce(&after, DEFAULT_CLUSTER_DOMAIN, &data, None).unwrap();
    assert_eq!(deleted(&reduced), ["monitoring/another (discovered)"]);
    assert_eq!(names(&reduced.removed), ["monitoring/another"]);
    data.extend(reduced.rendered.data.into_iter().map(|(key, text)| (key.into_owned(), text)));
    let again = reduce(&after, DEFAULT_CLUSTER_DOMAIN, &data, None).unwrap();
    assert_eq!(deleted(&again), ["monitoring/another (discovered)"], "a tombstone is no Service");
}

#[test]
fn data_sources_are_read_back_from_the_file_if_the_status_does_not_list_them() {
    let (data, before, mut config) = written(for_grafana(json!({})));
    config.status = None;
    let reduced = reduce(&config, DEFAULT_CLUSTER_DOMAIN, &data, None).unwrap();
    assert_eq!((reduced.rendered.data, reduced.unsure.len()), (before.data, 0));
    let off = |what: Value| for_grafana(json!({"overrides": [{"name": "off", "match": what, "state": "Disabled"}]}));
    for (what, gone, unsure) in [
        (json!({"service": "another"}), vec!["monitoring/another"], vec![]),
        (json!({"type": "Jaeger"}), vec!["monitoring/traces"], vec![]),
        // VictoriaMetrics is written as a Prometheus.
        (json!({"type": "Prometheus"}), vec![], vec!["monitoring/another", "monitoring/prometheus"]),
    ] {
        let reduced = reduce(&off(what.clone()), DEFAULT_CLUSTER_DOMAIN, &data, None).unwrap();
        assert_eq!(
            (names(&reduced.removed), names(&reduced.unsure)),
            (gone.iter().map(ToString::to_string).collect(), unsure.iter().map(ToString::to_string).collect()),
            "{what}"
        );
        let deleted = deleted(&reduced);
        assert_eq!(deleted, gone.iter().map(|gone| format!("{gone} (discovered)")).collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn a_data_source_that_cannot_be_read_back_stays_in_grafana() {
    let (mut data, _, mut config) = written(for_grafana(json!({})));
    config.status = None;
    for text in data.values_mut() {
        *text = text.replace("type: jaeger", "type: other").into();
    }
    let reduced = reduce(&config, DEFAULT_CLUSTER_DOMAIN, &data, None).unwrap();
    assert_eq!(names(&reduced.unsure), ["monitoring/traces"]);
    assert!(deleted(&reduced).is_empty());
    let text = reduced.rendered.data.values().next().unwrap();
    assert!(text.contains("# left in Grafana: monitoring/traces (discovered)\n"), "{text}");
}

#[test]
fn a_name_that_is_remembered_goes_only_if_the_spec_excludes_its_namespace_or_its_service() {
    let (mut data, _, config) = written(for_grafana(json!({})));
    let remembered = "# left in Grafana: monitoring/faulty (discovered)\n# left in Grafana: apps/b (discovered)\n";
    for text in data.values_mut() {
        *text = format!("{remembered}{text}").into();
    }
    let after = |more: Value| {
        let mut after = for_grafana(more);
        after.status.clone_from(&config.status);
        deleted(&reduce(&after, DEFAULT_CLUSTER_DOMAIN, &data, None).unwrap())
    };
    assert_eq!(after(json!({})), Vec::<String>::new());
    assert_eq!(after(json!({"detectors": [{"type": "Loki", "state": "Disabled"}]})), Vec::<String>::new());
    let off = json!({"name": "off", "match": {"namespace": "monitoring", "service": "faulty"}, "state": "Disabled"});
    assert_eq!(after(json!({"overrides": [off]})), ["monitoring/faulty (discovered)"]);
    assert_eq!(after(json!({"sources": sources("Tenant")})), ["apps/b (discovered)"]);
}

#[test]
fn a_name_that_is_deleted_stays_deleted_while_services_cannot_be_seen() {
    let (mut data, _, config) = written(for_grafana(json!({})));
    let gone = "deleteDatasources:\n- name: monitoring/gone (discovered)\n  orgId: 1\ndatasources:";
    for text in data.values_mut() {
        *text = text.replacen("datasources:", gone, 1).into();
    }
    let reduced = reduce(&config, DEFAULT_CLUSTER_DOMAIN, &data, None).unwrap();
    assert_eq!(deleted(&reduced), ["monitoring/gone (discovered)"]);
}

mod remembered;
