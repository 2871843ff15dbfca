//! Services that are a product for certain, and whose only port does not say so.

use detectors::{Confidence, Outcome, Product};

use crate::fixture::{Fixture, chosen_of, service};

#[test]
fn a_number_of_its_own_is_enough_whatever_the_port_is_called() {
    for (name, labels, port, url) in [
        ("loki", "app=loki", "metrics:3100", "Loki http://:3100"),
        ("alertmanager", "app=alertmanager", "metrics:9093", "Alertmanager http://:9093"),
        ("prometheus", "@name=prometheus @component=server", "metrics:80>9090", "Prometheus http://:80"),
        ("kibana", "@name=kibana", "debug:5601", "Kibana http://:5601"),
        ("grafana", "app=grafana", "metrics:3000", "Grafana http://:3000"),
        ("grafana", "@name=grafana", "metrics:80>3000", "Grafana http://:80"),
    ] {
        assert_eq!(service(name).both(labels).ports(port).chosen_url(), url, "{name}");
    }
}

#[test]
fn one_piece_and_a_scrape_port_are_not_enough() {
    for port in ["metrics:3100", "metrics:9093", "metrics:3000"] {
        assert_eq!(service("shop").selector("app=loki").ports(port).chosen_url(), "-");
        assert_eq!(service("shop").selector("app=grafana").ports(port).chosen_url(), "-");
        assert_eq!(service("alertmanager").both("app=shop").ports(port).chosen_url(), "-");
    }
}

#[test]
fn a_proxy_in_front_of_a_product_is_its_port() {
    let rancher = "chart=prometheus-0.0.1 heritage=Tiller release=cluster-monitoring";
    for (name, labels, port, url) in [
        ("access-prometheus", format!("app=prometheus {rancher}"), "nginx-http:80>nginx-http", "Prometheus http://:80"),
        ("grafana", "@name=grafana".to_owned(), "oauth-proxy:8443", "Grafana https://:8443"),
        ("kibana", "app=kibana".to_owned(), "proxy:443>4180", "Kibana https://:443"),
        ("prometheus", "app=prometheus".to_owned(), "https-metrics-proxy:9443", "-"),
        ("alertmanager", "app=alertmanager".to_owned(), "https-main:9095", "Alertmanager https://:9095"),
        ("prometheus", "app=prometheus".to_owned(), "proxy:8443 metrics:9091", "Prometheus https://:8443"),
    ] {
        let fixture = service(name).both(&labels).ports(port);
        assert_eq!(fixture.chosen_url(), url, "{name} {port}");
        if let Some(finding) = fixture.chosen() {
            assert_eq!(finding.confidence, Confidence::Medium, "{port}");
            assert!(finding.assumed.path && finding.assumed.auth, "{port}");
        }
    }
}

#[test]
fn the_port_that_the_service_asks_to_be_scraped_on_is_where_it_answers() {
    let mesh = service("osm-prometheus")
        .labels("@name=openservicemesh.io @instance=osm")
        .selector("app=osm-prometheus")
        .annotations("prometheus.io/port=7070 prometheus.io/scrape=true")
        .ports("-:7070");
    assert_eq!(mesh.chosen_url(), "Prometheus http://:7070");
    let other = service("spring-prometheus")
        .both("app=spring-prometheus")
        .annotations("prometheus.io/port=8080")
        .ports("-:8080");
    assert_eq!(other.chosen_url(), "-");
}

/// A Service that is the product for certain and asks that its only port is scraped.
fn scraped(product: &str, port: &str, number: u16) -> Fixture {
    service(product)
        .both(&format!("app={product}"))
        .annotations(&format!("prometheus.io/scrape=true prometheus.io/port={number}"))
        .ports(port)
}

#[test]
fn a_product_with_a_port_of_its_own_for_metrics_does_not_answer_where_it_is_scraped() {
    for product in [
        "prometheus",
        "alertmanager",
        "grafana",
        "loki",
        "tempo",
        "mimir",
        "thanos-query",
        "victoria-metrics",
        "zipkin",
    ] {
        assert_ne!(scraped(product, "-:7070", 7070).chosen_url(), "-", "{product}");
    }
    for product in ["elasticsearch", "opensearch", "kibana", "jaeger"] {
        assert_eq!(scraped(product, "-:7070", 7070).chosen_url(), "-", "{product}");
    }
}

#[test]
fn an_exporters_number_is_never_the_products_port() {
    for (product, number) in
        [("grafana", 9100), ("loki", 9104), ("prometheus", 9115), ("elasticsearch", 9114), ("kibana", 9684)]
    {
        for port in [format!("-:{number}"), format!("prom:{number}"), format!("http:80>{number}")] {
            assert_eq!(scraped(product, &port, number).chosen_url(), "-", "{product} {port}");
        }
        let labelled = service(product).both(&format!("@name={product}")).ports(&format!("http:{number}"));
        assert_eq!(labelled.chosen_url(), "-", "{product}");
    }
    let own = service("logs").both("@name=vlsingle").ports("http:9428");
    assert_eq!(own.chosen_url(), "VictoriaLogs http://:9428");
}

#[test]
fn a_role_that_answers_no_queries_and_a_headless_twin_have_no_such_port() {
    let distributor = service("loki").both("@name=loki @component=distributor").ports("metrics:3100");
    assert_eq!(distributor.chosen_url(), "-");
    let labels = "app=prometheus chart=prometheus-0.0.1 release=cluster-monitoring";
    let kept = chosen_of(&[
        service("access-prometheus").both(labels).ports("nginx-http:80>nginx-http"),
        service("expose-prometheus-metrics").both(labels).ports("metrics:9090>web").headless(),
    ]);
    assert_eq!(kept, ["access-prometheus"]);
}

#[test]
fn ports_for_peers_are_no_endpoint_and_need_no_name() {
    for (name, labels, ports, product) in [
        ("loki-memberlist", "@name=loki", "tcp:7946>http-memberlist", Product::Loki),
        ("elasticsearch", "app=elasticsearch", "transport:9300", Product::Elasticsearch),
        ("elasticsearch", "@name=elasticsearch", "-:9300", Product::Elasticsearch),
        ("alertmanager-peers", "@name=alertmanager", "mesh:9094 metrics:8080", Product::Alertmanager),
        ("grafana-alerting", "@name=grafana", "-:9094", Product::Grafana),
        ("prometheus-thanos", "@name=prometheus @component=server", "grpc:10901", Product::Prometheus),
        ("tempo-gossip-ring", "@name=tempo", "gossip:7946/UDP", Product::Tempo),
    ] {
        let fixture = service(name).both(labels).ports(ports);
        let finding = fixture.finding(product).expect("known");
        assert!(matches!(finding.outcome, Outcome::NotAnEndpoint { .. }), "{name}: {finding:?}");
    }
    let strange = service("loki").both("@name=loki").ports("strange:1234");
    assert_eq!(strange.finding(Product::Loki).expect("known").outcome, Outcome::NoUsablePort);
}
