//! Tempo, Jaeger, Zipkin, VictoriaTraces.

use detectors::{Confidence, Product};

use crate::fixture::service;

#[test]
fn tempo_is_not_mistaken_for_loki_on_lokis_old_number() {
    let old = service("tempo")
        .both("@name=tempo @instance=tempo")
        .ports("tempo-prom-metrics:3100 tempo-query-jaeger-ui:16686 tempo-otlp-http:4318 tempo-zipkin:9411");
    assert_eq!(old.chosen_url(), "Tempo http://:3100");
    let new =
        service("tempo").both("@name=tempo @instance=tempo").ports("tempo-otlp-http:4318 tempo-prom-metrics:3200");
    assert_eq!(new.chosen_url(), "Tempo http://:3200");
}

#[test]
fn tempos_query_frontend_is_the_only_part_that_answers_in_full() {
    let part = |component: &str, port: &str| {
        service(&format!("tempo-{component}")).both(&format!("@name=tempo @component={component}")).ports(port)
    };
    assert_eq!(part("query-frontend", "http-metrics:3200>http-metrics").chosen_url(), "Tempo http://:3200");
    assert_eq!(part("gateway", "http-metrics:80>http-metrics").chosen_url(), "Tempo http://:80");
    for inner in ["distributor", "ingester", "querier", "compactor", "metrics-generator", "query-frontend-discovery"] {
        assert_eq!(part(inner, "http-metrics:3200>http-metrics").chosen_url(), "-", "{inner}");
    }
}

#[test]
fn tempo_of_the_operator_stays_a_tempo_with_a_jaeger_ui_beside_it() {
    let stack = service("tempo-simplest-query-frontend")
        .both("@name=tempo @component=query-frontend @managed-by=tempo-operator")
        .ports("http:3200>http grpc:9095>grpc jaeger-ui:16686>jaeger-ui");
    assert_eq!(stack.chosen_url(), "Tempo http://:3200");
    let monolithic = service("tempo-simplest")
        .both("@name=tempo-monolithic @component=tempo")
        .ports("http:3200>http otlp-http:4318");
    assert_eq!(monolithic.chosen_url(), "Tempo http://:3200");
    let view =
        service("tempo-simplest-jaegerui").both("@name=tempo-monolithic @component=jaegerui").ports("jaeger-ui:16686");
    assert_eq!(view.chosen_url(), "-");
}

#[test]
fn jaeger_all_in_one_is_taken_on_its_query_port_among_fourteen() {
    let jaeger = service("jaeger").both("@name=jaeger @component=all-in-one @instance=jaeger").ports(
        "zk-compact-trft:5775/UDP config-rest:5778 http-zipkin:9411[http] grpc-http:14250[grpc] http-c-binary-trft:14268[http] \
         otlp-http:4318[http] http-query:16686 grpc-query:16685 internal-metrics:8888[http]",
    );
    assert_eq!(jaeger.chosen_url(), "Jaeger http://:16686");
}

#[test]
fn jaegers_query_service_is_found_in_every_chart() {
    for (labels, port, url) in [
        ("@name=jaeger @component=query", "query:80>query admin:16687>admin", "Jaeger http://:80"),
        ("@name=jaeger @component=service-query", "http-query:16686 grpc-query:16685", "Jaeger http://:16686"),
        ("@name=jaeger @component=query @part-of=jaeger", "grpc:16685 http:16686 metrics:8888", "Jaeger http://:16686"),
        (
            "app=jaeger @name=x-query @component=service-query @part-of=jaeger",
            "http-query:16686",
            "Jaeger http://:16686",
        ),
        (
            "app=jaeger @name=x-query @component=service-query @part-of=jaeger",
            "https-query:443>8443",
            "Jaeger https://:443",
        ),
    ] {
        let jaeger = service("x-query").labels(labels).ports(port);
        assert_eq!(jaeger.chosen_url(), url, "{labels}");
        assert_eq!(jaeger.confidence(), Some(Confidence::High), "{labels}");
    }
    let linkerd = service("jaeger")
        .labels("linkerd.io/extension=jaeger component=jaeger")
        .selector("component=jaeger")
        .ports("collection:14268 grpc:14250 ui:16686");
    assert_eq!(linkerd.chosen_url(), "Jaeger http://:16686");
    assert!(linkerd.chosen().expect("chosen").rank.bundled);
}

#[test]
fn jaegers_intake_answers_nothing_whatever_labels_it_shares() {
    let istio = service("jaeger-collector").both("app=jaeger").ports("jaeger-collector-http:14268 http-zipkin:9411");
    assert_eq!(istio.chosen_url(), "-");
    let zipkin = service("zipkin").labels("name=zipkin").selector("app=jaeger").ports("http-query:9411");
    assert_eq!(zipkin.chosen_url(), "-");
    let operator = service("prod-collector-headless")
        .labels("app=jaeger @name=prod-collector @component=service-collector @part-of=jaeger")
        .ports("http-zipkin:9411 admin-http:14269 http-otlp:4318")
        .headless();
    assert_eq!(operator.chosen_url(), "-");
    let agent = service("jaeger-agent").both("@name=jaeger @component=agent").ports("http:5778>config-rest");
    assert_eq!(agent.chosen_url(), "-");
}

#[test]
fn istios_tracing_service_is_jaeger_under_its_base_path_or_zipkin() {
    let jaeger = service("tracing").both("app=jaeger").ports("http-query:80>16686 grpc-query:16685");
    assert_eq!(jaeger.chosen_url(), "Jaeger http://:80/jaeger");
    let zipkin = service("tracing").both("app=zipkin").ports("http-query:80>9411");
    assert_eq!(zipkin.chosen_url(), "Zipkin http://:80");
    let skywalking = service("tracing").both("app=skywalking-oap").ports("grpc:11800 http-query:12800");
    assert_eq!(skywalking.chosen_url(), "-");
}

#[test]
fn zipkin_is_found_in_its_chart_and_by_hand() {
    let chart = service("tracing-zipkin").both("@name=zipkin @instance=tracing").ports("http-query:9411");
    assert_eq!(chart.chosen_url(), "Zipkin http://:9411");
    let by_hand = service("zipkin-server").both("app=zipkin-server").ports("-:9411").node_port();
    assert_eq!(by_hand.chosen_url(), "Zipkin http://:9411");
}

#[test]
fn a_port_for_zipkins_format_is_no_zipkin() {
    let collector = service("otel-collector")
        .both("@name=opentelemetry-collector @component=standalone-collector")
        .ports("otlp:4317 zipkin:9411");
    assert!(collector.finding(Product::Zipkin).is_none());
}

#[test]
fn victoriatraces_is_found_on_its_nodes_and_on_vtselect() {
    for (labels, port, url) in [
        ("@name=vt-single @component=server", "http:10428>http", "VictoriaTraces http://:10428"),
        ("@name=vtsingle @component=monitoring managed-by=vm-operator", "http:10428", "VictoriaTraces http://:10428"),
        ("@name=vt-cluster @component=vtselect", "http:10471>http", "VictoriaTraces http://:10471"),
        ("@name=vt-cluster app=vtselect", "http:10471>http", "VictoriaTraces http://:10471"),
        ("@name=vt-cluster @component=vtinsert", "http:10481>http", "-"),
        ("@name=vt-cluster @component=vmauth", "http:8427>http", "-"),
    ] {
        assert_eq!(service("traces").both(labels).ports(port).chosen_url(), url, "{labels}");
    }
}
