//! How arguments and variables are read.

use detectors::pods::PodView;
use serde_json::{Value, json};

use crate::fixture::{container, found, service};

fn url(pod: &PodView) -> String {
    found(&service("prometheus", "web:9090"), pod)
}

fn prometheus(command: &[&str], args: &[&str]) -> PodView {
    container(json!({
        "name": "prometheus",
        "image": "prom/prometheus:v3.1.0",
        "command": command,
        "args": args,
        "ports": [{ "containerPort": 9090 }],
    }))
}

fn with_env(arg: &str, env: Value) -> PodView {
    let mut pod = prometheus(&[], &[arg]);
    pod.containers[0].env = serde_json::from_value(env).expect("variables");
    pod
}

#[test]
fn flags_are_read_from_command_and_arguments_in_all_spellings() {
    let expected = "Prometheus High http://:9090/prom None";
    assert_eq!(url(&prometheus(&["prometheus", "--web.route-prefix=/prom"], &[])), expected);
    assert_eq!(url(&prometheus(&["/bin/prometheus"], &["-web.route-prefix", "/prom"])), expected);
    assert_eq!(url(&prometheus(&[], &["--web.route-prefix", "prom/", "--web.enable-lifecycle"])), expected);
    assert_eq!(url(&prometheus(&[], &["--web.route-prefix=/a", "--web.route-prefix=/prom"])), expected);
}

#[test]
fn flags_in_a_shells_script_count_and_others_can_be_hidden() {
    let shell = ["/bin/sh", "-c"];
    let script = "sleep 5; exec /bin/prometheus --config.file=/etc/p.yml \\\n  --web.route-prefix=\"/prom\"";
    assert_eq!(url(&prometheus(&shell, &[script])), "Prometheus High http~://:9090/prom None~");
    assert_eq!(url(&prometheus(&shell, &["exec prometheus"])), "Prometheus High http~://:9090/~ None~");
    let wrapper = prometheus(&["/tmp/prometheus.sh", "start"], &[]);
    assert_eq!(url(&wrapper), "Prometheus High http~://:9090/~ None~");
    let variable = prometheus(&shell, &["exec prometheus --web.route-prefix=/$PREFIX"]);
    assert_eq!(url(&variable), "Prometheus High http~://:9090/~ None~");
}

#[test]
fn a_subcommand_in_a_script_is_the_word_behind_the_program() {
    let pod = container(json!({
        "name": "thanos",
        "image": "thanosio/thanos:v0.36.0",
        "command": ["sh", "-c", "echo wait && exec /bin/thanos store --http-address=:10902"],
        "ports": [{ "containerPort": 10902 }],
    }));
    assert_eq!(found(&service("thanos-query", "http:10902"), &pod), "- store");
}

#[test]
fn arguments_in_a_variable_can_hold_any_flag() {
    let pod = with_env("$(EXTRA)", json!([{ "name": "EXTRA", "value": "--web.route-prefix=/prom" }]));
    assert_eq!(url(&pod), "Prometheus High http~://:9090/~ None~");
}

#[test]
fn a_variable_in_a_flag_is_replaced_by_its_literal_value() {
    let arg = "--web.external-url=$(URL)";
    let literal = json!([
        { "name": "HOST", "value": "prometheus.example" },
        { "name": "URL", "value": "https://$(HOST)/prom" },
    ]);
    assert_eq!(url(&with_env(arg, literal)), "Prometheus High http://:9090/prom None");
    let field = json!([{ "name": "HOST", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } }]);
    let pod = with_env("--web.external-url=http://$(HOST):9090/prom", field);
    assert_eq!(url(&pod), "Prometheus High http://:9090/prom None");
}

#[test]
fn a_value_from_another_object_is_unknown() {
    for source in [
        json!({ "configMapKeyRef": { "name": "c", "key": "k" } }),
        json!({ "secretKeyRef": { "name": "s", "key": "k" } }),
    ] {
        let env = json!([{ "name": "URL", "valueFrom": source }]);
        assert_eq!(url(&with_env("--web.external-url=$(URL)", env.clone())), "Prometheus High http://:9090/~ None");
        assert_eq!(url(&with_env("--web.external-url=http://x/$(URL)", env)), "Prometheus High http://:9090/~ None");
    }
    let undefined = with_env("--web.external-url=$(URL)", json!([]));
    assert_eq!(url(&undefined), "Prometheus High http://:9090/~ None");
    // A later variable is not yet defined for an earlier one.
    let later = json!([{ "name": "URL", "value": "http://x/$(PATH)" }, { "name": "PATH", "value": "prom" }]);
    assert_eq!(url(&with_env("--web.external-url=$(URL)", later)), "Prometheus High http://:9090/~ None");
}

#[test]
fn variables_from_another_object_can_state_what_is_not_listed() {
    let pod = container(json!({
        "name": "grafana",
        "image": "grafana/grafana:11.4.0",
        "env": [{ "name": "GF_SERVER_ROOT_URL", "value": "http://x/grafana" }],
        "envFrom": [{ "configMapRef": { "name": "grafana" } }],
        "ports": [{ "containerPort": 3000 }],
    }));
    assert_eq!(found(&service("grafana", "http:3000"), &pod), "Grafana High http~://:3000/~ Basic~");
}

#[test]
fn variables_that_multiply_each_other_are_unknown_and_take_no_time() {
    let mut env = vec![json!({ "name": "V0", "value": "" })];
    for level in 1..64 {
        let value = format!("$(V{})", level - 1).repeat(200);
        env.push(json!({ "name": format!("V{level}"), "value": value }));
    }
    let pod = with_env("--web.external-url=http://x/$(V63)", Value::Array(env));
    assert_eq!(url(&pod), "Prometheus High http://:9090/~ None");
}

#[test]
fn a_path_that_is_no_plain_one_is_unknown() {
    for path in ["/a//b", "/../x", "/@evil.example", "/a%2fb", "/a b", "/{{ env.X }}", "/$(X)"] {
        let pod = prometheus(&[], &[&format!("--web.route-prefix={path}")]);
        assert_eq!(url(&pod), "Prometheus High http://:9090/~ None", "{path}");
    }
}

#[test]
fn what_the_api_writes_as_null_is_empty() {
    let pod: PodView = serde_json::from_value(json!({
        "containers": [{
            "name": "prometheus", "image": "prom/prometheus", "command": null, "args": null, "env": null, "envFrom": null,
            "ports": null, "volumeMounts": null, "readinessProbe": null,
        }],
        "initContainers": null,
        "nodeName": "x",
    }))
    .expect("a Pod");
    assert_eq!(url(&pod), "Prometheus High http://:9090/ None");
}
