//! What counts as a piece of evidence: charts, operators' keys, roles and ports, and what a weak contradiction is worth.

use detectors::{Assumed, Auth, Confidence, Outcome, Product, explain};

use crate::fixture::{Fixture, service};

fn confidence(fixture: &Fixture, product: Product) -> Option<Confidence> {
    fixture.finding(product).map(|finding| finding.confidence)
}

#[test]
fn a_charts_name_and_the_products_number_agree_under_any_name() {
    for (chart, name, port, url) in [
        ("victoria-metrics-single-0.8.12", "metrics-store", "http:8428>http", "VictoriaMetrics http://:8428"),
        ("grafana-8.5.1", "dashboards", "service:80>3000", "Grafana http://:80"),
        ("loki-6.6.2", "logs", "http-metrics:3100>http-metrics", "Loki http://:3100"),
        ("kibana-7.17.3", "search-ui", "http:5601", "Kibana http://:5601"),
        ("zipkin-0.3.4", "spans", "http-query:9411", "Zipkin http://:9411"),
    ] {
        let labels = format!("@name={name} @instance={name} helm.sh/chart={chart}");
        let fixture = service(&format!("{name}-server")).labels(&labels).selector(&format!("@name={name}")).ports(port);
        assert_eq!(fixture.chosen_url(), url, "{chart}");
        assert_eq!(fixture.confidence(), Some(Confidence::Medium), "{chart}");
    }
}

#[test]
fn a_chart_of_many_components_needs_a_role() {
    let component = |role: &str| {
        service("store")
            .labels(&format!("@name=store helm.sh/chart=mimir-distributed-5.4.0 {role}"))
            .ports("http-metrics:8080")
    };
    assert_eq!(component("@component=query-frontend").chosen_url(), "Mimir http://:8080/prometheus");
    assert_eq!(component("@component=ingester").chosen_url(), "-");
    assert_eq!(component("").chosen_url(), "-");
    let other = service("x").labels("@name=x helm.sh/chart=grafana-agent-0.44.2").ports("http:3000");
    assert!(other.findings().is_empty());
}

#[test]
fn operators_keys_in_the_selector_name_the_product() {
    for (selector, port, url) in [
        ("elasticsearch.k8s.elastic.co/cluster-name=logs", "-:9200", "Elasticsearch http://:9200"),
        ("kibana.k8s.elastic.co/name=logs", "-:5601", "Kibana http://:5601"),
        ("operator.prometheus.io/name=main", "-:9090", "Prometheus http://:9090"),
        ("@name=lokistack @component=lokistack-gateway", "public:8080>public", "Loki http://:8080"),
        ("@name=tempo @managed-by=tempo-operator @component=query-frontend", "-:3200", "Tempo http://:3200"),
    ] {
        assert_eq!(service("outside").selector(selector).ports(port).chosen_url(), url, "{selector}");
    }
}

#[test]
fn the_collector_of_jaeger_v2_has_the_query_part() {
    let labels = "@component=opentelemetry-collector @managed-by=opentelemetry-operator @part-of=opentelemetry";
    for port in ["jaeger-query:16686", "jaeger:16686"] {
        let collector = service("tracing-collector")
            .both(&format!("@name=tracing-collector {labels}"))
            .ports(&format!("{port} otlp-grpc:4317"));
        assert_eq!(collector.chosen_url(), "Jaeger http://:16686", "{port}");
    }
    let by_hand = service("jaeger-collector").both("app=jaeger-collector").ports("jaeger-query:16686 otlp-grpc:4317");
    assert_eq!(by_hand.chosen_url(), "Jaeger http://:16686");
    let v1 = service("jaeger-collector").both("app=jaeger-collector").ports("http:16686");
    assert_eq!(v1.chosen_url(), "-");
    let plain = service("otel-collector").both(&format!("@name=otel-collector {labels}")).ports("otlp-grpc:4317");
    assert!(plain.findings().is_empty());
}

