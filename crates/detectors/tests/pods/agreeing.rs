//! The Pods of several controllers behind one Service.

use detectors::pods::{PodFacts, PodView, read};
use serde_json::json;

use crate::fixture::{container, found_by, service};

fn thanos(role: &str) -> PodView {
    container(json!({
        "name": role,
        "image": "thanosio/thanos:v0.36.0",
        "args": [role, "--http-address=:10902"],
        "ports": [{ "name": "http", "containerPort": 10902 }],
    }))
}

fn prometheus(prefix: &str) -> PodView {
    container(json!({
        "name": "prometheus",
        "image": "prom/prometheus:v3.1.0",
        "args": [format!("--web.route-prefix={prefix}")],
        "ports": [{ "containerPort": 9090 }],
    }))
}

#[test]
fn a_role_counts_only_if_all_agree() {
    let service = service("thanos-query", "http:10902");
    let all = ["query", "store"].map(|role| read(&service, &thanos(role)));
    let (facts, differ) = PodFacts::agreed(&all);
    assert!(differ);
    let alone = found_by(&service, &PodFacts::default());
    assert_eq!(found_by(&service, &facts).split(' ').nth(1), alone.split(' ').nth(1), "as sure as the Service says");
    let all = ["query", "query"].map(|role| read(&service, &thanos(role)));
    let (facts, differ) = PodFacts::agreed(&all);
    assert!(!differ);
    assert_eq!(found_by(&service, &facts), "Thanos High http://:10902/ None");
}

#[test]
fn nodes_of_several_roles_that_all_answer_are_an_endpoint() {
    let node = |roles: &str| {
        container(json!({
            "name": "es",
            "image": "elasticsearch:7.17.3",
            "env": [{ "name": "node.roles", "value": roles }],
            "ports": [{ "containerPort": 9200 }],
        }))
    };
    let service = service("elasticsearch", "http:9200");
    let all = ["master", "data"].map(|roles| read(&service, &node(roles)));
    let (facts, differ) = PodFacts::agreed(&all);
    assert!(!differ);
    assert_eq!(found_by(&service, &facts), "Elasticsearch High http://:9200/ None");
}

#[test]
fn a_field_in_which_they_differ_is_open_and_the_others_stand() {
    let service = service("prometheus", "web:9090");
    let all = ["/a", "/b"].map(|prefix| read(&service, &prometheus(prefix)));
    let (facts, differ) = PodFacts::agreed(&all);
    assert!(differ);
    assert_eq!(found_by(&service, &facts), "Prometheus High http://:9090/~ None");
}

#[test]
fn different_programs_leave_the_port_to_the_service() {
    let service = service("prometheus", "web:9090");
    let grafana = container(json!({ "name": "x", "image": "grafana/grafana", "ports": [{ "containerPort": 9090 }] }));
    let all = [read(&service, &prometheus("/a")), read(&service, &grafana)];
    let (facts, differ) = PodFacts::agreed(&all);
    assert!(differ);
    assert_eq!(facts, PodFacts::default());
}

#[test]
fn one_pod_agrees_with_itself_and_none_says_nothing() {
    let service = service("prometheus", "web:9090");
    let facts = read(&service, &prometheus("/a"));
    assert_eq!(PodFacts::agreed(std::slice::from_ref(&facts)), (facts, false));
    assert_eq!(PodFacts::agreed(&[]), (PodFacts::default(), false));
}

#[test]
fn a_pod_in_which_nothing_listens_on_the_port_says_nothing_about_it() {
    let service = service("prometheus", "web:9090");
    let exporter =
        || container(json!({ "name": "x", "image": "prom/node-exporter", "ports": [{ "containerPort": 9100 }] }));
    let expected = read(&service, &prometheus("/a"));
    for all in [[prometheus("/a"), exporter()], [exporter(), prometheus("/a")]] {
        let all = all.map(|pod| read(&service, &pod));
        assert_eq!(PodFacts::agreed(&all), (expected.clone(), false));
    }
}
