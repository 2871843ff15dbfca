//! What people see of the facts of Pods.

use detectors::{
    EvidenceKind, Explanation, Product,
    pods::{PodView, explain_with_pods, read},
};
use serde_json::json;

use crate::fixture::{container, findings, service};

fn grafana() -> PodView {
    container(json!({
        "name": "grafana",
        "image": "10.0.0.7:5000/mirror/grafana:11.4.0",
        "env": [
            { "name": "GF_SERVER_ROOT_URL", "value": "https://user-word@example.com/grafana" },
            { "name": "GF_SERVER_SERVE_FROM_SUB_PATH", "value": "true" },
            { "name": "GF_SECURITY_ADMIN_PASSWORD", "value": "secret-word" },
        ],
        "ports": [{ "containerPort": 3000 }],
        "readinessProbe": { "httpGet": { "path": "/api/health", "port": 3000 } },
    }))
}

fn explained(product: Product, service: &detectors::ServiceView, pod: &PodView) -> Explanation {
    let all = explain_with_pods(service, &read(service, pod));
    all.into_iter().find(|explanation| explanation.product == product).expect("every product is explained")
}

fn lines(explanation: &Explanation) -> Vec<String> {
    let sign = |supports: bool| if supports { '+' } else { '-' };
    explanation.evidence.iter().map(|one| format!("{} {}", sign(one.supports), one.detail)).collect()
}

#[test]
fn the_evidence_of_a_pod_names_what_it_changed() {
    let service = service("grafana", "http:3000");
    let explanation = explained(Product::Grafana, &service, &grafana());
    let lines = lines(&explanation);
    for expected in [
        "+ image grafana of container grafana, port 3000",
        "+ GF_SERVER_SERVE_FROM_SUB_PATH and GF_SERVER_ROOT_URL set the path /grafana",
        "+ a probe of port 3000 shows the scheme http",
        "+ the authentication (user name and password) is the default, and no setting changes it",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} is not in {lines:#?}");
    }
    let kinds: Vec<EvidenceKind> = explanation.evidence.iter().map(|one| one.kind).collect();
    for kind in [EvidenceKind::Image, EvidenceKind::Environment, EvidenceKind::Probe] {
        assert!(kinds.contains(&kind), "{kind:?}");
    }
}

#[test]
fn the_finding_of_the_explanation_is_the_one_of_the_rules() {
    let service = service("grafana", "http:3000");
    let finding = findings(&service, &grafana()).into_iter().next();
    assert_eq!(explained(Product::Grafana, &service, &grafana()).finding, finding);
    let finding = finding.expect("a finding");
    assert_eq!(finding.decided_by, "image grafana of container grafana");
    assert_eq!(finding.hint, None);
}

#[test]
fn no_value_of_a_variable_is_shown() {
    let service = service("grafana", "http:3000");
    let facts = read(&service, &grafana());
    let explanations = explain_with_pods(&service, &facts);
    let text = format!("{facts:?} {explanations:?}");
    for word in ["secret-word", "user-word", "example.com", "10.0.0.7"] {
        assert!(!text.contains(word), "{word}");
    }
}

#[test]
fn another_program_behind_the_port_is_said() {
    let service = service("loki", "http:3100");
    let pod = container(
        json!({ "name": "t", "image": "grafana/tempo:1.5.0", "args": ["-config.file=/x"], "ports": [{ "containerPort": 3100 }] }),
    );
    let explanation = explained(Product::Loki, &service, &pod);
    assert_eq!(explanation.finding, None);
    assert!(lines(&explanation).iter().any(|line| line == "- port 3100 leads to Tempo: image tempo of container t"));
    assert!(explanation.hint.contains("do not run Loki"), "{}", explanation.hint);
}

#[test]
fn without_facts_it_is_the_explanation_of_the_service() {
    let service = service("grafana", "http:3000");
    let with = explain_with_pods(&service, &detectors::pods::PodFacts::default());
    assert_eq!(format!("{with:?}"), format!("{:?}", detectors::explain(&service)));
}

#[test]
fn another_port_of_the_product_is_one_line() {
    let service = service("thanos-query", "grpc:10901 http:10902");
    let pod = container(json!({
        "name": "query",
        "image": "thanosio/thanos:v0.36.0",
        "args": ["query"],
        "ports": [{ "containerPort": 10901 }, { "containerPort": 10902 }],
    }));
    let lines = lines(&explained(Product::Thanos, &service, &pod));
    let of_grpc: Vec<&String> = lines.iter().filter(|line| line.contains("10901")).collect();
    assert_eq!(of_grpc, ["- port 10901 uses another protocol: image thanos of container query"]);
}

#[test]
fn a_program_that_no_table_knows_is_said_to_be_unknown() {
    let service = service("grafana", "http:3000");
    let with = |image: &str| {
        let pod = container(json!({ "name": "web", "image": image, "ports": [{ "containerPort": 3000 }] }));
        lines(&explained(Product::Grafana, &service, &pod))
    };
    let generic = with("10.0.0.7:5000/app:1");
    assert!(generic.contains(&"- behind port 3000, container web runs an unknown program".to_owned()));
    let other = with("10.0.0.7:5000/storefront:1");
    let expected = "- port 3000 leads to image storefront of container web, which is not known to be Grafana";
    assert!(other.contains(&expected.to_owned()), "{other:#?}");
}
