use std::time::Duration;

use detectors::ServiceView;
use serde_json::{Value, json};

use super::*;
use crate::{
    Index, Rendered,
    fixtures::{annotated, config, grafana, index, prometheus, service, slice},
    health::{HealthStage, HealthTime},
    pipeline::{self, HealthInput},
    render::{budget, grafana_key},
};

const DOMAIN: &str = "svc.cluster.local";

fn for_grafana(more: Value) -> ToolsetConfig {
    let mut spec = json!({
        "sources": [
            {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring"]}},
            {"name": "teams", "trust": "Tenant", "namespaces": {"from": "Names", "names": ["team"]}},
        ],
        "output": {"formats": ["GrafanaDatasources"]},
    });
    spec.as_object_mut().unwrap().extend(serde_json::from_value::<serde_json::Map<_, _>>(more).unwrap());
    config(spec)
}

/// A Service of this type by its annotation.
fn of_type(namespace: &str, name: &str, type_: &str) -> ServiceView {
    let marks = [("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", type_)];
    annotated(service(namespace, name, &[("http", 8080)]), &marks)
}

fn run(config: &ToolsetConfig, index: &Index, health: HealthInput<'_>, previous: Option<&str>) -> (Plan, Rendered) {
    let outcome = pipeline::run(pipeline::Input {
        config,
        cluster_domain: crate::DEFAULT_CLUSTER_DOMAIN,
        index,
        admits: None,
        health,
        legacy_overrides: None,
        base: None,
        previous,
    });
    (outcome.plan, outcome.rendered)
}

fn text(rendered: &Rendered, config: &ToolsetConfig) -> String {
    rendered.data[&*grafana_key(config)].to_string()
}

/// The file after another one, and what it says.
fn after(previous: Option<&str>, config: &ToolsetConfig, services: Vec<ServiceView>) -> (String, Value) {
    let (_, rendered) = run(config, &index(services), HealthInput::Unobserved, previous);
    let text = text(&rendered, config);
    let file = serde_saphyr::from_str(&text).unwrap();
    (text, file)
}

fn file(more: Value, services: Vec<ServiceView>) -> Value {
    after(None, &for_grafana(more), services).1
}

fn names(file: &Value, list: &str) -> Vec<String> {
    file[list].as_array().into_iter().flatten().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

fn deleted(file: &Value) -> Vec<String> {
    names(file, "deleteDatasources")
}

fn name(service: &str) -> String {
    format!("monitoring/{service} (discovered)")
}

#[test]
fn a_data_source_has_what_grafana_needs_and_nothing_that_harms() {
    let file = file(json!({}), vec![prometheus("monitoring", "prometheus")]);
    let source = file["datasources"][0].clone();
    let uid = source["uid"].as_str().unwrap().to_owned();
    assert_eq!(
        file,
        json!({"apiVersion": 1, "datasources": [{
            "name": "monitoring/prometheus (discovered)", "uid": uid, "orgId": 1, "type": "prometheus",
            "access": "proxy", "url": format!("http://prometheus.monitoring.{DOMAIN}:80"),
            "isDefault": false, "editable": false, "jsonData": {"prometheusType": "Prometheus"},
        }]})
    );
    let digits = uid.strip_prefix("ts-").unwrap();
    assert!(digits.len() == 12 && digits.chars().all(|c| c.is_ascii_hexdigit()), "{uid}");
    assert_eq!(self::file(json!({}), vec![]), json!({"apiVersion": 1, "datasources": []}));
}

#[test]
fn each_type_is_grafanas_and_the_others_have_no_data_source() {
    for (type_, grafanas, json_data) in [
        ("prometheus", "prometheus", json!({"prometheusType": "Prometheus"})),
        ("thanos", "prometheus", json!({"prometheusType": "Thanos"})),
        ("mimir", "prometheus", json!({"prometheusType": "Mimir"})),
        ("victoriametrics", "prometheus", json!({"prometheusType": "Prometheus"})),
        ("alertmanager", "alertmanager", json!({"implementation": "prometheus"})),
        ("loki", "loki", json!({})),
        ("tempo", "tempo", json!({})),
        ("jaeger", "jaeger", json!({})),
        ("zipkin", "zipkin", json!({})),
    ] {
        let file = file(json!({}), vec![of_type("monitoring", "x", type_)]);
        let source = &file["datasources"][0];
        assert_eq!((&source["type"], &source["jsonData"]), (&json!(grafanas), &json_data), "{type_}");
    }
    for type_ in ["grafana", "kibana", "elasticsearch", "opensearch", "victorialogs", "victoriatraces", "other"] {
        let config = for_grafana(json!({}));
        let (plan, rendered) = run(&config, &index([of_type("monitoring", "x", type_)]), HealthInput::Unobserved, None);
        assert_eq!((plan.tools.len(), rendered.entries, rendered.notes.len()), (1, 0, 0), "{type_}");
    }
}

#[test]
fn elasticsearch_needs_an_index_and_opensearch_is_asked_for_by_one() {
    let with_index = json!({"overrides": [
        {"name": "es", "match": {"type": "Elasticsearch"}, "settings": {"index": "logs-*"}},
        {"name": "os", "match": {"type": "OpenSearch"}, "settings": {"index": "a,b"}},
    ]});
    let both = vec![of_type("monitoring", "es", "elasticsearch"), of_type("monitoring", "os", "opensearch")];
    let file = file(with_index, both);
    let sources = file["datasources"].as_array().unwrap();
    assert_eq!(sources[0]["jsonData"], json!({"index": "logs-*", "timeField": "@timestamp"}));
    assert_eq!(sources[1]["type"], "grafana-opensearch-datasource");
    assert_eq!(sources[1]["jsonData"]["database"], "a,b");
}

#[test]
fn settings_become_fields_of_grafana_and_a_tenant_a_header_whose_value_is_a_text() {
    let rule = json!({"overrides": [{
        "name": "o", "match": {"namespace": "monitoring", "service": "p"}, "tenantID": "1",
        "settings": {"verifyTLS": "Disabled", "timeoutSeconds": 7},
    }]});
    let source = file(rule, vec![prometheus("monitoring", "p")])["datasources"][0].clone();
    let expected = json!({
        "prometheusType": "Prometheus", "tlsSkipVerify": true, "timeout": 7, "httpHeaderName1": "X-Scope-OrgID",
    });
    assert_eq!(source["jsonData"], expected);
    assert_eq!(source["secureJsonData"], json!({"httpHeaderValue1": "1"}));
}

#[test]
fn credentials_are_left_out_and_said_and_the_source_is_written() {
    let rule = json!({"overrides": [{
        "name": "token", "match": {"namespace": "monitoring", "service": "p"},
        "credentials": {"type": "Bearer", "env": "TOKEN"}, "instructions": "x",
    }]});
    let config = for_grafana(rule);
    let (_, rendered) = run(&config, &index([prometheus("monitoring", "p")]), HealthInput::Unobserved, None);
    let text = text(&rendered, &config);
    assert!(text.contains("monitoring/p (discovered)") && !text.contains("TOKEN"), "{text}");
    let reasons: Vec<Reason> = rendered.notes.iter().map(|note| note.reason).collect();
    assert_eq!(reasons, [Reason::CredentialsUnsupported, Reason::SettingUnsupported]);
}

#[test]
fn a_tool_of_the_spec_has_a_name_of_its_own_that_no_service_and_no_other_tool_changes() {
    let spec = json!({"tools": [
        {"name": "prometheus", "type": "Prometheus", "endpoint": "https://prom.corp.example/x"},
        {"name": "bash", "type": "Loki", "endpoint": "https://loki.corp.example/"},
        {"name": "es", "type": "Elasticsearch", "endpoint": "https://es.corp.example/"},
        {"name": "kibana", "type": "Kibana", "endpoint": "https://kibana.corp.example/"},
    ]});
    let config = for_grafana(spec);
    let (_, rendered) = run(&config, &index([prometheus("monitoring", "prometheus")]), HealthInput::Unobserved, None);
    let file: Value = serde_saphyr::from_str(&text(&rendered, &config)).unwrap();
    assert_eq!(
        names(&file, "datasources"),
        [
            name("prometheus"),
            "spec.tools/bash (discovered)".to_owned(),
            "spec.tools/prometheus (discovered)".to_owned()
        ]
    );
    assert_eq!(file["datasources"][2]["url"], "https://prom.corp.example:443/x");
    let said: Vec<&str> = rendered.notes.iter().map(|note| note.message.as_str()).collect();
    assert!(said.len() == 2 && said[0].contains("tool es") && said[1].contains("tool kibana"), "{said:?}");
    assert!(said[0].contains("settings.index"), "{said:?}");
}

#[test]
fn the_uid_depends_on_the_type_the_toolset_config_and_the_service_and_on_nothing_else() {
    let uid = |config: &ToolsetConfig, view: ServiceView| {
        after(None, config, vec![view]).1["datasources"][0]["uid"].as_str().unwrap().to_owned()
    };
    let config = for_grafana(json!({}));
    let first = uid(&config, of_type("monitoring", "a", "prometheus"));
    assert_eq!(first, uid(&config, of_type("monitoring", "a", "thanos")), "the same type in Grafana");
    let moved = annotated(
        service("monitoring", "a", &[("http", 9090)]),
        &[("kubernaut.io/toolset-type", "prometheus"), ("kubernaut.io/toolset", "true")],
    );
    assert_eq!(first, uid(&config, moved));
    assert_ne!(first, uid(&config, of_type("monitoring", "a", "loki")));
    assert_ne!(first, uid(&config, of_type("monitoring", "b", "prometheus")));
    for field in ["name", "namespace"] {
        let mut other = serde_json::to_value(&config).unwrap();
        other["metadata"][field] = json!("other");
        assert_ne!(first, uid(&serde_json::from_value(other).unwrap(), of_type("monitoring", "a", "prometheus")));
    }
}

#[test]
fn no_value_has_a_dollar() {
    let at = json!({"namespace": "monitoring", "service": "p"});
    for (rule, written) in [
        (json!({"name": "o", "match": at, "tenantID": "$SECRET"}), 0),
        // A path that is not plain is no endpoint, so the tool keeps its own.
        (json!({"name": "o", "match": at, "endpoint": {"path": "/$__file{x}"}}), 1),
    ] {
        let config = for_grafana(json!({"overrides": [rule]}));
        let (previous, _) = after(None, &for_grafana(json!({})), vec![prometheus("monitoring", "p")]);
        let services = index([prometheus("monitoring", "p")]);
        let (_, rendered) = run(&config, &services, HealthInput::Unobserved, Some(&previous));
        let text = text(&rendered, &config);
        assert!(!text.contains('$'), "{text}");
        assert_eq!((rendered.entries, rendered.notes.len()), (written, 1 - written), "{:?}", rendered.notes);
        assert!(!text.contains("deleteDatasources"), "its Service is still there: {text}");
    }
}

#[test]
fn an_outage_removes_no_data_source_whatever_the_spec_says() {
    let views = [prometheus("monitoring", "up"), prometheus("monitoring", "down")];
    let mut index = index(views.clone());
    for (view, serving) in views.iter().zip([true, false]) {
        index.apply_slice(slice(view, serving));
    }
    let config = for_grafana(json!({"health": {"mode": "Endpoints", "effect": "Withhold", "withholdAfterSeconds": 0}}));
    let mut stage = HealthStage::default();
    let time = |_: &str| HealthTime { now: Duration::from_secs(10_000), frozen: false };
    let health = HealthInput::Observed { stage: &mut stage, time: &time, in_output: &BTreeSet::new };
    let (plan, rendered) = run(&config, &index, health, None);
    let file: Value = serde_saphyr::from_str(&text(&rendered, &config)).unwrap();
    assert_eq!(names(&file, "datasources"), [name("down"), name("up")]);
    assert_eq!((plan.unhealthy(), plan.rejected.len()), (1, 0), "the status says it");
}

#[test]
fn what_is_gone_deselected_or_switched_off_is_deleted_in_grafana() {
    let services = || vec![prometheus("monitoring", "a"), prometheus("monitoring", "b")];
    let (before, _) = after(None, &for_grafana(json!({})), services());
    let only_b = vec![prometheus("monitoring", "b")];
    let opted_out = annotated(prometheus("monitoring", "a"), &[("kubernaut.io/toolset", "disabled")]);
    let tenant = json!([{"name": "t", "trust": "Tenant", "namespaces": {"from": "All"}}]);
    let off = json!([{"name": "off", "match": {"service": "a"}, "state": "Disabled"}]);
    let single =
        json!([{"type": "Prometheus", "preferred": [{"namespace": "monitoring", "name": "b"}], "instances": "Single"}]);
    for (more, services, expected) in [
        (json!({}), only_b.clone(), vec!["a"]),
        (json!({}), vec![opted_out, only_b[0].clone()], vec!["a"]),
        (json!({"overrides": off}), services(), vec!["a"]),
        (json!({"detectors": single}), services(), vec!["a"]),
        (json!({"detectors": [{"type": "Prometheus", "state": "Disabled"}]}), services(), vec!["a", "b"]),
        (json!({"sources": tenant}), services(), vec!["a", "b"]),
    ] {
        let (_, file) = after(Some(&before), &for_grafana(more.clone()), services);
        let expected: Vec<String> = expected.into_iter().map(name).collect();
        assert_eq!(deleted(&file), expected, "{more}");
        assert_eq!(file["deleteDatasources"][0]["orgId"], 1);
        assert!(names(&file, "datasources").iter().all(|name| !expected.contains(name)), "{file}");
    }
}

#[test]
fn a_fault_of_a_service_deletes_nothing_and_its_name_is_remembered_until_it_is_gone() {
    let config = for_grafana(json!({}));
    let (before, _) = after(None, &config, vec![prometheus("monitoring", "a")]);
    let faulty = || annotated(prometheus("monitoring", "a"), &[("kubernaut.io/toolset-port", "nope")]);
    let (text, file) = after(Some(&before), &config, vec![faulty()]);
    assert_eq!(file, json!({"apiVersion": 1, "datasources": []}), "{text}");
    let (again, _) = after(Some(&text), &config, vec![faulty()]);
    assert_eq!(again, text, "nothing moves at rest");
    let (_, gone) = after(Some(&text), &config, vec![]);
    assert_eq!(deleted(&gone), [name("a")]);
    let (back, file) = after(Some(&text), &config, vec![prometheus("monitoring", "a")]);
    assert_eq!((names(&file, "datasources"), deleted(&file)), (vec![name("a")], vec![]));
    assert_eq!(back, before);
}

#[test]
fn a_tombstone_stays_until_its_name_is_back() {
    let config = for_grafana(json!({}));
    let (first, _) = after(None, &config, vec![prometheus("monitoring", "a"), prometheus("monitoring", "b")]);
    let (second, _) = after(Some(&first), &config, vec![prometheus("monitoring", "b")]);
    let (third, file) = after(Some(&second), &config, vec![prometheus("monitoring", "b")]);
    assert_eq!((deleted(&file), &third), (vec![name("a")], &second), "the same input gives the same bytes");
    let (_, both) = after(Some(&third), &config, vec![]);
    assert_eq!(deleted(&both), [name("a"), name("b")]);
    let (_, back) = after(Some(&third), &config, vec![prometheus("monitoring", "a")]);
    assert_eq!((names(&back, "datasources"), deleted(&back)), (vec![name("a")], vec![name("b")]));
}

#[test]
fn at_most_fifty_names_are_deleted_and_the_oldest_are_dropped() {
    let config = for_grafana(json!({}));
    let many = |from: usize, to: usize| (from..to).map(|n| prometheus("monitoring", &format!("p{n:02}"))).collect();
    let (all, _) = after(None, &config, many(0, 60));
    let (early, _) = after(Some(&all), &config, many(20, 60));
    let (late, file) = after(Some(&early), &config, vec![]);
    let deleted = deleted(&file);
    assert_eq!((deleted.len(), &deleted[0], &deleted[49]), (50, &name("p10"), &name("p59")));
    assert_eq!(after(Some(&late), &config, vec![]).0, late);
}

#[test]
fn nobody_can_make_it_delete_a_name_that_is_not_of_its_own_form() {
    let config = for_grafana(json!({}));
    let edited = "# left in Grafana: Loki\n# left in Grafana: x/y (discovered)\napiVersion: 1\n\
                  datasources: [{name: Prometheus}, {name: a/b (discovered), isDefault: true}]\n\
                  deleteDatasources: [{name: Main, orgId: 1}, {name: $X/y (discovered)}]\n";
    let (_, file) = after(Some(edited), &config, vec![prometheus("monitoring", "a")]);
    assert_eq!(deleted(&file), ["a/b (discovered)", "x/y (discovered)"]);
    for broken in ["{", "datasources: 5", "", "[]", "datasources: null"] {
        assert_eq!(deleted(&after(Some(broken), &config, vec![]).1), Vec::<String>::new(), "{broken}");
    }
}

#[test]
fn a_tenants_tool_says_that_only_trusted_ones_are_data_sources() {
    let config = for_grafana(json!({}));
    let (plan, rendered) = run(&config, &index([of_type("team", "p", "prometheus")]), HealthInput::Unobserved, None);
    assert_eq!((plan.rejected[0].reason, rendered.entries), (ServiceReason::TrustedOnly, 0));
    assert!(!text(&rendered, &config).contains("team"));
}

#[test]
fn what_the_size_budget_leaves_out_is_not_deleted() {
    let config = for_grafana(json!({}));
    let services = vec![prometheus("monitoring", "a"), prometheus("monitoring", "b")];
    let (before, _) = after(None, &config, services.clone());
    let mut plan = crate::fixtures::planned(&config, &index(services));
    let standing = standing(&config, &plan);
    let cut = plan.tools.split_off(1);
    let file = render(&Input { config: &config, tools: &plan.tools, previous: Some(&before), standing: &standing });
    assert!(!file.text.contains("deleteDatasources"), "{}", file.text);
    assert!(file.text.contains(&format!("{}{}", previous::REMEMBERED, names::of_tool(&cut[0]))), "{}", file.text);
}

#[test]
fn a_full_file_is_far_below_the_size_budget() {
    let config = for_grafana(json!({}));
    let long = |n: usize| format!("{n:03}-{}", "x".repeat(59));
    let services = |from: usize| (from..from + 200).map(|n| prometheus("monitoring", &long(n))).collect::<Vec<_>>();
    let (before, _) = after(None, &config, services(0));
    let (_, rendered) = run(&config, &index(services(100)), HealthInput::Unobserved, Some(&before));
    assert_eq!((rendered.entries, budget::size(&rendered.data) < 256 * 1024), (200, true));
}

#[test]
fn grafana_itself_is_no_data_source_and_is_no_news() {
    let config = for_grafana(json!({}));
    let (plan, rendered) = run(&config, &index([grafana("monitoring", "g")]), HealthInput::Unobserved, None);
    assert_eq!((plan.tools.len(), rendered.entries, rendered.notes.len()), (1, 0, 0));
    assert!(crate::render::why_absent(&config, &plan.tools, &plan.tools[0]).is_some());
}