#[test]
fn a_vendors_name_label_does_not_hide_the_product() {
    let vendor = "@name=openservicemesh.io @instance=osm";
    let by_name = service("osm-jaeger").labels(vendor).selector("tier=mesh").ports("ui:16686");
    assert_eq!(by_name.chosen_url(), "Jaeger http://:16686");
    let suite =
        service("prometheus").labels("@name=kubesphere @part-of=kubesphere").selector("tier=mesh").ports("-:9090");
    assert_eq!(suite.chosen_url(), "Prometheus http://:9090");
    let another = service("jaeger-cassandra").both("@name=cassandra").ports("ui:16686");
    assert_eq!(another.chosen_url(), "-");
}

#[test]
fn one_weak_contradiction_does_not_beat_three_pieces() {
    let one_pod =
        service("alertmanager").labels("app=alertmanager").selector("deployment=prometheus").ports("alertmanager:9093");
    assert_eq!(one_pod.chosen_url(), "Alertmanager http://:9093");
    let sample = service("prometheus-sample").both("app=prometheus-sample").ports("web:9090");
    assert_eq!(sample.chosen_url(), "Prometheus http://:9090");
    let two = service("alertmanager").selector("deployment=prometheus").ports("alertmanager:9093");
    assert_eq!(two.chosen_url(), "-");
    let strong =
        service("alertmanager").labels("app=alertmanager").selector("app=prometheus").ports("alertmanager:9093");
    assert_eq!(strong.chosen_url(), "-");
    let exporter = service("prometheus-exporter").both("app=prometheus-exporter").ports("web:9090");
    assert_eq!(exporter.chosen_url(), "-");
}

#[test]
fn a_port_that_only_one_product_has_makes_a_candidate() {
    for (port, product) in [
        ("http:10902", Product::Thanos),
        ("-:9009", Product::Mimir),
        ("http:8428", Product::VictoriaMetrics),
        ("http:8481", Product::VictoriaMetrics),
        ("http:9093 -:9094", Product::Alertmanager),
        ("http-alertmanager:80", Product::Alertmanager),
        ("http:80>http-grafana", Product::Grafana),
        ("http-prometheus:80", Product::Prometheus),
        ("http:3100", Product::Loki),
        ("tempo-prom-metrics:80", Product::Tempo),
        ("http:3200", Product::Tempo),
        ("-:80>16686", Product::Jaeger),
        ("jaeger-query:80", Product::Jaeger),
        ("http:9411", Product::Zipkin),
        ("http:9200 transport:9300", Product::Elasticsearch),
        ("http:9200 metrics:9600", Product::OpenSearch),
        ("http:9428", Product::VictoriaLogs),
        ("http:10428", Product::VictoriaTraces),
        ("http:5601", Product::Kibana),
        ("dash:80>5601", Product::Kibana),
        ("anything:16686", Product::Jaeger),
        ("metrics:3100", Product::Loki),
        ("web:80>8428", Product::VictoriaMetrics),
        ("kibana:80>http", Product::Kibana),
        ("front:80>kibana", Product::Kibana),
        ("jaeger:8080", Product::Jaeger),
        ("loki:80", Product::Loki),
        ("tempo:8080", Product::Tempo),
        ("mimir:8080", Product::Mimir),
        ("grafana:3000", Product::Grafana),
        ("alertmanager:9093", Product::Alertmanager),
        ("elasticsearch:9200", Product::Elasticsearch),
        ("opensearch:9200", Product::OpenSearch),
        ("victoria-metrics:80", Product::VictoriaMetrics),
        ("victoria-logs:80", Product::VictoriaLogs),
        ("victoria-traces:80", Product::VictoriaTraces),
    ] {
        for labels in ["app=shop", "@name=shop @instance=shop"] {
            let fixture = service("backend").both(labels).ports(port);
            assert_eq!(confidence(&fixture, product), Some(Confidence::Low), "{port}");
            let finding = fixture.finding(product).expect("a candidate");
            assert!(finding.by_port_alone, "{port}: {}", finding.decided_by);
            assert_eq!(fixture.chosen_url(), "-", "{port}");
        }
    }
}

