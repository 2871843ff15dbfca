//! Services that have a product's name, port or label and answer none of its queries.

use detectors::{Outcome, recognise};

use crate::fixture::service;

#[test]
fn exporters_adapters_and_gateways_are_not_the_system_they_serve() {
    for (name, port) in [
        ("prometheus-node-exporter", "metrics:9100"),
        ("prometheus-blackbox-exporter", "http:9115"),
        ("prometheus-elasticsearch-exporter", "http:9108"),
        ("elasticsearch-exporter", "http:9200"),
        ("prometheus-adapter", "https:443>6443"),
        ("prometheus-pushgateway", "http:9091"),
        ("prometheus-pushgateway", "http:9090"),
        ("prometheus-operator", "http:9090"),
        ("prometheus-proxy", "http:9090"),
        ("prometheus-config-reloader", "http:9090"),
        ("redis-exporter-prometheus", "http:9090"),
        ("grafana-image-renderer", "http:3000"),
        ("grafana-agent", "http:3000"),
        ("grafana-mcp", "http:3000"),
        ("mcp-grafana", "http:3000"),
        ("grafana-operator", "http:3000"),
        ("grafana-config-sync", "http:3000"),
        ("alertmanager-webhook", "http:9093"),
        ("alertmanager-discord-bot", "http:9093"),
        ("jaeger-agent", "http:16686"),
        ("jaeger-collector", "http:16686"),
        ("jaeger-collector", "jaeger:16686"),
        ("loki-canary", "loki:3100"),
        ("kibana-proxy", "kibana:5601"),
        ("jaeger-operator", "http:16686"),
        ("elasticsearch-curator", "http:9200"),
        ("elasticsearch-backup", "http:9200"),
        ("kibana-proxy", "http:5601"),
        ("loki-canary", "http-metrics:3100"),
        ("loki-memberlist", "http:3100"),
        ("tempo-memcached", "http:3200"),
        ("thanos-sidecar", "http:10902"),
        ("thanos-store", "http:10902"),
        ("thanos-ruler", "http:10902"),
        ("victoria-metrics-operator", "http:8428"),
        ("victoria-metrics-agent", "http:8428"),
        ("jaeger-cassandra", "cql:9042"),
        ("prometheus-example-app", "-:80>web"),
    ] {
        for labels in [format!("app={name}"), format!("@name={name}"), "tier=ops".to_owned()] {
            let service = service(name).both(&labels).ports(port);
            assert_eq!(service.chosen_url(), "-", "{name} with {labels}");
        }
    }
}

#[test]
fn a_port_alone_never_decides() {
    for (name, port) in [
        ("payment-api", "web:9090"),
        ("analytics", "http-query:16686"),
        ("minio-console", "http:9090"),
        ("shop", "http:3000"),
        ("kafka", "plaintext:9092 controller:9093"),
        ("rollouts-dashboard", "dashboard:3100"),
        ("monitoring-service", "-:80>3000"),
        ("ad", "prometheus:9465"),
        ("worker", "prometheus:9090"),
        ("worker", "metrics:9090"),
        ("kiali", "http:20001 http-metrics:9090"),
    ] {
        let service = service(name).both(&format!("app={name}")).ports(port);
        assert_eq!(service.chosen_url(), "-", "{name}");
    }
}

#[test]
fn a_generic_port_is_not_even_a_candidate() {
    for port in ["web:9090", "http:3000", "http:80", "http:8080"] {
        assert!(recognise(service("payment-api").both("app=payment-api").ports(port).view()).is_empty(), "{port}");
    }
}

#[test]
fn a_port_named_metrics_is_a_scrape_target() {
    let beside_another = service("prometheus").both("app=prometheus").ports("metrics:9090 admin:9999");
    assert_eq!(beside_another.chosen_url(), "-");
    let by_name_alone = service("prometheus").both("app=shop").ports("metrics:9090");
    assert_eq!(by_name_alone.chosen_url(), "-");
    let of_each_pod = service("prometheus").both("app=prometheus").ports("metrics:9090").headless();
    assert_eq!(of_each_pod.chosen_url(), "-");
}

#[test]
fn a_service_named_after_its_pods_and_a_product_is_where_they_are_scraped() {
    let scraped = service("api-prometheus").both("app=api").ports("http:9090");
    assert_eq!(scraped.chosen_url(), "-");
    assert_eq!(scraped.findings()[0].confidence, detectors::Confidence::Low);
    let of_the_stack = service("monitoring-prometheus").both("app=monitoring").ports("http:9090");
    assert_eq!(of_the_stack.chosen_url(), "Prometheus http://:9090");
}

#[test]
fn a_scrape_annotation_says_nothing() {
    let app = service("kube-dns")
        .both("k8s-app=kube-dns")
        .annotations("prometheus.io/scrape=true prometheus.io/port=9153")
        .ports("dns:53/UDP dns-tcp:53 metrics:9153");
    assert!(app.findings().is_empty());
}

#[test]
fn a_name_is_read_in_whole_words() {
    for name in ["lokitown", "temporal-frontend", "mygrafanaish", "jaegermeister", "prometheusx"] {
        let service = service(name).both(&format!("app={name}")).ports("-:9090 a:3000 b:3100 c:3200 d:16686");
        assert_eq!(service.chosen_url(), "-", "{name}");
    }
}

#[test]
fn components_scraped_by_a_stack_are_not_the_stack() {
    let scheduler = service("kps-kube-prometheus-kube-scheduler")
        .labels("app=kube-prometheus-stack-kube-scheduler @part-of=kube-prometheus-stack release=kps")
        .selector("component=kube-scheduler")
        .ports("http-metrics:10259")
        .headless();
    assert_eq!(scheduler.chosen_url(), "-");
    let sidecar = service("kps-kube-prometheus-thanos-discovery")
        .labels("app=kube-prometheus-stack-thanos-discovery @part-of=kube-prometheus-stack")
        .selector("@name=prometheus operator.prometheus.io/name=kps")
        .ports("grpc:10901>grpc http:10902>http")
        .headless();
    assert_eq!(sidecar.chosen_url(), "-");
    let ruler = service("kube-prometheus-stack-thanos-ruler")
        .labels("app=kube-prometheus-stack-thanos-ruler @part-of=kube-prometheus-stack")
        .selector("@name=thanos-ruler")
        .ports("web:10902");
    assert_eq!(ruler.chosen_url(), "-");
}

#[test]
fn cortex_behind_a_nameless_port_80_stays_a_candidate() {
    let alertmanager = service("alertmanager").selector("name=alertmanager").ports("-:80");
    assert_eq!(alertmanager.chosen_url(), "-");
    let finding = &alertmanager.findings()[0];
    assert_eq!(finding.outcome, Outcome::NoUsablePort);
    assert!(service("nginx").selector("name=nginx").ports("http:80").findings().is_empty());
}

#[test]
fn storage_of_a_release_named_after_a_product_is_not_the_product() {
    let cassandra = service("jaeger-cassandra").both("@name=cassandra @instance=jaeger").ports("cql:9042>cql");
    assert!(cassandra.findings().is_empty());
    let redis =
        service("grafana-redis-master").both("@name=redis @component=master @instance=grafana").ports("tcp-redis:6379");
    assert!(redis.findings().is_empty());
}

#[test]
fn an_ordinary_service_costs_no_allocation() {
    let shop =
        service("checkout").both("@name=checkout @component=api @part-of=shop").ports("http:8080>http grpc:9555");
    assert_eq!(recognise(shop.view()).capacity(), 0);
}
