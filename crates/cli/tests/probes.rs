//! `explain` of Services that the operator probes.
#![allow(clippy::expect_used, reason = "a failed `expect` fails the test")]

mod support;

use serde_json::{Value, json};
use support::{
    cluster::{Cluster, config, service, slice},
    fixture, run,
};

const ASKED: &str = "GET /api/v1/query?query=1 (https): confirmed";

/// A ToolsetConfig that probes, with this status.
fn probing(health: &str, status: &Value) -> Value {
    let mut config = config("holmes", "default", "monitoring");
    config["spec"]["evidence"] = json!({"identity": "Probe"});
    config["spec"]["health"] = json!({"mode": health});
    config["status"] = json!({"observedGeneration": 1, "conditions": [], "tools": [], "rejected": []});
    for (key, value) in status.as_object().expect("an object") {
        config["status"][key] = value.clone();
    }
    config
}

fn tool(more: &Value) -> Value {
    let mut tool = json!({
        "name": "p", "type": "Prometheus", "namespace": "monitoring", "service": "p", "trust": "Trusted",
        "endpoint": "https://p.monitoring.svc.cluster.local:9090/prom", "confidence": "High", "source": "platform",
        "health": "Healthy", "reason": "Selected", "identity": ASKED, "fromIdentity": ["Scheme", "Path"],
    });
    for (key, value) in more.as_object().expect("an object") {
        tool[key] = value.clone();
    }
    tool
}

fn cluster(config: Value) -> Cluster {
    Cluster::new([service("monitoring", "p", "prometheus", 9090), slice("monitoring", "p"), config])
}

#[test]
fn the_identity_probe_of_the_operator_is_shown_and_its_result_counts() {
    let probing = || cluster(probing("Endpoints", &json!({"tools": [tool(&json!({}))]})));
    probing().run(&["explain", "monitoring/p"]).says(&[
        "monitoring/p is a tool: Prometheus",
        "https://p.monitoring.svc.cluster.local:9090/prom",
        "identity     GET /api/v1/query?query=1 (https): confirmed",
        "shows        Scheme, Path",
        "This command sends no probes.",
        "agrees       yes",
    ]);
    let json = probing().run(&["explain", "monitoring/p", "-o", "json"]).json();
    assert_eq!(json["probes"]["identity"], ASKED, "{json}");
    assert_eq!(json["probes"]["fromIdentity"], json!(["Scheme", "Path"]));
}

#[test]
fn a_probe_that_rejected_a_service_is_shown_with_its_reason() {
    let message = "This Service looks like Prometheus, but its response to an identity probe is that of Pushgateway \
                   (GET /: the response of Pushgateway).";
    let rejected = json!({
        "namespace": "monitoring", "service": "p", "type": "Prometheus", "reason": "NotTheProduct", "message": message,
    });
    cluster(probing("Endpoints", &json!({"rejected": [rejected]}))).run(&["explain", "monitoring/p"]).says(&[
        "monitoring/p is not a tool: NotTheProduct",
        "problem      NotTheProduct: This Service looks like Prometheus",
        "agrees       yes",
    ]);
}

#[test]
fn the_reason_why_a_service_must_not_be_probed_is_shown() {
    let why = "not sent, because its Pod uses the host network";
    let listed = tool(&json!({"identity": why, "fromIdentity": []}));
    cluster(probing("Endpoints", &json!({"tools": [listed]})))
        .run(&["explain", "monitoring/p"])
        .says(&["identity     not sent, because its Pod uses the host network"]);

    let rejected = json!({
        "namespace": "monitoring", "service": "p", "type": "Prometheus", "reason": "NotEnoughEvidence",
        "message": format!("This Service looks like Prometheus. The identity probe was {why}."),
    });
    cluster(probing("Endpoints", &json!({"rejected": [rejected]}))).run(&["explain", "monitoring/p"]).says(&[
        "problem      NotEnoughEvidence: This Service looks like Prometheus. The identity probe was not sent, because",
    ]);
}

#[test]
fn a_failed_health_probe_is_shown_with_its_meaning() {
    let probed = tool(&json!({"reason": "ProbeSuspect", "probe": "GET /-/ready on port 9090 (http): no connection"}));
    cluster(probing("Probe", &json!({"tools": [probed]}))).run(&["explain", "monitoring/p"]).says(&[
        "health       GET /-/ready on port 9090 (http): no connection",
        "problem      ProbeSuspect: The operator can reach neither this Service",
        "The health above comes from the EndpointSlices",
    ]);
}

#[test]
fn text_of_a_status_cannot_write_to_the_terminal() {
    let probed = tool(&json!({"identity": "GET /\u{1b}[31m\u{202e}x"}));
    let run = cluster(probing("Endpoints", &json!({"tools": [probed]}))).run(&["explain", "monitoring/p"]);
    assert!(!run.stdout.contains('\u{1b}') && !run.stdout.contains('\u{202e}'), "{}", run.stdout);
}

#[test]
fn a_service_without_a_response_and_a_file_say_so() {
    cluster(probing("Endpoints", &json!({})))
        .run(&["explain", "monitoring/p"])
        .says(&["The status reports no response of this Service."]);
    let run =
        run(&["explain", "vmsingle", "-n", "monitoring", "-f", &fixture("stack.yaml"), "-f", &fixture("config.yaml")]);
    assert!(!run.stdout.contains("Probes"), "{}", run.stdout);
}
