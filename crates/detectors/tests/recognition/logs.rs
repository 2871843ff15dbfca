//! Loki, VictoriaLogs.

use detectors::{Confidence, Outcome, Product};

use crate::fixture::service;

#[test]
fn lokis_gateway_is_the_endpoint_and_the_exporter_beside_it_is_not() {
    let labels = "@name=loki @component=gateway @instance=loki";
    for port in ["http:80>http", "http-metrics:80>http-metrics"] {
        let gateway = service("loki-gateway").both(labels).ports(port);
        assert_eq!(gateway.chosen_url(), "Loki http://:80", "{port}");
    }
    let exporter = service("loki-gateway-exporter").both(labels).ports("http-metrics:4040>http-metrics");
    assert_eq!(exporter.chosen_url(), "-");
    let operator = service("logging-gateway-http")
        .both("@name=lokistack @component=lokistack-gateway @instance=logging")
        .annotations("service.beta.openshift.io/serving-cert-secret-name=logging-gateway-http")
        .ports("public:8080 metrics:8081");
    assert_eq!(operator.chosen_url(), "Loki https://:8080");
}

#[test]
fn a_loki_of_one_binary_states_no_role() {
    let modern = service("loki")
        .labels("@name=loki @instance=loki")
        .selector("@name=loki @instance=loki @component=single-binary")
        .ports("http-metrics:3100>http-metrics grpc:9095>grpc");
    assert_eq!(modern.chosen_url(), "Loki http://:3100");
    let legacy = service("logs-loki")
        .labels("app=loki chart=loki-2.16.0 release=logs heritage=Helm")
        .selector("app=loki release=logs")
        .ports("http-metrics:3100>http-metrics");
    assert_eq!(legacy.chosen_url(), "Loki http://:3100");
    assert_eq!(legacy.confidence(), Some(Confidence::High));
}

#[test]
fn lokis_write_path_and_inner_parts_answer_nothing() {
    for part in [
        "write",
        "backend",
        "distributor",
        "ingester",
        "querier",
        "compactor",
        "ruler",
        "index-gateway",
        "query-scheduler",
        "canary",
        "memcached-chunks-cache",
        "bloom-gateway",
    ] {
        let service = service(&format!("loki-{part}"))
            .both(&format!("@name=loki @component={part}"))
            .ports("http-metrics:3100>http-metrics grpc:9095>grpc");
        assert_eq!(service.chosen_url(), "-", "{part}");
        let finding = service.finding(Product::Loki).expect("recognised");
        assert!(matches!(finding.outcome, Outcome::NotAnEndpoint { .. }), "{part}");
    }
}

#[test]
fn lokis_gossip_is_not_taken_for_its_http_port() {
    let legacy = service("logs-memberlist")
        .both("app=loki chart=loki-2.16.0 release=logs")
        .ports("http:7946>memberlist-port")
        .headless();
    assert_eq!(legacy.chosen_url(), "-");
    let modern = service("loki-memberlist").labels("@name=loki").ports("tcp:7946>http-memberlist").headless();
    assert_eq!(modern.chosen_url(), "-");
}

#[test]
fn an_application_that_happens_to_be_called_loki_is_not_taken_on_another_port() {
    for (labels, port) in [
        ("app=loki", "http:80>8080"),
        ("app=loki", "http:80>http"),
        ("app=loki", "-:8080"),
        ("app=loki", "http:3000"),
        ("@name=loki @instance=chat helm.sh/chart=loki-0.1.0", "http:80>http"),
        ("app=loki chart=loki-0.1.0 heritage=Helm", "http:8080"),
    ] {
        let chat = service("loki").both(labels).ports(port);
        assert_eq!(chat.chosen_url(), "-", "{labels} {port}");
    }
}

#[test]
fn victorialogs_is_found_on_its_nodes_and_on_vlselect() {
    for (labels, port) in [
        ("@name=victoria-logs-single @component=server", "http:9428>http"),
        ("@name=vlsingle @component=monitoring managed-by=vm-operator", "http:9428"),
        ("@name=vlogs @component=monitoring managed-by=vm-operator", "http:9428"),
        ("@name=victoria-logs-cluster @component=vlselect", "http:9471>http"),
        ("@name=vlselect @component=monitoring managed-by=vm-operator", "http:9471"),
        ("@name=victorialogs", "http:9428"),
    ] {
        let url = service("logs").both(labels).ports(port).chosen_url();
        assert!(url.starts_with("VictoriaLogs http://:9"), "{labels}: {url}");
    }
    for (part, port) in [("vlinsert", 9481), ("vlstorage", 9491), ("vmauth", 8427)] {
        let service = service("logs")
            .both(&format!("@name=victoria-logs-cluster @component={part}"))
            .ports(&format!("http:{port}"));
        assert_eq!(service.chosen_url(), "-", "{part}");
    }
}
