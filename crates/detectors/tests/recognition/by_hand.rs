//! Manifests that people write: labels under other keys, no labels, unnamed ports, node ports.

use detectors::Confidence;

use crate::fixture::{Fixture, service};

fn assert_medium(fixture: &Fixture, url: &str) {
    assert_eq!(fixture.chosen_url(), url, "{:?}", fixture.view());
    assert_eq!(fixture.confidence(), Some(Confidence::Medium), "{:?}", fixture.view());
}

#[test]
fn a_selector_and_the_products_own_number_agree() {
    for (app, port, url) in [
        ("prometheus", "-:9090", "Prometheus http://:9090"),
        ("prometheus-server", "-:8080>9090", "Prometheus http://:8080"),
        ("grafana", "-:3000", "Grafana http://:3000"),
        ("loki", "-:3100", "Loki http://:3100"),
        ("tempo", "http:3200 otlp-grpc:4317", "Tempo http://:3200"),
        ("mimir", "http:9009", "Mimir http://:9009/prometheus"),
        ("jaeger", "ui:16686 http:14268", "Jaeger http://:16686"),
        ("zipkin", "zipkin:9411", "Zipkin http://:9411"),
        ("elasticsearch", "port1:9200 port2:9300", "Elasticsearch http://:9200"),
        ("opensearch", "http:9200 metrics:9600", "OpenSearch http://:9200"),
        ("kibana", "-:80>5601", "Kibana http://:80"),
        ("alertmanager", "-:9093", "Alertmanager http://:9093"),
        ("victoria-metrics", "-:8428", "VictoriaMetrics http://:8428"),
        ("victoriametrics", "http:8428", "VictoriaMetrics http://:8428"),
        ("vmselect", "http:8481", "VictoriaMetrics http://:8481/select/0/prometheus"),
        ("victoria-logs", "-:9428", "VictoriaLogs http://:9428"),
        ("victoria-traces", "-:10428", "VictoriaTraces http://:10428"),
        ("thanos-query", "grpc:10901 http:10902", "Thanos http://:10902"),
        ("thanos-querier", "http:9090", "Thanos http://:9090"),
    ] {
        assert_medium(&service("backend").selector(&format!("app={app}")).ports(port), url);
    }
}

#[test]
fn the_services_name_in_whole_words_and_the_number_agree() {
    for (name, port, url) in [
        ("prometheus-svc", "-:9090", "Prometheus http://:9090"),
        ("lb-prometheus", "http-prometheus:9090", "Prometheus http://:9090"),
        ("openebs-grafana", "-:32515>3000", "Grafana http://:32515"),
        ("grafana-nodeport", "30300:3000", "Grafana http://:3000"),
        ("monitoring-grafana", "-:80>3000", "Grafana http://:80"),
        ("jaeger-ui", "-:80>16686", "Jaeger http://:80"),
        ("elasticsearch7", "-:9200", "Elasticsearch http://:9200"),
        ("tempo-svc", "-:3200", "Tempo http://:3200"),
        ("kafka-prometheus", "-:9090", "Prometheus http://:9090"),
        ("thanos-query-lb", "http:9090", "-"),
    ] {
        assert_eq!(service(name).selector("tier=ops").ports(port).chosen_url(), url, "{name}");
    }
}

#[test]
fn identities_are_read_under_every_key_that_people_use() {
    for pair in [
        "app=prometheus",
        "k8s-app=prometheus",
        "name=prometheus",
        "component=prometheus",
        "@component=prometheus",
        "io.kompose.service=prometheus",
        "kubernetes.io/name=Prometheus",
        "run=prometheus",
        "app=openebs-prometheus",
        "deploymentconfig=prometheus",
    ] {
        let prometheus = service("backend").both(pair).ports("webui:9090");
        assert_eq!(prometheus.chosen_url(), "Prometheus http://:9090", "{pair}");
    }
}

#[test]
fn kompose_names_ports_by_their_numbers() {
    let jaeger = service("jaeger")
        .both("io.kompose.service=jaeger")
        .ports("14269:14269 5778:5778 14268:14268 16686:16686 6831:6831/UDP")
        .node_port();
    assert_medium_or_better(&jaeger, "Jaeger http://:16686");
    let kibana = service("kibana").both("io.kompose.service=kibana").ports("5601:5601");
    assert_medium_or_better(&kibana, "Kibana http://:5601");
}

fn assert_medium_or_better(fixture: &Fixture, url: &str) {
    assert_eq!(fixture.chosen_url(), url);
    assert!(fixture.confidence() >= Some(Confidence::Medium));
}

