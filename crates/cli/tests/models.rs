//! Output for programs: JSON and YAML of the same data.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` in a helper function fails the test")]

mod support;

use serde_json::Value;
use support::{fixture, run, run_with_input};

/// Runs a command with both formats. They must have the same data.
fn model(args: &[&str]) -> Value {
    let json = run(&[args, &["-o", "json"]].concat()).json();
    let yaml = run(&[args, &["-o", "yaml"]].concat());
    assert_eq!(yaml.code, 0, "{}", yaml.stderr);
    let from_yaml: Value = serde_saphyr::from_str(&yaml.stdout).unwrap();
    assert_eq!(from_yaml, json);
    json
}

fn explanation(service: &str) -> Value {
    model(&["explain", service, "-f", &fixture("stack.yaml"), "-f", &fixture("config.yaml")])
}

#[test]
fn an_explanation_of_a_tool_has_its_endpoint_and_the_evidence() {
    let one = explanation("monitoring/kube-prometheus-stack-prometheus");
    assert_eq!(one["conclusion"]["result"], "Tool");
    assert_eq!(one["conclusion"]["reason"], "Selected");
    assert_eq!(one["conclusion"]["type"], "Prometheus");
    assert_eq!(one["conclusion"]["tool"]["confidence"], "High");
    assert!(one["conclusion"]["tool"]["assumptions"].as_array().unwrap().len() > 1, "{one}");
    let detector = &one["detectors"]["results"][0];
    assert_eq!((&detector["type"], &detector["finding"]), (&"Prometheus".into(), &"Endpoint".into()));
    assert_eq!(detector["evidence"][1]["kind"], "LegacyLabel", "{detector}");
    assert_eq!(detector["evidence"][1]["supports"], true);
    assert_eq!(one["candidates"]["candidates"][0]["isThis"], true);
    assert_eq!(one["candidates"]["candidates"][1]["reason"], "HeadlessTwin");
    assert_eq!(one["sources"]["sources"][0]["selects"], true);
    assert_eq!(one["spec"]["ports"][0]["port"], 9090);
}

#[test]
fn an_explanation_has_the_lines_to_copy() {
    let one = explanation("shop/checkout");
    assert_eq!(one["conclusion"]["result"], "NotSelected");
    assert_eq!(one["changes"][0]["copy"], "spec.sources[name=platform].namespaces.names: [monitoring, shop]");
    let unknown = model(&["explain", "shop/checkout", "-f", &fixture("stack.yaml")]);
    assert_eq!(unknown["conclusion"]["result"], "NotRecognised");
    assert_eq!(unknown["conclusion"]["reason"], Value::Null);
    assert!(unknown["changes"][0]["copy"].as_str().unwrap().starts_with("kubectl annotate service checkout -n shop "));
}

#[test]
fn render_prints_the_same_data_as_json_and_as_yaml() {
    let plan = model(&["render", "-f", &fixture("stack.yaml"), "-f", &fixture("config.yaml")]);
    assert!(!plan["tools"].as_array().unwrap().is_empty());
}

#[test]
fn the_advice_for_a_service_that_seems_to_receive_data_starts_with_usually_nothing() {
    let receiver = "\
apiVersion: v1
kind: Service
metadata: {name: tempo-distributor, namespace: tracing}
spec: {selector: {app: tempo-distributor}, clusterIP: 10.0.0.1, ports: [{name: otlp, port: 4317}]}
";
    let one = run_with_input(&["explain", "tracing/tempo-distributor", "-f", "-", "-o", "json"], receiver).json();
    let advice = one["changes"][0]["text"].as_str().unwrap();
    assert!(advice.starts_with("Usually nothing, because `distributor`"), "{one}");
}

#[test]
fn texts_of_the_cluster_are_exact_in_json() {
    let input = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b, labels: {note: \"x\\e[31m\"}}\nspec: {ports: [{port: 80}]}\n";
    let one = run_with_input(&["explain", "b/a", "-f", "-", "-o", "json"], input).json();
    assert_eq!(one["spec"]["labels"]["note"], "x\u{1b}[31m");
}

#[test]
fn validate_prints_the_problems_of_each_toolset_config() {
    let fine = model(&["validate", "-f", &fixture("config.yaml")]);
    assert_eq!(fine["items"][0]["problems"], serde_json::json!([]));
    let bad = run_with_input(
        &["validate", "-f", "-", "-o", "json"],
        "apiVersion: toolset.kubernaut.io/v1alpha1\nkind: ToolsetConfig\nmetadata: {name: a}\nspec: {}\n",
    );
    assert_eq!(bad.code, 1);
    let bad: Value = serde_json::from_str(&bad.stdout).unwrap();
    assert_eq!(bad["items"][0]["object"], "ToolsetConfig a");
    assert!(bad["items"][0]["problems"][0].as_str().unwrap().contains("spec.sources"), "{bad}");
}
