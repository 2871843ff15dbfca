use crd_types::{Reason, ServiceReason, ToolsetConfig};
use detectors::Assumed;
use serde_json::{Value, json};

use super::limits;
use crate::{
    Index, Plan,
    fixtures::{annotated, config, grafana, index, planned, prometheus, run, service},
};

fn with_overrides(overrides: &Value) -> ToolsetConfig {
    config(json!({
        "sources": [
            {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring"]}},
            {"name": "teams", "trust": "Tenant", "namespaces": {"from": "All"}},
        ],
        "overrides": overrides,
    }))
}

fn legacy(config: &ToolsetConfig, index: &Index, text: &str) -> Plan {
    run(config, index, Some(text)).0
}

fn notes(plan: &Plan) -> Vec<Reason> {
    plan.notes.iter().map(|note| note.reason).collect()
}

fn reason(plan: &Plan, name: &str) -> ServiceReason {
    plan.rejected.iter().find(|rejection| &*rejection.key.name == name).map(|rejection| rejection.reason).unwrap()
}

#[test]
fn a_later_override_wins_field_by_field() {
    let config = with_overrides(&json!([
        {"name": "all", "match": {"type": "Prometheus"}, "description": "metrics", "tenantID": "1"},
        {"name": "one", "match": {"namespace": "monitoring", "service": "a"}, "description": "main metrics", "toolName": "main"},
    ]));
    let plan = planned(&config, &index([prometheus("monitoring", "a"), prometheus("monitoring", "b")]));
    let [a, b] = plan.tools.as_slice() else { panic!("two tools: {:?}", plan.tools) };
    assert_eq!(
        (a.name.as_str(), a.description.as_deref(), a.tenant_id.as_deref()),
        ("main", Some("main metrics"), Some("1"))
    );
    assert_eq!((b.name.as_str(), b.description.as_deref()), ("b", Some("metrics")));
}

#[test]
fn what_is_known_of_one_port_is_not_known_of_another() {
    let mut view = prometheus("monitoring", "a");
    view.ports = service("monitoring", "a", &[("http", 80), ("https-admin", 8443), ("admin", 8081)]).ports;
    let assumed = |endpoint: Value| {
        let config = with_overrides(&json!([{"name": "port", "match": {"service": "a"}, "endpoint": endpoint}]));
        planned(&config, &index([view.clone()])).tools[0].assumed
    };
    let all = Assumed { scheme: true, path: true, auth: true };
    assert_eq!(assumed(json!({"scheme": "https", "path": "/p"})), Assumed { scheme: false, path: false, ..all });
    assert_eq!(assumed(json!({"port": 8081})), all);
    assert_eq!(assumed(json!({"port": 8443})), Assumed { scheme: false, ..all }, "its name shows the scheme");
    assert_eq!(assumed(json!({"port": 8081, "path": "/p"})), Assumed { path: false, ..all });
}

#[test]
fn every_field_of_a_match_must_match() {
    let config = with_overrides(&json!([
        {"name": "none", "match": {"type": "Grafana", "service": "a"}, "state": "Disabled"},
    ]));
    let plan = planned(&config, &index([prometheus("monitoring", "a")]));
    assert_eq!(plan.tools.len(), 1);
    assert_eq!(notes(&plan), [Reason::OverrideUnmatched]);
}

#[test]
fn enabled_only_undoes_an_earlier_disabled() {
    let config = with_overrides(&json!([
        {"name": "off", "match": {"namespace": "monitoring"}, "state": "Disabled"},
        {"name": "on", "match": {"service": "b"}, "state": "Enabled"},
    ]));
    let plan = planned(&config, &index([prometheus("monitoring", "a"), grafana("monitoring", "b")]));
    assert_eq!(reason(&plan, "a"), ServiceReason::OverriddenOff);
    assert_eq!(plan.tools[0].name, "b");
}

#[test]
fn an_endpoint_changes_its_port_scheme_and_path_but_never_its_host() {
    let config = with_overrides(&json!([
        {"name": "tls", "match": {"service": "a"}, "endpoint": {"scheme": "https", "port": "alt", "path": "/prom"}},
        {"name": "gone", "match": {"service": "b"}, "endpoint": {"port": "nope"}},
    ]));
    let mut two_ports = prometheus("monitoring", "a");
    two_ports.ports = service("x", "y", &[("http", 80), ("alt", 9443)]).ports;
    let plan = planned(&config, &index([two_ports, prometheus("monitoring", "b")]));
    assert_eq!(plan.tools[0].endpoint.to_string(), "https://a.monitoring.svc.cluster.local:9443/prom");
    assert_eq!(plan.tools[1].endpoint.to_string(), "http://b.monitoring.svc.cluster.local:80");
    assert!(plan.notes[0].message.contains("nope"), "{:?}", plan.notes);
}

#[test]
fn a_tenants_service_gets_no_credentials_and_its_tool_says_so() {
    let config = with_overrides(&json!([
        {"name": "secret", "match": {"namespace": "team", "service": "p"}, "credentials": {"type": "Bearer", "env": "TOKEN"}},
    ]));
    let opted = annotated(
        prometheus("team", "p"),
        &[("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", "prometheus")],
    );
    let plan = planned(&config, &index([opted]));
    assert_eq!(
        (plan.tools[0].credentials.is_none(), plan.tools[0].reason),
        (true, ServiceReason::CredentialsNotAllowed)
    );
}

#[test]
fn an_override_that_removes_the_best_instance_leaves_the_next_one_to_single() {
    let mut config = with_overrides(&json!([{"name": "off", "match": {"service": "a"}, "state": "Disabled"}]));
    config.spec.detectors = serde_json::from_value(json!([{"type": "Prometheus", "instances": "Single"}])).unwrap();
    let plan = planned(&config, &index([prometheus("monitoring", "a"), prometheus("monitoring", "b")]));
    assert_eq!(plan.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn tools_outside_the_cluster_stand_behind_the_discovered_ones() {
    let mut config = with_overrides(&json!([]));
    config.spec.tools = serde_json::from_value(json!([
        {"name": "corp", "type": "Prometheus", "endpoint": "https://prom.corp.example/base/"},
    ]))
    .unwrap();
    let plan = planned(&config, &index([prometheus("monitoring", "a")]));
    assert_eq!(plan.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["a", "corp"]);
    assert_eq!(plan.tools[1].endpoint.to_string(), "https://prom.corp.example:443/base");
    assert_eq!(plan.candidates_total, 1, "only Services are candidates");
}

#[test]
fn the_predecessors_layer_switches_off_and_describes_what_the_spec_says_nothing_of() {
    let known = index([prometheus("monitoring", "a"), grafana("monitoring", "b")]);
    let text = "tools:\n- {name: a, enabled: false, description: old a}\n- {name: b, description: old b}\n";
    let plan = legacy(&with_overrides(&json!([])), &known, text);
    assert_eq!(reason(&plan, "a"), ServiceReason::OverriddenOff);
    assert_eq!(plan.tools[0].description.as_deref(), Some("old b"));

    let config = with_overrides(&json!([
        {"name": "keep", "match": {"service": "a"}, "state": "Enabled"},
        {"name": "say", "match": {"service": "b"}, "description": "new b"},
    ]));
    let plan = legacy(&config, &known, text);
    let said: Vec<_> = plan.tools.iter().map(|tool| tool.description.as_deref()).collect();
    assert_eq!(said, [Some("old a"), Some("new b")], "the spec wins field by field");
}

#[test]
fn a_predecessors_layer_that_cannot_be_read_is_said_and_changes_nothing() {
    let known = index([prometheus("monitoring", "a")]);
    let plan = legacy(&with_overrides(&json!([])), &known, "tools: [");
    assert_eq!((plan.tools.len(), notes(&plan)), (1, vec![Reason::LegacyOverridesInvalid]));
}

/// The platform's namespace, and everything else for Tenants.
fn beside_tenants() -> ToolsetConfig {
    config(json!({"sources": [
        {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring"]}},
        {"name": "teams", "trust": "Tenant", "namespaces": {"from": "All"}},
    ]}))
}

fn of_team(name: &str, type_: &str, tool_name: &str) -> detectors::ServiceView {
    let stated = [
        ("kubernaut.io/toolset", "enabled"),
        ("kubernaut.io/toolset-type", type_),
        ("kubernaut.io/toolset-name", tool_name),
    ];
    annotated(service("team", name, &[("http", 80)]), &stated)
}

#[test]
fn a_tenant_with_the_name_of_a_type_does_not_keep_the_predecessors_layer_from_trusted_tools() {
    let text = "tools:\n- {name: prometheus, enabled: false}\n- {name: grafana, description: Our main dashboards}\n";
    let trusted = [prometheus("monitoring", "prometheus-server"), grafana("monitoring", "main-grafana")];
    let tenants = [of_team("prometheus", "jaeger", "jaeger"), of_team("x", "loki", "grafana")];
    let plan = legacy(&beside_tenants(), &index(trusted.into_iter().chain(tenants)), text);
    assert_eq!(reason(&plan, "prometheus-server"), ServiceReason::OverriddenOff);
    let shown: Vec<_> = plan.tools.iter().map(|tool| (&*tool.name, tool.description.as_deref())).collect();
    assert_eq!(shown, [("main-grafana", Some("Our main dashboards")), ("grafana-team", None)]);
}

#[test]
fn the_predecessors_layer_still_means_a_tenants_tool_that_no_trusted_one_is_meant_by() {
    let text = "tools:\n- {name: tracing, description: Of the team}\n- {name: logs, enabled: false}\n";
    let tenants = [of_team("tracing", "jaeger", "t"), of_team("logs", "loki", "l")];
    let plan = legacy(&beside_tenants(), &index(tenants), text);
    assert_eq!(reason(&plan, "logs"), ServiceReason::OverriddenOff);
    assert_eq!(plan.tools[0].description.as_deref(), Some("Of the team"));
    assert_eq!(notes(&plan), []);
}

#[test]
fn a_tenant_over_a_limit_does_not_hide_that_the_predecessors_layer_has_no_effect() {
    let text = "tools: [{name: zz-late, description: Gone}]";
    let many = (0..limits::PER_NAMESPACE).map(|number| of_team(&format!("s{number}"), "jaeger", "j"));
    let mut late = of_team("zz-late", "jaeger", "j");
    late.created += 1;
    let plan = legacy(&beside_tenants(), &index(many.chain([late])), text);
    assert_eq!(reason(&plan, "zz-late"), ServiceReason::LimitExceeded);
    assert_eq!(notes(&plan), [Reason::OverrideUnmatched]);
}
