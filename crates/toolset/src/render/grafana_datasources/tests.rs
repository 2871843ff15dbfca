use std::time::Duration;

use detectors::ServiceView;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    Index, Rendered,
    fixtures::{annotated, config, grafana, index, prometheus, service, slice},
    health::{HealthStage, HealthTime},
    pipeline::{self, HealthInput},
    render::{Earlier, budget, grafana_key},
};

mod deleting;

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

/// A file that every Grafana has loaded, while no other ToolsetConfig writes one and every namespace can be seen.
fn loaded(text: &str) -> Earlier<'_> {
    const NOBODY: &Elsewhere = &Elsewhere::new();
    Earlier { text, is_loaded: true, elsewhere: Some(NOBODY), unseen: &|_| false }
}

fn run(config: &ToolsetConfig, index: &Index, health: HealthInput<'_>, previous: Option<&str>) -> (Plan, Rendered) {
    run_after(config, index, health, previous.map(loaded))
}

fn run_after(
    config: &ToolsetConfig,
    index: &Index,
    health: HealthInput<'_>,
    previous: Option<Earlier<'_>>,
) -> (Plan, Rendered) {
    let outcome = pipeline::run(pipeline::Input {
        config,
        cluster_domain: crate::DEFAULT_CLUSTER_DOMAIN,
        index,
        admits: None,
        remembered: None,
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
    let health = HealthInput::Observed { stage: &mut stage, time: &time, in_output: &BTreeSet::new, probed: None };
    let (plan, rendered) = run(&config, &index, health, None);
    let file: Value = serde_saphyr::from_str(&text(&rendered, &config)).unwrap();
    assert_eq!(names(&file, "datasources"), [name("down"), name("up")]);
    assert_eq!((plan.unhealthy(), plan.rejected.len()), (1, 0), "the status says it");
}

#[test]
fn a_tenants_tool_says_that_only_trusted_ones_are_data_sources() {
    let config = for_grafana(json!({}));
    let (plan, rendered) = run(&config, &index([of_type("team", "p", "prometheus")]), HealthInput::Unobserved, None);
    assert_eq!((plan.rejected[0].reason, rendered.entries), (ServiceReason::TrustedOnly, 0));
    assert!(!text(&rendered, &config).contains("team"));
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

#[test]
fn a_url_that_grafana_does_not_take_is_left_out_and_said_and_deletes_nothing() {
    let config = for_grafana(json!({}));
    let (namespace, name) = ("monitoring", "s".repeat(63));
    let before = after(None, &config, vec![of_type(namespace, &name, "prometheus")]).0;
    let view = annotated(
        service(namespace, &name, &[("http", 8080)]),
        &[
            ("kubernaut.io/toolset", "enabled"),
            ("kubernaut.io/toolset-type", "prometheus"),
            ("kubernaut.io/toolset-path", &format!("/{}", "p".repeat(128))),
        ],
    );
    let long = "d".repeat(50);
    let outcome = pipeline::run(pipeline::Input {
        config: &config,
        cluster_domain: &format!("{long}.{long}"),
        index: &index([view]),
        admits: None,
        remembered: None,
        health: HealthInput::Unobserved,
        legacy_overrides: None,
        base: None,
        previous: Some(loaded(&before)),
    });
    let text = text(&outcome.rendered, &config);
    let left = previous::REMEMBERED.line(&names::of_service(namespace, &name));
    assert!(outcome.rendered.entries == 0 && text.contains(&left), "{text}");
    assert!(!text.contains("deleteDatasources"), "{text}");
    assert!(outcome.rendered.notes[0].message.contains("255"), "{:?}", outcome.rendered.notes);
}

proptest! {
    #[test]
    fn whatever_is_legal_fits_into_grafana(
        namespace in "[a-z]{1,63}", service_name in "[a-z]{1,63}", path in "(/[a-z]{1,40}){0,3}", domain in "[a-z]{1,63}(\\.[a-z]{1,63}){0,2}",
        tool in "[a-z]{1,40}", url_path in "(/[a-z]{1,60}){0,4}",
    ) {
        let endpoint = format!("https://{}.example/{}", "h".repeat(60), url_path.trim_start_matches('/'));
        let config = for_grafana(json!({
            "sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}}],
            "tools": [{"name": tool, "type": "Loki", "endpoint": endpoint}],
        }));
        let marks = [("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", "loki"), ("kubernaut.io/toolset-path", path.as_str())];
        let marks = if path.is_empty() { &marks[..2] } else { &marks[..] };
        let outcome = pipeline::run(pipeline::Input {
            config: &config,
            cluster_domain: &domain,
            index: &index([annotated(service(&namespace, &service_name, &[("http", 8080)]), marks)]),
            admits: None,
            remembered: None,
            health: HealthInput::Unobserved,
            legacy_overrides: None,
            base: None,
            previous: None,
        });
        let file: Value = serde_saphyr::from_str(&text(&outcome.rendered, &config)).unwrap();
        for source in file["datasources"].as_array().unwrap() {
            let length = |field: &str| source[field].as_str().unwrap().len();
            prop_assert!(length("url") <= 255 && length("name") <= 190 && length("uid") <= 40, "{}", source);
        }
        prop_assert_eq!(outcome.plan.tools.len(), outcome.rendered.entries + outcome.rendered.notes.len());
    }
}
