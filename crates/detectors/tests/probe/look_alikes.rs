//! Programs that are not known, and answers that prove nothing.

use detectors::{
    Product, Scheme,
    probe::{Class, Verdict},
};

use crate::program::Program;

fn products() -> impl Iterator<Item = Product> {
    Product::ALL.iter().copied().filter(|product| !matches!(product, Product::MCP | Product::Custom))
}

#[track_caller]
fn assert_unknown_to_all(program: &Program) {
    for product in products() {
        for path in ["", "/prometheus", "/select/jaeger"] {
            let identity = program.identify(product, path);
            assert_eq!(identity.verdict, Verdict::Unknown, "{product} at {path}: {identity:?}");
            assert_eq!(identity.path, None, "{product} at {path}: {identity:?}");
        }
    }
}

#[test]
fn a_page_for_every_path_proves_nothing() {
    for page in [
        "<!doctype html><html><head><title>Shop</title></head><body><div id=\"root\"></div></body></html>",
        "<!doctype html><html><head><title>Grafana Prometheus Loki Tempo</title></head></html>",
        "<html><head><title>Sign in</title></head></html>",
        "<h1>Welcome to nginx!</h1>",
        "",
        "OK",
        "ready",
    ] {
        assert_unknown_to_all(&Program::empty().otherwise(200, page));
    }
}

#[test]
fn json_of_another_program_proves_nothing() {
    for body in [
        r#"{"status":"ok"}"#,
        r#"{"status":"success","data":{"amount":12,"currency":"EUR"}}"#,
        r#"{"status":"success","data":[]}"#,
        r#"{"status":"ok","database":"ok","version":"1.0.0","commit":"abc"}"#,
        r#"{"database":"ok","cache":"ok"}"#,
        r#"{"version":"1.2.3"}"#,
        r#"{"name":"payments","version":"1.2.3","build":"7"}"#,
        r#"{"data":["card","sepa"]}"#,
        r#"{"data":["card","sepa"],"total":2}"#,
        r#"["frontend","backend"]"#,
        r#"{"error":"unavailable with Prometheus Agent"}"#,
        r#"{"message":"<title>Prometheus Pushgateway</title>"}"#,
        r#"{"tagline":"You Know, for Search"}"#,
        "null",
        "1",
    ] {
        assert_unknown_to_all(&Program::empty().otherwise(200, body));
    }
}

#[test]
fn a_status_code_proves_nothing_whatever_the_body_says() {
    let bodies = [
        r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#,
        r#"{"tagline":"You Know, for Search","version":{"number":"8.13.0"}}"#,
        "<title>Prometheus Pushgateway</title>",
        "<title>Node Exporter</title>",
    ];
    for status in [301, 302, 307, 401, 403, 404, 405, 410, 429, 500, 502, 503, 504] {
        for body in bodies {
            assert_unknown_to_all(&Program::empty().otherwise(status, body));
        }
    }
}

#[test]
fn a_cut_answer_proves_only_what_is_before_the_cut() {
    for body in [
        r#"{"status":"success","data":{"resultType":"scalar","result":["#,
        r#"{"tagline":"You Know, for Search","version":{"number":"8.13.0","#,
        r#"{"database":"ok","#,
        r#"{"data":["a","b""#,
        "<html><title>Prometheus Pushgateway",
    ] {
        let program = ["/", "/api/v1/query?query=1", "/api/health", "/api/services", "/select/jaeger/api/services"]
            .iter()
            .fold(Program::empty(), |program, path| program.with_start(path, 200, body));
        assert_unknown_to_all(&program);
    }
}

#[test]
fn a_gateway_with_another_program_at_its_root_does_not_deny_what_is_below() {
    let program = Program::empty().with("/", 200, "<html><head><title>UI for Apache Kafka</title></head></html>").with(
        "/prometheus/api/v1/query?query=1",
        200,
        r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#,
    );
    let identity = program.identify(Product::Prometheus, "");
    assert_eq!((identity.verdict, identity.path.as_deref()), (Verdict::Confirmed, Some("/prometheus")));
}

#[test]
fn programs_with_a_sure_mark_are_denied() {
    for (page, is) in [
        ("<html><title>MinIO Console</title></html>", "MinIO Console"),
        ("<!DOCTYPE html><html><head><title>UI for Apache Kafka</title></head></html>", "UI for Apache Kafka"),
        ("<h2>vmagent</h2>See docs at", "vmagent"),
    ] {
        let program = Program::empty().otherwise(200, page);
        for product in [Product::Prometheus, Product::VictoriaMetrics, Product::Loki, Product::Grafana] {
            assert_eq!(program.identify(product, "").verdict, Verdict::Denied { is }, "{product}");
        }
    }
}

#[test]
fn a_port_that_does_not_answer_is_asked_once_or_twice() {
    let nothing = Program::default();
    let identity = nothing.identify(Product::Prometheus, "");
    assert_eq!(identity.asked, ["GET /api/v1/query?query=1 over http", "GET /api/v1/query?query=1 over https"]);
    assert_eq!((identity.verdict, identity.scheme, identity.class), (Verdict::Unknown, None, Class::Reset));
}

#[test]
fn the_class_of_an_unknown_program_is_that_of_the_first_answer() {
    let identity = Program::empty().with("/", 200, "<html></html>").identify(Product::Prometheus, "");
    assert_eq!((identity.class, identity.scheme), (Class::Answered(404), Some(Scheme::Http)));
}
