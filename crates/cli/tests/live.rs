//! `--live` with an API server that refuses some of the lists.
#![allow(clippy::expect_used, reason = "a failed `expect` fails the test")]

mod support;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
};

use support::{Run, program};

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
fn answer(path: &str) -> (&'static str, String) {
    let status = |code: u16, reason: &str, message: &str| {
        format!(
            r#"{{"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": {code}, "reason": "{reason}", "message": "{message}"}}"#
        )
    };
    match path.split('?').next().unwrap_or_default() {
        "/api/v1/services" => ("200 OK", SERVICES.to_owned()),
        "/apis/toolset.kubernaut.io/v1alpha1/toolsetconfigs" => ("200 OK", TOOLSET_CONFIGS.to_owned()),
        "/apis/discovery.k8s.io/v1/endpointslices" => {
            ("403 Forbidden", status(403, "Forbidden", "endpointslices is forbidden"))
        }
        _ => ("404 Not Found", status(404, "NotFound", "not found")),
    }
}

/// Runs the program with such an API server.
fn run_live(args: &[&str]) -> Run {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
            let Some(Ok(request)) = lines.next() else { continue };
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            let (status, body) = answer(&path);
            let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close");
            // The program may have ended.
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = folder.path().join("kubeconfig");
    let content = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, users: [{{name: u, user: {{}}}}], clusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}], contexts: [{{name: c, context: {{cluster: c, user: u}}}}]}}"
    );
    std::fs::write(&kubeconfig, content).expect("the folder is writable");
    let output = program().args(args).env("KUBECONFIG", &kubeconfig).output().expect("the program ends");
    Run {
        code: output.status.code().expect("an exit code"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

#[test]
fn without_endpoint_slices_tenants_wait_as_in_the_operator_and_trusted_tools_have_unknown_health() {
    let run = run_live(&["render", "--live", "-o", "json"]);
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
    let tenants = run_live(&["explain", "traces", "-n", "team", "--live"]);
    assert!(tenants.stdout.contains("is not a tool: AwaitingEndpointSlices"), "{}", tenants.stdout);
    let trusted = run_live(&["explain", "grafana", "-n", "monitoring", "--live"]);
    assert!(trusted.stdout.contains("is a tool: Grafana"), "{}", trusted.stdout);
    assert!(trusted.stdout.contains("Unknown"), "{}", trusted.stdout);
    for run in [tenants, trusted] {
        assert!(run.stdout.contains("because EndpointSlices cannot be read"), "{}", run.stdout);
    }
}
