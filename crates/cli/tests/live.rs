//! `--live` with an API server that is played.
#![allow(clippy::expect_used, reason = "a failed `expect` fails the test")]

mod support;

use serde_json::{Value, json};
use support::{
    Run,
    server::{Answer, Server, forbidden, not_found},
};

const SERVICES: &str = r#"{"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": [
    {"metadata": {"name": "grafana", "namespace": "monitoring", "uid": "1",
                  "labels": {"app.kubernetes.io/name": "grafana"}},
     "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": {"app": "grafana"},
              "ports": [{"name": "service", "port": 80}]}},
    {"metadata": {"name": "traces", "namespace": "team", "uid": "2",
                  "annotations": {"kubernaut.io/toolset": "enabled", "kubernaut.io/toolset-type": "jaeger"}},
     "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.2", "selector": {"app": "traces"},
              "ports": [{"name": "query", "port": 16686}]}}]}"#;

const TOOLSET_CONFIGS: &str = r#"{"apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfigList",
    "metadata": {}, "items": [{"metadata": {"name": "default", "namespace": "holmes"}, "spec": {"sources": [
        {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring"]}},
        {"name": "teams", "trust": "Tenant", "namespaces": {"from": "Names", "names": ["team"]}}]}}]}"#;

/// What the API server answers to somebody who may not list EndpointSlices.
fn without_slices(path: &str) -> Answer {
    match path.split('?').next().unwrap_or_default() {
        "/api/v1/services" => ("200 OK", SERVICES.to_owned()),
        "/apis/toolset.kubernaut.io/v1alpha1/toolsetconfigs" => ("200 OK", TOOLSET_CONFIGS.to_owned()),
        "/apis/discovery.k8s.io/v1/endpointslices" => forbidden("endpointslices is forbidden"),
        _ => not_found(),
    }
}

/// As an API server with EndpointSlices, whose Pods are those of `pods` by namespace and name.
fn with_slices(path: &str, pods: impl Fn(&str) -> Answer) -> Answer {
    match path.split('?').next().unwrap_or_default() {
        "/apis/discovery.k8s.io/v1/endpointslices" => ("200 OK", slices().to_string()),
        "/api/v1/namespaces/holmes/configmaps/kubernaut-toolset-config" => not_found(),
        path => match path.strip_prefix("/api/v1/namespaces/").and_then(|path| path.split_once("/pods/")) {
            Some((namespace, name)) => pods(&format!("{namespace}/{name}")),
            None => without_slices(path),
        },
    }
}

/// A slice of the control plane with one Pod.
fn slice(namespace: &str, service: &str, uid: &str, pod: &str) -> Value {
    json!({
        "metadata": {
            "name": format!("slice-of-{pod}"), "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": service, "uid": uid}],
        },
        "addressType": "IPv4",
        "endpoints": [{
            "addresses": ["10.1.0.1"], "conditions": {"ready": true},
            "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod, "uid": format!("uid of {pod}")},
        }],
    })
}

/// The slices of the control plane for both Services, and one that belongs to another Service.
fn slices() -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList", "metadata": {},
        "items": [
            slice("monitoring", "grafana", "1", "grafana-7d4b9c8f6d-x2x4z"),
            slice("monitoring", "grafana", "another uid", "grafana-5c7f9-abcde"),
            slice("team", "traces", "2", "traces-5c7f9-abcde"),
        ],
    })
}

/// A Pod of the Grafana that is served below `/grafana`.
fn grafana_pod(labels: &Value) -> Answer {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "grafana-7d4b9c8f6d-x2x4z", "namespace": "monitoring", "uid": "uid of grafana-7d4b9c8f6d-x2x4z",
            "labels": labels,
        },
        "spec": {"containers": [{
            "name": "grafana", "image": "grafana/grafana:11.1.0", "ports": [{"containerPort": 80}],
            "env": [
                {"name": "GF_SERVER_ROOT_URL", "value": "https://example.com/grafana"},
                {"name": "GF_SERVER_SERVE_FROM_SUB_PATH", "value": "true"},
            ],
        }]},
    });
    ("200 OK", pod.to_string())
}

