//! The formats for other readers, and the values and flags to paste.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` in a helper function fails the test")]

mod support;

use serde_json::{Value, json};
use support::{Run, fixture, run, run_with_input};

const PROMETHEUS: &str = "http://kube-prometheus-stack-prometheus.monitoring.svc.cluster.local:9090";
const GRAFANA: &str = "http://grafana.monitoring.svc.cluster.local:80";

fn config(spec: &Value) -> String {
    let mut all = json!({"sources": [{"name": "all", "trust": "Trusted", "namespaces": {"from": "All"}}]});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({
        "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig",
        "metadata": {"namespace": "holmes", "name": "default"}, "spec": all,
    })
    .to_string()
}

fn render(spec: &Value, output: &str) -> Run {
    run_with_input(&["render", "-f", &fixture("stack.yaml"), "-f", "-", "-o", output], &config(spec))
}

fn yaml(run: &Run) -> Value {
    assert_eq!(run.code, 0, "{}", run.stderr);
    serde_saphyr::from_str(&run.stdout).unwrap()
}

#[test]
fn the_config_map_shows_the_variables_as_they_are() {
    let map = yaml(&render(&json!({"output": {"formats": ["Environment"], "labels": {"team": "a"}}}), "configmap"));
    assert_eq!(map["data"], json!({"GRAFANA_URL": GRAFANA, "PROMETHEUS_URL": PROMETHEUS}));
    assert_eq!(map["metadata"]["labels"]["team"], "a");
}

#[test]
fn the_config_map_shows_grafanas_file_after_the_one_in_the_input() {
    let spec = json!({"output": {"formats": ["GrafanaDatasources"]}});
    let map = yaml(&render(&spec, "configmap"));
    let key = "toolset-operator.holmes.default.yaml";
    let file: Value = serde_saphyr::from_str(map["data"][key].as_str().unwrap()).unwrap();
    assert_eq!(file["datasources"][0]["url"], PROMETHEUS);
    assert_eq!(file["datasources"].as_array().unwrap().len(), 1);

    let input = format!("{}\n---\n{map}", config(&spec));
    let run = run_with_input(&["render", "-f", "-", "-o", "configmap"], &input);
    let after: Value = serde_saphyr::from_str(yaml(&run)["data"][key].as_str().unwrap()).unwrap();
    let name = "monitoring/kube-prometheus-stack-prometheus (discovered)";
    assert_eq!(after["deleteDatasources"], json!([{"name": name, "orgId": 1}]));
}

#[test]
fn a_format_that_the_agent_does_not_load_has_no_file_for_it() {
    let run = render(&json!({"output": {"formats": ["Environment"]}}), "holmesgpt");
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("does not contain HolmesGPT"), "{}", run.stderr);
}

#[test]
fn robusta_takes_what_was_found_and_a_comment_says_what_was_not() {
    let run = run(&["render", "-f", &fixture("stack.yaml"), "-o", "robusta"]);
    assert_eq!(yaml(&run), json!({"globalConfig": {"prometheus_url": PROMETHEUS, "grafana_url": GRAFANA}}));
    assert!(run.stdout.contains("  # alertmanager_url: no instance without credentials"), "{}", run.stdout);
    assert!(run.stdout.contains("# monitoring/grafana"), "{}", run.stdout);
}

#[test]
fn kubernaut_takes_what_was_found_and_switches_it_on() {
    let run = run(&["render", "-f", &fixture("stack.yaml"), "-o", "kubernaut"]);
    assert_eq!(
        yaml(&run),
        json!({
            "kubernautAgent": {"prometheus": {"enabled": true, "url": PROMETHEUS}},
            "effectivenessmonitor": {"external": {"prometheusEnabled": true, "prometheusUrl": PROMETHEUS}},
        })
    );
    assert!(run.stdout.contains("    # alertManagerUrl: no instance without credentials"), "{}", run.stdout);
}

#[test]
fn krr_takes_one_url_in_quotes() {
    let run = run(&["render", "-f", &fixture("stack.yaml"), "-o", "krr"]);
    assert_eq!(
        (run.code, run.stdout.lines().last().unwrap()),
        (0, format!("krr simple --prometheus-url '{PROMETHEUS}'").as_str())
    );
}

#[test]
fn with_nothing_found_no_value_of_a_chart_is_deleted() {
    let nothing = |output: &str| run_with_input(&["render", "-f", "-", "-o", output], &config(&json!({})));
    assert_eq!(yaml(&nothing("robusta")), json!({"globalConfig": {}}));
    let expected = json!({"kubernautAgent": {"prometheus": {}}, "effectivenessmonitor": {"external": {}}});
    assert_eq!(yaml(&nothing("kubernaut")), expected);
    assert_eq!(nothing("krr").stdout.lines().last(), Some("krr simple"));
}

#[test]
fn what_needs_credentials_or_a_tenant_or_comes_from_a_tenant_is_not_pasted() {
    let at = json!({"namespace": "monitoring", "service": "kube-prometheus-stack-prometheus"});
    for more in [
        json!({"overrides": [{"name": "o", "match": at, "credentials": {"type": "Bearer", "env": "TOKEN"}}]}),
        json!({"overrides": [{"name": "o", "match": at, "tenantID": "1"}]}),
        json!({"sources": [{"name": "t", "trust": "Tenant", "namespaces": {"from": "All"}}]}),
    ] {
        for output in ["robusta", "kubernaut", "krr"] {
            let run = render(&more, output);
            assert_eq!(run.code, 0, "{}", run.stderr);
            assert!(!run.stdout.contains(PROMETHEUS) && !run.stdout.contains("TOKEN"), "{}", run.stdout);
        }
    }
}

#[test]
fn a_path_has_no_slash_at_its_end_because_these_programs_append_to_it() {
    let tool =
        json!({"tools": [{"name": "corp", "type": "Mimir", "endpoint": "https://mimir.corp.example/prometheus/"}]});
    let run = render(&tool, "krr");
    assert!(run.stdout.ends_with("'https://mimir.corp.example:443/prometheus'\n"), "{}", run.stdout);
}

#[test]
fn explain_says_why_the_output_does_not_contain_a_tool() {
    let explain = |formats: Value, service: &str, more: Value| {
        let mut spec = json!({"output": {"formats": formats}});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let args = ["explain", service, "-f", &fixture("stack.yaml"), "-f", "-"];
        let run = run_with_input(&args, &config(&spec));
        assert_eq!(run.code, 0, "{}", run.stderr);
        run.stdout
    };
    let grafana = explain(json!(["GrafanaDatasources"]), "monitoring/grafana", json!({}));
    assert!(
        grafana.contains("is a tool") && grafana.contains("does not contain it, because Grafana has no"),
        "{grafana}"
    );
    let tool = json!({"tools": [{"name": "corp", "type": "Grafana", "endpoint": "https://grafana.corp.example/"}]});
    let second = explain(json!(["Environment"]), "monitoring/grafana", tool);
    assert!(second.contains("GRAFANA_URL contains the URL of tool corp"), "{second}");
    let written = explain(json!(["Environment"]), "monitoring/grafana", json!({}));
    assert!(!written.contains("does not contain it"), "{written}");
    let tenant = json!({"sources": [{"name": "t", "trust": "Tenant", "namespaces": {"from": "All"}}]});
    let tenant = explain(json!(["Environment"]), "search/vectors", tenant);
    assert!(tenant.contains("TrustedOnly") && tenant.contains("Environment"), "{tenant}");
    let holmes = explain(json!(["HolmesGPT"]), "monitoring/grafana", json!({}));
    assert!(!holmes.contains("does not contain it"), "{holmes}");
}
