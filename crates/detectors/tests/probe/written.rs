//! Programs that were not recorded. Their answers are written after the sources that the products' files name.

use detectors::{
    Product, Scheme,
    probe::{Class, Verdict},
};

use crate::program::{Plain, Program};

const BUILD: &str = r#"{"version":"3.2.0","revision":"659f5421","branch":"k231","buildUser":"root@2f1","buildDate":"2024-09-18T21:50:30Z","goVersion":"go1.22.6"}"#;
/// How a Go program answers if it does not have the path.
const NO_SUCH_PATH: &str = "404 page not found\n";
const LABELS: &str = "/loki/api/v1/labels?since=5m";
const MIMIR: &str = r#"{"status":"success","data":{"application":"Grafana Mimir","version":"2.13.0","revision":"r","branch":"HEAD","goVersion":"go1.22.5","features":{"ruler_config_api":"true"}}}"#;
const SERVICES: &str = r#"{"data":["frontend","driver"],"total":2,"limit":0,"offset":0,"errors":null}"#;
const ELASTICSEARCH: &str = r#"{"name":"es-0","cluster_name":"logs","cluster_uuid":"u","version":{"number":"8.13.0","build_flavor":"default","build_type":"docker","build_hash":"h","build_date":"d","build_snapshot":false,"lucene_version":"9.10.0"},"tagline":"You Know, for Search"}"#;
const OPENSEARCH: &str = r#"{"name":"os-0","cluster_name":"logs","cluster_uuid":"u","version":{"distribution":"opensearch","number":"2.13.0","build_type":"tar","build_hash":"h","build_date":"d","build_snapshot":false,"lucene_version":"9.10.0"},"tagline":"The OpenSearch Project: https://opensearch.org/"}"#;

fn grafana() -> Program {
    let health = "{\n  \"commit\": \"03f502a94d17f7dc4e6c34acdf8428aedd986e4c\",\n  \"database\": \"ok\",\n  \"version\": \"10.4.0\"\n}";
    Program::empty().with("/api/health", 200, health).otherwise(302, "").with_header("/api/echo", "location", "/login")
}

/// What every component of Loki answers.
fn loki() -> Program {
    Program::empty().with("/loki/api/v1/status/buildinfo", 200, BUILD)
}

/// What every component of Tempo answers.
fn tempo() -> Program {
    Program::empty().with("/api/status/buildinfo", 200, BUILD)
}