/// Runs the program with such an API server. Returns the paths that it asked for, too.
fn run_live(args: &[&str], answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> (Run, Vec<String>) {
    let server = Server::start(move |request| answer(&request.path));
    let run = server.run(args);
    (run, server.asked())
}

fn asked_for_pods(asked: &[String]) -> Vec<&str> {
    asked.iter().map(String::as_str).filter(|path| path.contains("/pods/")).collect()
}

#[test]
fn without_endpoint_slices_tenants_wait_as_in_the_operator_and_trusted_tools_have_unknown_health() {
    let (run, _) = run_live(&["render", "--live", "-o", "json"], without_slices);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let plan = run.json();
    let tools: Vec<_> = plan["tools"].as_array().expect("tools").iter().map(|tool| &tool["service"]).collect();
    assert_eq!(tools, ["grafana"], "{plan}");
    assert_eq!(plan["rejected"][0]["service"], "traces");
    assert_eq!(plan["rejected"][0]["reason"], "AwaitingEndpointSlices");
    for text in ["endpointslices is forbidden", "health", "AwaitingEndpointSlices"] {
        assert!(run.stderr.contains(text), "{text:?} is not in\n{}", run.stderr);
    }
}

#[test]
fn explain_says_that_endpoint_slices_cannot_be_read() {
    let (tenants, _) = run_live(&["explain", "traces", "-n", "team", "--live"], without_slices);
    assert!(tenants.stdout.contains("is not a tool: AwaitingEndpointSlices"), "{}", tenants.stdout);
    let (trusted, _) = run_live(&["explain", "grafana", "-n", "monitoring", "--live"], without_slices);
    assert!(trusted.stdout.contains("is a tool: Grafana"), "{}", trusted.stdout);
    assert!(trusted.stdout.contains("Unknown"), "{}", trusted.stdout);
    for run in [tenants, trusted] {
        assert!(run.stdout.contains("because EndpointSlices cannot be read"), "{}", run.stdout);
    }
}

#[test]
fn the_pod_behind_a_slice_of_the_control_plane_shows_the_path() {
    let pods = |name: &str| match name {
        "monitoring/grafana-7d4b9c8f6d-x2x4z" => grafana_pod(&json!({"app": "grafana"})),
        _ => not_found(),
    };
    let (run, asked) = run_live(&["render", "--live", "-o", "json"], move |path| with_slices(path, pods));
    let plan = run.json();
    assert_eq!(plan["tools"][0]["service"], "grafana", "{plan}");
    assert_eq!(plan["tools"][0]["path"], "/grafana", "{plan}");
    assert_eq!(
        asked_for_pods(&asked),
        ["/api/v1/namespaces/monitoring/pods/grafana-7d4b9c8f6d-x2x4z"],
        "no Pod of a slice of another Service, and no Pod of a Tenant"
    );
    let (run, _) = run_live(&["explain", "grafana", "-n", "monitoring"], move |path| with_slices(path, pods));
    assert!(run.stdout.contains("read         Pod grafana-7d4b9c8f6d-x2x4z (1 Pod serves)"), "{}", run.stdout);
}

#[test]
fn a_pod_that_the_service_does_not_select_is_ignored() {
    let pods = |_: &str| grafana_pod(&json!({"app": "other"}));
    let (run, _) = run_live(&["render", "--live", "-o", "json"], move |path| with_slices(path, pods));
    assert_eq!(run.json()["tools"][0]["path"], "");
}

#[test]
fn pods_that_the_user_may_not_read_are_a_note_and_no_failure() {
    let pods = |_: &str| forbidden("pods \"grafana\" is forbidden");
    let (run, _) = run_live(&["render", "--live", "-o", "json"], move |path| with_slices(path, pods));
    assert_eq!(run.json()["tools"][0]["service"], "grafana");
    for text in ["note: Pods in namespace monitoring cannot be read", "pods \"grafana\" is forbidden"] {
        assert!(run.stderr.contains(text), "{text:?} is not in\n{}", run.stderr);
    }
    let (run, _) = run_live(&["explain", "grafana", "-n", "monitoring"], move |path| with_slices(path, pods));
    let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in ["you are not allowed to read Pods in namespace monitoring", "could show"] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn no_pod_is_read_if_pods_are_disabled() {
    let disabled = |path: &str| match path.split('?').next() {
        Some("/apis/toolset.kubernaut.io/v1alpha1/toolsetconfigs") => {
            ("200 OK", TOOLSET_CONFIGS.replace("\"spec\": {", "\"spec\": {\"evidence\": {\"pods\": \"Disabled\"}, "))
        }
        _ => with_slices(path, |_| not_found()),
    };
    let (run, asked) = run_live(&["render", "--live", "-o", "json"], disabled);
    assert_eq!(run.json()["tools"][0]["service"], "grafana");
    assert_eq!(asked_for_pods(&asked), [""; 0]);
}

#[test]
fn at_most_500_pods_are_read() {
    let many = |path: &str| match path.split('?').next().unwrap_or_default() {
        "/api/v1/services" => {
            let service = |number: usize| {
                json!({
                    "metadata": {"name": format!("grafana-{number}"), "namespace": "monitoring", "uid": format!("u{number}")},
                    "spec": {"clusterIP": "10.0.0.1", "selector": {"app": "grafana"}, "ports": [{"port": 3000}]},
                })
            };
            let items: Vec<Value> = (0..502).map(service).collect();
            ("200 OK", json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": items}).to_string())
        }
        "/apis/discovery.k8s.io/v1/endpointslices" => {
            let items: Vec<Value> = (0..502)
                .map(|number| {
                    slice("monitoring", &format!("grafana-{number}"), &format!("u{number}"), &format!("p{number}"))
                })
                .collect();
            let list = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList", "metadata": {}, "items": items});
            ("200 OK", list.to_string())
        }
        _ => with_slices(path, |_| not_found()),
    };
    let (run, asked) = run_live(&["render", "--live", "-o", "json"], many);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(asked_for_pods(&asked).len(), 500);
    assert!(run.stderr.contains("only 500 Pods are read, and 2 are not"), "{}", run.stderr);
}
