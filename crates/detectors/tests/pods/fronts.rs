//! Which container a port reaches.

use detectors::{Product, pods::PodView};
use serde_json::json;

use crate::fixture::{container, found, found_as, labelled, pod, service};

#[test]
fn the_target_port_tells_two_products_of_one_pod_apart() {
    let pod = pod(json!([
        { "name": "prometheus", "image": "prom/prometheus:v3.1.0", "ports": [{ "name": "web", "containerPort": 9090 }] },
        { "name": "alertmanager", "image": "prom/alertmanager:v0.27.0", "ports": [{ "name": "mesh", "containerPort": 9093 }] },
    ]));
    assert_eq!(found(&service("prometheus", "web:9090"), &pod), "Prometheus High http://:9090/ None");
    // The name of the container's port says nothing.
    assert_eq!(found(&service("alertmanager", "http:80>mesh"), &pod), "Alertmanager High http://:80/ None");
    assert_eq!(found(&service("prometheus", "http:9093"), &pod), "Alertmanager High http://:9093/ None");
}

#[test]
fn an_exporter_beside_the_product_is_not_the_product() {
    let pod = pod(json!([
        { "name": "exporter", "image": "prom/elasticsearch-exporter:1.8", "ports": [{ "name": "metrics", "containerPort": 9114 }] },
        { "name": "es", "image": "elasticsearch:7.17.3", "ports": [{ "name": "db", "containerPort": 9200 }] },
    ]));
    assert_eq!(found(&service("elasticsearch", "db:9200>db"), &pod), "Elasticsearch High http://:9200/ None");
    assert_eq!(found(&service("elasticsearch", "http:9114>metrics"), &pod), "- another program, an exporter");
}

#[test]
fn a_port_that_nothing_declares_reaches_the_container_that_listens_there() {
    let pod = pod(json!([
        { "name": "reloader", "image": "jimmidyson/configmap-reload:v0.8.0" },
        { "name": "server", "image": "prom/prometheus:v3.1.0", "args": ["--web.listen-address=:7070"] },
        { "name": "zipkin", "image": "openzipkin/zipkin" },
    ]));
    assert_eq!(found(&service("prometheus", "web:9090>7070"), &pod), "Prometheus High http://:9090/ None");
    assert_eq!(found(&service("zipkin", "http:9411"), &pod), "Zipkin High http://:9411/ None");
    // Nothing listens there, as far as anybody can see.
    let unknown = found_as(Product::Prometheus, &service("prometheus", "web:9090>1234"), &pod);
    assert_eq!(unknown.split(' ').nth(1), Some("Medium"), "as the Service says: {unknown}");
}

#[test]
fn a_product_that_listens_on_the_loopback_address_is_reached_by_a_proxy_only() {
    let pod = pod(json!([
        { "name": "prometheus", "image": "prom/prometheus:v3.1.0", "args": ["--web.listen-address=127.0.0.1:9090"] },
        {
            "name": "proxy",
            "image": "quay.io/brancz/kube-rbac-proxy:v0.18.1",
            "args": ["--secure-listen-address=0.0.0.0:9090", "--upstream=http://127.0.0.1:9090/"],
            "ports": [{ "name": "web", "containerPort": 9090 }],
        },
    ]));
    assert_eq!(found(&service("prometheus", "web:9090"), &pod), "Prometheus High https://:9090/ Bearer");
}

#[test]
fn a_native_sidecar_is_a_container_and_an_init_container_is_not() {
    let product = json!({ "name": "app", "image": "registry.example/shop:1", "ports": [{ "name": "http", "containerPort": 8080 }] });
    let init = |policy: serde_json::Value| -> PodView {
        serde_json::from_value(json!({
            "containers": [product],
            "initContainers": [{
                "name": "grafana",
                "image": "grafana/grafana:11.4.0",
                "ports": [{ "name": "ui", "containerPort": 3000 }],
                "restartPolicy": policy,
            }],
        }))
        .expect("a Pod")
    };
    let service = service("grafana", "ui:80>ui");
    assert_eq!(found(&service, &init(json!("Always"))), "Grafana High http://:80/ Basic");
    let without = found(&service, &init(json!(null)));
    assert!(!without.contains("High"), "an init container identifies nothing: {without}");
}

#[test]
fn a_service_of_receiving_ports_is_no_endpoint() {
    let pod = container(json!({
        "name": "jaeger",
        "image": "jaegertracing/all-in-one:1.60",
        "ports": [{ "containerPort": 16686 }, { "containerPort": 9411 }, { "containerPort": 14268 }],
    }));
    assert_eq!(found(&service("zipkin", "http:9411"), &pod), "- another program, Jaeger");
    let collector = service("jaeger", "grpc:14250 http:14268");
    assert!(found(&collector, &pod).starts_with("- "), "{}", found(&collector, &pod));
    assert_eq!(found(&service("jaeger", "http:14268 ui:16686"), &pod), "Jaeger High http://:16686/ None");
}

#[test]
fn the_port_is_the_one_on_which_the_product_listens_under_any_name() {
    let pod = container(json!({
        "name": "thanos",
        "image": "thanosio/thanos:v0.36.0",
        "args": ["query"],
        "ports": [{ "name": "metrics", "containerPort": 10902 }, { "name": "grpc", "containerPort": 10901 }],
    }));
    let service = service("thanos-query", "grpc:10901 metrics:9999>metrics");
    assert_eq!(found(&service, &pod), "Thanos High http://:9999/ None");
}

#[test]
fn only_the_port_of_the_one_product_counts_in_a_pod_of_a_demo() {
    let pod = pod(json!([
        { "name": "shop", "image": "registry.example/shop:1", "ports": [{ "name": "http", "containerPort": 8080 }] },
        { "name": "jaeger", "image": "jaegertracing/all-in-one:1.60", "ports": [{ "name": "ui", "containerPort": 16686 }] },
    ]));
    assert_eq!(found(&service("jaeger", "http:8080 ui:16686"), &pod), "Jaeger High http://:16686/ None");
}

#[test]
fn what_the_service_names_comes_before_what_only_its_pods_run() {
    let pod = pod(json!([
        { "name": "main", "image": "registry.example/metrics:1", "ports": [{ "containerPort": 9090 }] },
        { "name": "alertmanager", "image": "prom/alertmanager:v0.27.0", "ports": [{ "containerPort": 9093 }] },
    ]));
    let found = found(&service("prometheus", "web:9090 alerts:9093"), &pod);
    assert!(found.starts_with("Prometheus Medium http~://:9090/~"), "{found}");
}

#[test]
fn a_gossip_port_is_no_endpoint() {
    let pod = container(json!({
        "name": "loki",
        "image": "grafana/loki:3.3.0",
        "args": ["-config.file=/etc/loki/config.yaml"],
        "ports": [{ "name": "http-metrics", "containerPort": 3100 }, { "name": "memberlist", "containerPort": 7946 }],
    }));
    let service = labelled("loki-memberlist", "@name=loki", "http:7946>memberlist");
    assert_eq!(found(&service, &pod), "- a port for another protocol");
}
