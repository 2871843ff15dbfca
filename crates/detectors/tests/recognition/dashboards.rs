//! Grafana, Kibana, `OpenSearch` Dashboards.

use detectors::Confidence;

use crate::fixture::service;

#[test]
fn grafana_is_found_under_every_port_name_its_charts_give() {
    for port in
        ["service:80>3000", "http-web:80>grafana", "http:3000>dashboard", "service:80>grafana", "http:3000>http"]
    {
        let grafana = service("dashboards-grafana").both("@name=grafana @instance=dashboards").ports(port);
        assert!(grafana.chosen_url().starts_with("Grafana http://:"), "{port}");
        assert_eq!(grafana.confidence(), Some(Confidence::High), "{port}");
    }
    let kubecost = service("kubecost-grafana").both("app=grafana release=kubecost").ports("tcp-service:80>3000");
    assert_eq!(kubecost.chosen_url(), "Grafana http://:80");
    assert!(kubecost.chosen().expect("chosen").rank.bundled);
}

#[test]
fn grafana_in_a_release_called_prometheus_is_a_grafana() {
    let grafana = service("prometheus-grafana").both("@name=grafana @instance=prometheus").ports("http-web:80>grafana");
    assert_eq!(grafana.chosen_url(), "Grafana http://:80");
    let by_name = service("prometheus-grafana").selector("tier=monitoring").ports("-:80>3000");
    assert_eq!(by_name.chosen_url(), "Grafana http://:80");
}

#[test]
fn grafana_of_the_operator_carries_the_custom_resources_name() {
    let grafana = service("main-service").selector("app=main").ports("grafana:3000>grafana-http");
    assert_eq!(grafana.chosen_url(), "Grafana http://:3000");
    let another = service("other").selector("app=main").ports("grafana:3000>grafana-http");
    assert_eq!(another.chosen_url(), "-");
}

#[test]
fn grafanas_gossip_service_has_no_query_port() {
    let headless =
        service("grafana-headless").both("@name=grafana @instance=g").ports("gossip-tcp:9094>gossip-tcp").headless();
    assert_eq!(headless.chosen_url(), "-");
}

#[test]
fn dashboards_of_the_database_operator_are_known_by_its_own_label() {
    let labels =
        |used_by: &str| format!("@name=tidb-cluster @managed-by=tidb-operator @component=monitor @used-by={used_by}");
    let grafana = service("basic-grafana").labels(&labels("grafana")).ports("http-grafana:3000");
    assert_eq!(grafana.chosen_url(), "Grafana http://:3000");
    let prometheus = service("basic-prometheus").labels(&labels("prometheus")).ports("http-prometheus:9090");
    assert_eq!(prometheus.chosen_url(), "Prometheus http://:9090");
    let reloader = service("basic-reloader").labels(&labels("reloader")).ports("tcp-reloader:9089");
    assert_eq!(reloader.chosen_url(), "-");
}

#[test]
fn kibana_and_the_dashboards_of_opensearch_are_one_kind() {
    for (labels, port, url) in [
        ("app=kibana release=kibana", "http:5601", "Kibana http://:5601"),
        ("@name=kibana @instance=k", "http:5601>http", "Kibana http://:5601"),
        ("common.k8s.elastic.co/type=kibana kibana.k8s.elastic.co/name=logs", "https:5601", "Kibana https://:5601"),
        ("k8s-app=kibana-logging kubernetes.io/name=Kibana", "-:5601>ui", "Kibana http://:5601"),
        ("@name=opensearch-dashboards @instance=o", "http:5601 metrics:9601", "Kibana http://:5601"),
        ("@name=opensearch @component=dashboards", "http:5601>http", "Kibana http://:5601"),
        ("opensearch.cluster.dashboards=logs", "http:5601", "Kibana http://:5601"),
    ] {
        assert_eq!(service("ui").both(labels).ports(port).chosen_url(), url, "{labels}");
    }
}