#[test]
fn a_target_ports_name_can_say_what_the_number_does_not() {
    assert_medium(&service("grafana").both("app=grafana").ports("-:80>http-grafana"), "Grafana http://:80");
    assert_medium(&service("grafana").both("app=grafana").ports("http:80>http"), "Grafana http://:80");
}

#[test]
fn a_usual_port_name_that_leads_to_another_number_is_not_enough() {
    let other = service("grafana").both("app=grafana").ports("http:80>8080");
    assert_eq!(other.chosen_url(), "-");
    assert_eq!(other.findings()[0].confidence, Confidence::Low);
}

#[test]
fn ports_under_other_names_are_accepted_by_their_number() {
    for (app, port, url) in [
        ("prometheus", "webui:9090", "Prometheus http://:9090"),
        ("prometheus", "promui:9090", "Prometheus http://:9090"),
        ("prometheus", "30090:9090", "Prometheus http://:9090"),
        ("jaeger", "query-http:80>16686", "Jaeger http://:80"),
        ("loki", "loki-port:3100", "Loki http://:3100"),
        ("elasticsearch", "api:9200 transport:9300", "Elasticsearch http://:9200"),
    ] {
        assert_eq!(service(app).both(&format!("app={app}")).ports(port).chosen_url(), url, "{port}");
    }
}

#[test]
fn a_query_role_is_read_from_the_selector_where_labels_are_missing() {
    let querier = service("querier").selector("app=thanos component=querier").ports("http:9090");
    assert_eq!(querier.chosen_url(), "Thanos http://:9090");
    let store = service("store-gateway").selector("app=thanos component=store-gateway").ports("http:10902");
    assert_eq!(store.chosen_url(), "-");
    let ingester = service("mimir").selector("app=mimir @component=ingester").ports("http:9009");
    assert_eq!(ingester.chosen_url(), "-");
}

#[test]
fn a_service_over_an_operators_pods_is_known_by_its_selector() {
    for (selector, port, url) in [
        (
            "common.k8s.elastic.co/type=elasticsearch elasticsearch.k8s.elastic.co/cluster-name=logs",
            "https:9200",
            "Elasticsearch https://:9200",
        ),
        ("common.k8s.elastic.co/type=kibana kibana.k8s.elastic.co/name=logs", "ui:5601", "Kibana http://:5601"),
        ("opster.io/opensearch-cluster=logs", "-:9200", "OpenSearch http://:9200"),
        ("opensearch.cluster.dashboards=logs", "-:5601", "Kibana http://:5601"),
        ("@part-of=jaeger @managed-by=jaeger-operator @component=query", "-:80>16686", "Jaeger http://:80"),
        ("@name=vmsingle managed-by=vm-operator", "http:8429", "VictoriaMetrics http://:8429"),
    ] {
        assert_medium(&service("outside").selector(selector).ports(port).node_port(), url);
    }
    let transport = service("outside").selector("common.k8s.elastic.co/type=elasticsearch").ports("transport:9300");
    assert_eq!(transport.chosen_url(), "-");
}

#[test]
fn the_operators_name_of_the_target_port_leads_to_its_pods() {
    for (selector, port, url) in [
        ("prometheus=main", "http:80>web", "Prometheus http://:80"),
        ("prometheus=main", "front:80>http-web", "Prometheus http://:80"),
        ("operator.prometheus.io/name=main", "front:80>web", "Prometheus http://:80"),
        ("alertmanager=main", "http:80>web", "Alertmanager http://:80"),
    ] {
        assert_medium(&service("outside").selector(selector).ports(port), url);
    }
    for port in ["http:80>reloader-web", "metrics:80>web", "grpc:10901>grpc"] {
        assert_eq!(service("outside").selector("prometheus=main").ports(port).chosen_url(), "-", "{port}");
    }
    let by_name = service("prometheus").selector("tier=ops").ports("front:80>web");
    assert_eq!(by_name.chosen_url(), "-");
}

#[test]
fn the_role_after_the_name_decides() {
    let gateway = service("loki-gateway").selector("app=loki").ports("http:80>http");
    assert_medium(&gateway, "Loki http://:80");
    let nginx = service("mimir-nginx").selector("app=mimir").ports("http-metric:80>http-metric");
    assert_medium(&nginx, "Mimir http://:80/prometheus");
}

#[test]
fn a_name_that_ends_in_its_owners_product_does_not_contradict_the_selector() {
    let alertmanager = service("vmalertmanager-victoria-metrics").selector("app=vmalertmanager").ports("http:9093");
    assert_medium(&alertmanager, "Alertmanager http://:9093");
}