#[test]
fn each_product_is_told_by_its_own_answer() {
    let kibana = r#"{"name":"kibana","uuid":"5b2de169","version":{"number":"8.13.0","build_hash":"h","build_number":72000,"build_snapshot":false},"status":{"overall":{"level":"available"}}"#;
    for (product, path, program) in [
        (Product::Loki, "", loki().with(LABELS, 200, r#"{"status":"success","data":["app","namespace"]}"#)),
        // It has no logs yet.
        (Product::Loki, "", loki().with(LABELS, 200, r#"{"status":"success"}"#)),
        (Product::Tempo, "", tempo().with("/api/echo", 200, "echo\n")),
        (Product::Tempo, "", Program::empty().with("/api/echo", 200, "echo\n").with("/api/status/buildinfo", 404, "")),
        (Product::Jaeger, "", Program::empty().with("/api/services", 200, SERVICES)),
        (
            Product::Jaeger,
            "",
            Program::empty().with(
                "/",
                200,
                "<!doctype html><html><head><base href=\"/\" data-inject-target=\"BASE_URL\"/><title>Jaeger UI</title>",
            ),
        ),
        (
            Product::VictoriaTraces,
            "/select/jaeger",
            Program::empty().with("/select/jaeger/api/services", 200, SERVICES),
        ),
        (
            Product::Zipkin,
            "",
            Program::empty().with("/info", 200, r#"{"zipkin":{"version":"2.24.3","commit":"ab12"}}"#),
        ),
        (
            Product::Zipkin,
            "",
            Program::empty().with("/health", 200, r#"{"status":"UP","zipkin":{"status":"UP","details":{}}}"#),
        ),
        (Product::Elasticsearch, "", Program::empty().with("/", 200, ELASTICSEARCH)),
        (Product::OpenSearch, "", Program::empty().with("/", 200, OPENSEARCH)),
        (Product::Kibana, "", Program::empty().with_start("/api/status", 200, kibana)),
        (
            Product::Kibana,
            "",
            Program::empty().with("/api/status", 200, "{}").with_header("/api/status", "osd-name", "d-0"),
        ),
        (Product::VictoriaLogs, "", Program::empty().with("/", 200, "<h2>Single-node VictoriaLogs</h2></br>")),
    ] {
        let identity = program.identify(product, path);
        assert_eq!(identity.verdict, Verdict::Confirmed, "{product}: {identity:?}");
        assert_eq!(identity.path.as_deref(), Some(path), "{product}: {identity:?}");
        assert_eq!((identity.scheme, identity.class), (Some(Scheme::Http), Class::Answered(200)), "{product}");
    }
}

#[test]
fn build_information_without_queries_counts_only_from_prometheus() {
    let build = |version: &str| {
        let body = format!(
            r#"{{"status":"success","data":{{"version":"{version}","revision":"r","branch":"b","buildUser":"u","buildDate":"d","goVersion":"go1.22"}}}}"#
        );
        Program::empty().with("/api/v1/status/buildinfo", 200, &body)
    };
    assert_eq!(build("2.53.0").identify(Product::Prometheus, "").verdict, Verdict::Confirmed);
    assert_eq!(build("3.1.0").identify(Product::Prometheus, "").verdict, Verdict::Confirmed);
    // Thanos' stores, whose router does not have the path of queries, and Pyroscope.
    for version in ["0.36.1", "1.7.1", "main"] {
        let build = |version| build(version).otherwise(404, NO_SUCH_PATH);
        assert_eq!(build(version).identify(Product::Prometheus, "").verdict, Verdict::Unknown, "{version}");
        // Cortex, which asks for a tenant.
        let behind_login = build(version).with("/api/v1/query?query=1", 401, "no org id\n");
        assert_eq!(behind_login.identify(Product::Mimir, "").verdict, Verdict::Confirmed, "{version}");
    }
}

#[test]
fn a_component_that_answers_no_queries_is_not_confirmed() {
    // A distributor, an ingester, a compactor: the build information is the same, and the path of queries does not exist.
    for (product, path, component) in [
        (Product::Loki, "", loki()),
        (Product::Tempo, "", tempo()),
        // Every component has it beside the prefix of the Prometheus API, and the ruler has it below the prefix, too.
        (Product::Prometheus, "", Program::empty().with("/api/v1/status/buildinfo", 200, MIMIR)),
        (Product::Mimir, "/prometheus", Program::empty().with("/api/v1/status/buildinfo", 200, MIMIR)),
        (Product::Mimir, "/prometheus", Program::empty().with("/prometheus/api/v1/status/buildinfo", 200, MIMIR)),
    ] {
        let identity = component.otherwise(404, NO_SUCH_PATH).identify(product, path);
        assert_eq!((identity.verdict, identity.path.as_deref()), (Verdict::Unknown, None), "{product}: {identity:?}");
    }
}

#[test]
fn a_proxy_that_does_not_pass_queries_on_does_not_show_that_there_are_none() {
    let thanos = r#"{"status":"success","data":{"version":"0.36.1","revision":"r","branch":"b","buildUser":"u","buildDate":"d","goVersion":"go1.22"}}"#;
    for (product, path, program) in [
        (Product::Loki, "", loki()),
        (Product::Loki, "", loki().with(LABELS, 503, "")),
        (Product::Tempo, "", tempo()),
        (Product::Thanos, "", Program::empty().with("/api/v1/status/buildinfo", 200, thanos)),
        (Product::Mimir, "/prometheus", Program::empty().with("/prometheus/api/v1/status/buildinfo", 200, MIMIR)),
    ] {
        let identity = program.otherwise(404, "<html><title>404 Not Found</title></html>").identify(product, path);
        assert_eq!((identity.verdict, identity.path.as_deref()), (Verdict::Confirmed, Some(path)), "{identity:?}");
    }
}

#[test]
fn queries_that_need_a_tenant_are_queries() {
    for (product, path, program) in [
        (Product::Loki, "", loki().with(LABELS, 401, "no org id\n")),
        (
            Product::Loki,
            "/loki",
            Program::empty().with(&format!("/loki{LABELS}"), 401, "no org id\n").with(
                "/loki/loki/api/v1/status/buildinfo",
                200,
                BUILD,
            ),
        ),
        (
            Product::Mimir,
            "/prometheus",
            Program::empty().with("/prometheus/api/v1/query?query=1", 401, "no org id\n").with(
                "/prometheus/api/v1/status/buildinfo",
                200,
                MIMIR,
            ),
        ),
    ] {
        let identity = program.identify(product, path);
        assert_eq!((identity.verdict, identity.path.as_deref()), (Verdict::Confirmed, Some(path)), "{identity:?}");
        // The usual path is asked the same way.
        let identity = program.identify(product, "");
        assert_eq!((identity.verdict, identity.path.as_deref()), (Verdict::Confirmed, Some(path)), "{identity:?}");
    }
}

#[test]
fn labels_alone_are_not_loki() {
    let program = Program::empty().with(LABELS, 200, r#"{"status":"success","data":["app"]}"#);
    assert_eq!(program.identify(Product::Loki, "").verdict, Verdict::Unknown);
}

#[test]
fn the_path_of_grafana_comes_from_its_root_page() {
    // It redirects to its login, and the Location shows the sub path.
    let identity = grafana().identify(Product::Grafana, "");
    assert_eq!((identity.verdict, identity.path.as_deref()), (Verdict::Confirmed, Some("")));

    let health = r#"{"commit":"c","database":"ok","version":"10.4.0"}"#;
    let served = Program::empty().with("/api/health", 200, health).with("/grafana/api/health", 200, health);
    for location in ["/grafana/login", "/grafana/", "http://prometheus.monitoring:9090/grafana/"] {
        let identity = served.clone().redirecting("/", location).identify(Product::Grafana, "");
        assert_eq!(identity.path.as_deref(), Some("/grafana"), "{location}: {identity:?}");
    }
    let page = "<!DOCTYPE html><html><head><title>Grafana</title><base href=\"/grafana/\" /></head>";
    let identity = served.clone().with("/", 200, page).identify(Product::Grafana, "");
    assert_eq!(identity.path.as_deref(), Some("/grafana"), "{identity:?}");

    // `root_url` is the address for browsers. Its path is not taken, but the usual one is asked.
    let identity = served.redirecting("/", "https://grafana.example.com/grafana/").identify(Product::Grafana, "");
    assert_eq!(identity.path.as_deref(), Some("/grafana"), "{identity:?}");
}

#[test]
fn a_root_url_that_grafana_does_not_serve_is_not_its_path() {
    let identity = grafana().redirecting("/", "/grafana/login").identify(Product::Grafana, "");
    assert_eq!((identity.verdict, identity.path.as_deref()), (Verdict::Confirmed, Some("")), "{identity:?}");
}

#[test]
fn a_grafana_below_another_host_keeps_its_path_unproven() {
    let program = Program::empty()
        .with("/api/health", 200, r#"{"database":"ok"}"#)
        .redirecting("/", "https://dashboards.example.com/d/");
    let identity = program.identify(Product::Grafana, "");
    assert_eq!((identity.verdict, identity.path), (Verdict::Confirmed, None));
}

#[test]
fn the_base_path_of_jaeger_comes_from_its_page_or_its_usual_place() {
    let page =
        "<!doctype html><html><head><title>Jaeger UI</title><base href=\"/traces/\" data-inject-target=\"BASE_URL\"/>";
    let program = Program::empty().with("/traces/api/services", 200, SERVICES);
    let identity = program.clone().with("/", 200, page).identify(Product::Jaeger, "");
    assert_eq!(identity.path.as_deref(), Some("/traces"), "{identity:?}");
    // Newer pages compute it. The page itself is at the base path.
    let computed = "<!doctype html><script>'<base href=\"' + safe + '\" data-inject-target=\"BASE_URL\" />'</script><title>Jaeger UI</title>";
    let identity = Program::empty().with("/", 200, computed).identify(Product::Jaeger, "");
    assert_eq!((identity.verdict, identity.path.as_deref()), (Verdict::Confirmed, Some("")), "{identity:?}");
    let usual = Program::empty().with("/jaeger/api/services", 200, SERVICES);
    assert_eq!(usual.identify(Product::Jaeger, "").path.as_deref(), Some("/jaeger"));
    assert_eq!(program.identify(Product::Jaeger, "").verdict, Verdict::Unknown);
}

#[test]
fn elasticsearch_and_opensearch_confirm_each_other_because_a_client_can_use_either() {
    let opensearch = Program::empty().with("/", 200, OPENSEARCH);
    let elasticsearch = Program::empty().with("/", 200, ELASTICSEARCH);
    let as_one = |program: &Program, product| program.identify(product, "").verdict;
    assert_eq!(as_one(&opensearch, Product::Elasticsearch), Verdict::Confirmed);
    assert_eq!(as_one(&elasticsearch, Product::OpenSearch), Verdict::Confirmed);
    assert_eq!(as_one(&elasticsearch, Product::Prometheus), Verdict::Denied { is: "Elasticsearch" });
    assert_eq!(as_one(&opensearch, Product::Prometheus), Verdict::Denied { is: "OpenSearch" });
    assert_eq!(as_one(&opensearch, Product::Kibana), Verdict::Denied { is: "OpenSearch" });
}

#[test]
fn loki_and_an_old_tempo_on_its_port_are_told_apart() {
    for tempo in [tempo(), tempo().with("/api/echo", 200, "echo\n")] {
        assert_eq!(tempo.identify(Product::Loki, "").verdict, Verdict::Denied { is: "Tempo" });
    }
    for loki in [loki(), loki().with(LABELS, 200, r#"{"status":"success"}"#), loki().with(LABELS, 401, "no org id\n")] {
        assert_eq!(loki.identify(Product::Tempo, "").verdict, Verdict::Denied { is: "Loki" });
    }
}

#[test]
fn a_port_with_tls_is_found_behind_a_claimed_http() {
    for plain in [
        Plain::Says("Client sent an HTTP request to an HTTPS server.\n"),
        Plain::Says("<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"),
        Plain::Says(""),
        Plain::Resets,
    ] {
        let program = Program::empty().with("/", 200, ELASTICSEARCH).behind_tls(&plain);
        let identity = program.identify(Product::Elasticsearch, "");
        assert_eq!((identity.verdict, identity.scheme), (Verdict::Confirmed, Some(Scheme::Https)), "{identity:?}");
    }
}