#[test]
fn a_port_that_thousands_of_services_have_makes_none() {
    for number in [80, 443, 3000, 8080, 8443, 9090, 9093, 9200] {
        for name in ["-", "http", "web", "metrics", "prometheus", "anything"] {
            let fixture = service("backend").both("app=shop").ports(&format!("{name}:{number}"));
            assert!(fixture.findings().is_empty(), "{name} {number}");
        }
    }
    assert!(service("otel-collector").both("app=otel-collector").ports("http:9411").findings().is_empty());
}

#[test]
fn ports_that_receive_spans_or_lead_to_peers_make_none() {
    for ports in [
        "zipkin:9411 otlp:4317",
        "http:9411 otlp-http:4318",
        "http-zipkin:9411 jaeger-grpc:14250",
        "grpc:11800 zipkinreceiver:9411",
        "zipkin:8080",
        "jaeger:14250",
        "elasticsearch:9300",
        "prometheus:9464",
        "thanos:10901",
        "vmselect:8401",
    ] {
        let fixture = service("gateway").both("app=spans").ports(ports);
        assert!(fixture.findings().is_empty(), "{ports}: {:?}", fixture.findings());
    }
}

#[test]
fn a_finding_says_what_decided() {
    for (fixture, decided_by) in [
        (service("grafana").both("@name=grafana").ports("service:80>3000"), "label app.kubernetes.io/name=grafana"),
        (
            service("prometheus-svc").selector("app=prometheus").ports("-:9090"),
            "selector app=prometheus, the Service's name prometheus-svc and port 9090",
        ),
        (
            service("es-http").labels("common.k8s.elastic.co/type=elasticsearch").ports("https:9200"),
            "label common.k8s.elastic.co/type=elasticsearch",
        ),
        (service("backend").both("app=shop").ports("http:16686"), "port http 16686"),
    ] {
        assert_eq!(fixture.findings()[0].decided_by, decided_by);
    }
}

#[test]
fn a_finding_says_what_it_assumes() {
    let assumed = |scheme, path, auth| Assumed { scheme, path, auth };
    for (fixture, auth, expected) in [
        (
            service("prometheus").both("@name=prometheus @component=server").ports("http:80>9090"),
            Auth::None,
            assumed(true, true, true),
        ),
        (service("grafana").both("@name=grafana").ports("https:443"), Auth::Basic, assumed(false, true, true)),
        (service("loki").both("@name=loki").ports("http-metrics:3100"), Auth::Tenant, assumed(true, true, true)),
        (
            service("es-http").labels("common.k8s.elastic.co/type=elasticsearch").ports("https:9200"),
            Auth::Basic,
            assumed(false, false, false),
        ),
        (service("opensearch").both("@name=opensearch").ports("http:9200"), Auth::Basic, assumed(true, false, true)),
        (service("tracing").both("app=jaeger").ports("http-query:80>16686"), Auth::None, assumed(true, false, true)),
        (service("zipkin").both("@name=zipkin").ports("http-query:9411"), Auth::None, assumed(true, false, true)),
        (
            service("mimir-gateway").both("@name=mimir @component=gateway").ports("http-metrics:80"),
            Auth::Tenant,
            assumed(true, true, true),
        ),
    ] {
        let finding = &fixture.findings()[0];
        assert!(matches!(finding.outcome, Outcome::Endpoint(_)));
        assert_eq!((finding.auth, finding.assumed), (auth, expected), "{}", fixture.view().key);
    }
}

#[test]
fn several_pieces_are_never_called_one() {
    for fixture in [
        service("kibana").both("app=kibana").ports("http:80>8080"),
        service("my-grafana").both("app=my-grafana").ports("http:80>http"),
        service("api-prometheus").both("app=api").ports("http:9090"),
        service("prometheus-kodaru").both("app=prometheus-kodaru").ports("web:80>http"),
        service("grafana-kodaru").both("app=grafana-kodaru").ports("-:3000"),
    ] {
        for explanation in explain(fixture.view()) {
            let for_it = explanation.evidence.iter().filter(|evidence| evidence.supports).count();
            assert!(for_it < 2 || !explanation.hint.contains("one piece"), "{explanation:?}");
            assert!(for_it < 2 || !explanation.hint.contains("only evidence"), "{explanation:?}");
        }
    }
}
