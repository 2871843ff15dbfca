//! What is asked, and how often.

use std::borrow::Cow;

use detectors::{
    Assumed, Product, Scheme, Target,
    probe::{Answer, Class, Identification, Verdict},
};

use crate::program::{ALL, HOST, PORT, Plain, Program, target};

const QUERY: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#;

#[test]
fn a_confirmed_product_needs_one_request() {
    let identity = Program::recorded("prometheus").identify(Product::Prometheus, "");
    assert_eq!(identity.asked, ["GET /api/v1/query?query=1 over http"]);
}

#[test]
fn mcp_servers_and_custom_types_are_never_asked() {
    for product in [Product::MCP, Product::Custom] {
        assert!(Identification::of(product, &target(""), ALL, HOST, PORT).is_none());
    }
}

#[test]
fn a_path_that_is_not_plain_is_never_asked() {
    for path in ["/a b", "/..", "//evil", "/@evil", "/a?b"] {
        assert!(Identification::of(Product::Prometheus, &target(path), ALL, HOST, PORT).is_none(), "{path}");
    }
}

#[test]
fn a_known_path_is_never_left() {
    let known = Assumed { path: false, ..ALL };
    let elsewhere =
        Program::empty().with("/prometheus/api/v1/query?query=1", 200, QUERY).redirecting("/x/", "/prometheus/graph");
    let identity = elsewhere.identify_with(Product::Prometheus, &target("/x"), known);
    assert_eq!((identity.verdict, identity.path), (Verdict::Unknown, None));
    assert!(
        identity.asked.iter().all(|asked| asked.starts_with("GET /x/") || asked.starts_with("GET /api/v2/status")),
        "{:?}",
        identity.asked
    );
}

#[test]
fn a_known_scheme_is_never_left() {
    let known = Assumed { scheme: false, ..ALL };
    let program = Program::empty().with("/api/v1/query?query=1", 200, QUERY);
    let with_tls = program.clone().behind_tls(&Plain::Resets);
    let identity = with_tls.identify_with(Product::Prometheus, &target(""), known);
    assert_eq!((identity.verdict, identity.scheme, identity.asked.len()), (Verdict::Unknown, None, 1));
    let https = Target { port: PORT, scheme: Scheme::Https, path: Cow::Borrowed("") };
    let identity = program.identify_with(Product::Prometheus, &https, known);
    assert_eq!((identity.verdict, identity.scheme, identity.class), (Verdict::Unknown, None, Class::NoTls));
    let identity = with_tls.identify_with(Product::Prometheus, &https, known);
    assert_eq!((identity.verdict, identity.scheme), (Verdict::Confirmed, Some(Scheme::Https)));
}

#[test]
fn a_redirect_to_another_host_is_not_asked() {
    for location in [
        "https://evil.example/prom",
        "//evil.example/prom",
        "http://prometheus.monitoring.svc.cluster.local@evil.example/prom",
        "http://prometheus.monitoring.svc.cluster.local:9091/prom",
        "/\\evil.example/prom",
        "http://169.254.169.254/prom",
        "/prom/../../x",
    ] {
        let program = Program::empty().otherwise(302, "").with_header("/api/echo", "location", location);
        let identity = program.identify(Product::Prometheus, "");
        let usual = ["/api/", "/prometheus/api/", "/prom/api/", "/ "];
        let is_usual = |asked: &String| usual.iter().any(|start| asked["GET ".len()..].starts_with(start));
        assert!(identity.asked.iter().all(is_usual), "{location}: {:?}", identity.asked);
    }
}

#[test]
fn a_redirect_of_the_question_itself_shows_the_path_too() {
    let program = Program::empty().redirecting("/api/v1/query?query=1", "/metrics/api/v1/query?query=1").with(
        "/metrics/api/v1/query?query=1",
        200,
        QUERY,
    );
    let identity = program.identify(Product::Prometheus, "");
    assert_eq!(identity.path.as_deref(), Some("/metrics"), "{identity:?}");
}

#[test]
fn the_part_of_a_path_that_is_the_apis_stays_behind_the_one_that_is_found() {
    let program =
        Program::empty().redirecting("/", "/mimir/").with("/mimir/prometheus/api/v1/query?query=1", 200, QUERY);
    let identity = program.identify(Product::Mimir, "/prometheus");
    assert_eq!(identity.path.as_deref(), Some("/mimir/prometheus"), "{identity:?}");
}

#[test]
fn a_pod_that_cannot_be_reached_is_asked_once() {
    for (answer, class) in [(Answer::Refused, Class::Refused), (Answer::Unreachable, Class::Unreachable)] {
        let mut identification =
            Identification::of(Product::Grafana, &target(""), ALL, HOST, PORT).expect("a product to ask");
        identification.answered(&answer);
        assert_eq!(identification.request(), None);
        let identity = identification.identity();
        assert_eq!((identity.verdict, identity.class, identity.scheme), (Verdict::Unknown, class, None));
        // Later answers change nothing.
        identification.answered(&Answer::Reset);
        assert_eq!(identification.identity(), identity);
    }
}

#[test]
fn a_question_that_takes_too_long_is_not_the_end_but_two_are() {
    let begin = || Identification::of(Product::Prometheus, &target(""), ALL, HOST, PORT).expect("a product to ask");
    let build = Program::recorded("prometheus");
    let mut identification = begin();
    identification.answered(&Answer::Timeout);
    let request = identification.request().expect("another question");
    assert_eq!(request.path, "/api/v1/status/buildinfo");
    build.answer(&request, |answer| identification.answered(answer));
    assert_eq!(identification.identity().verdict, Verdict::Confirmed);

    let mut identification = begin();
    identification.answered(&Answer::Timeout);
    identification.answered(&Answer::Timeout);
    assert_eq!(identification.request(), None);
    assert_eq!(identification.identity().class, Class::Timeout);
}

#[test]
fn nothing_is_denied_before_all_was_asked() {
    let mut identification =
        Identification::of(Product::Prometheus, &target(""), ALL, HOST, PORT).expect("a product to ask");
    let page = b"<title>Prometheus Pushgateway</title>";
    while identification.request().is_some() {
        assert_eq!(identification.identity().verdict, Verdict::Unknown);
        identification.answered(&Answer::Response { status: 200, header: &|_| None, body: page, is_cut: false });
    }
    assert_eq!(identification.identity().verdict, Verdict::Denied { is: "Pushgateway" });
}
