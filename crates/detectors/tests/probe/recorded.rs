//! What real programs answer. Each file in `recorded/` says which program it was and how it was started. The bodies were cut
//! after 4,096 bytes.

use detectors::{
    Product, Scheme,
    probe::{Class, Identity, Verdict},
};

use crate::program::Program;

fn identify(recording: &str, product: Product, path: &str) -> Identity {
    Program::recorded(recording).identify(product, path)
}

#[track_caller]
fn assert_confirmed(recording: &str, product: Product, claimed: &str, scheme: Scheme, path: &str) {
    let identity = identify(recording, product, claimed);
    assert_eq!(identity.verdict, Verdict::Confirmed, "{recording}: {identity:?}");
    assert_eq!(identity.scheme, Some(scheme), "{recording}: {identity:?}");
    assert_eq!(identity.path.as_deref(), Some(path), "{recording}: {identity:?}");
}

#[test]
fn a_real_program_is_confirmed_with_its_scheme_and_path() {
    for (recording, product, claimed, scheme, path) in [
        ("prometheus", Product::Prometheus, "", Scheme::Http, ""),
        ("prometheus-route-prefix", Product::Prometheus, "", Scheme::Http, "/prom"),
        ("prometheus-external-url", Product::Prometheus, "", Scheme::Http, "/monitoring/prom"),
        ("prometheus-stripped", Product::Prometheus, "", Scheme::Http, ""),
        ("prometheus-stripped", Product::Prometheus, "/prom", Scheme::Http, ""),
        ("prometheus-tls", Product::Prometheus, "", Scheme::Https, ""),
        ("alertmanager", Product::Alertmanager, "", Scheme::Http, ""),
        ("alertmanager-long", Product::Alertmanager, "", Scheme::Http, ""),
        ("alertmanager-route-prefix", Product::Alertmanager, "", Scheme::Http, "/am"),
        ("victoria-metrics", Product::VictoriaMetrics, "", Scheme::Http, ""),
        ("victoria-metrics", Product::VictoriaMetrics, "/prometheus", Scheme::Http, "/prometheus"),
        ("victoria-metrics-tls", Product::VictoriaMetrics, "", Scheme::Https, ""),
        ("victoria-logs", Product::VictoriaLogs, "", Scheme::Http, ""),
        ("thanos-query", Product::Thanos, "", Scheme::Http, ""),
        ("thanos-query-prefix", Product::Thanos, "", Scheme::Http, "/thanos"),
    ] {
        assert_confirmed(recording, product, claimed, scheme, path);
    }
}

#[test]
fn products_with_the_api_of_prometheus_confirm_as_a_family() {
    for product in [Product::Prometheus, Product::Thanos, Product::VictoriaMetrics, Product::Mimir] {
        for recording in ["prometheus", "thanos-query", "victoria-metrics"] {
            assert_confirmed(recording, product, "", Scheme::Http, "");
        }
    }
}

#[test]
fn a_path_that_nothing_shows_stays_unknown() {
    for (recording, product) in
        [("victoria-metrics-prefix", Product::VictoriaMetrics), ("victoria-logs-prefix", Product::VictoriaLogs)]
    {
        let identity = identify(recording, product, "");
        assert_eq!((identity.verdict, identity.path), (Verdict::Unknown, None), "{recording}");
    }
    assert_confirmed("victoria-metrics-prefix", Product::VictoriaMetrics, "/vm", Scheme::Http, "/vm");
    assert_confirmed("victoria-logs-prefix", Product::VictoriaLogs, "/logs", Scheme::Http, "/logs");
}

#[test]
fn a_login_proves_the_scheme_and_nothing_else() {
    let identity = identify("prometheus-login", Product::Prometheus, "");
    assert_eq!(identity.verdict, Verdict::Unknown);
    assert_eq!((identity.scheme, identity.path), (Some(Scheme::Http), None));
    assert_eq!(identity.class, Class::Answered(401));
}

#[test]
fn a_component_that_answers_no_queries_is_not_confirmed() {
    for product in [Product::Thanos, Product::Prometheus] {
        assert_eq!(identify("thanos-store", product, "").verdict, Verdict::Unknown, "{product}");
    }
    assert_eq!(identify("victoria-logs-insert", Product::VictoriaLogs, "").verdict, Verdict::Unknown);
}

#[test]
fn a_look_alike_is_denied_by_its_own_mark() {
    for (recording, product, is) in [
        ("pushgateway", Product::Prometheus, "Pushgateway"),
        ("node-exporter", Product::Prometheus, "node exporter"),
        ("node-exporter", Product::Elasticsearch, "node exporter"),
        ("blackbox-exporter", Product::Prometheus, "blackbox exporter"),
        ("prometheus-agent", Product::Prometheus, "Prometheus in agent mode"),
        ("alertmanager", Product::Prometheus, "Alertmanager"),
        ("victoria-logs", Product::VictoriaMetrics, "VictoriaLogs"),
        ("victoria-metrics", Product::VictoriaLogs, "VictoriaMetrics"),
        ("prometheus", Product::Alertmanager, "Prometheus"),
    ] {
        let identity = identify(recording, product, "");
        assert_eq!(identity.verdict, Verdict::Denied { is }, "{recording} as {product}: {identity:?}");
    }
}

/// All recordings, the products that they are, and the names under which they are denied.
const RECORDINGS: &[(&str, &[Product], &[&str])] = &[
    ("prometheus", PROMQL, &["Prometheus"]),
    ("prometheus-route-prefix", PROMQL, &[]),
    ("prometheus-external-url", PROMQL, &[]),
    ("prometheus-stripped", PROMQL, &["Prometheus"]),
    ("prometheus-agent", &[], &["Prometheus in agent mode"]),
    ("prometheus-tls", PROMQL, &["Prometheus"]),
    ("prometheus-login", &[], &[]),
    ("alertmanager", &[Product::Alertmanager], &["Alertmanager"]),
    ("alertmanager-long", &[Product::Alertmanager], &["Alertmanager"]),
    ("alertmanager-route-prefix", &[Product::Alertmanager], &["Alertmanager"]),
    ("pushgateway", &[], &["Pushgateway"]),
    ("node-exporter", &[], &["node exporter"]),
    ("blackbox-exporter", &[], &["blackbox exporter"]),
    ("victoria-metrics", PROMQL, &["VictoriaMetrics", "Prometheus"]),
    ("victoria-metrics-prefix", &[], &[]),
    ("victoria-metrics-tls", PROMQL, &["VictoriaMetrics", "Prometheus"]),
    ("victoria-logs", &[Product::VictoriaLogs], &["VictoriaLogs"]),
    ("victoria-logs-insert", &[], &["VictoriaLogs"]),
    ("victoria-logs-prefix", &[], &[]),
    ("thanos-query", PROMQL, &["Prometheus", "Thanos"]),
    ("thanos-query-prefix", PROMQL, &["Thanos"]),
    ("thanos-store", &[], &["Thanos"]),
];

const PROMQL: &[Product] = &[Product::Prometheus, Product::Thanos, Product::Mimir, Product::VictoriaMetrics];

#[test]
fn no_program_is_taken_for_another_one_whatever_it_is_thought_to_be() {
    for (recording, is, denied_as) in RECORDINGS {
        for product in Product::ALL.iter().filter(|product| !matches!(product, Product::MCP | Product::Custom)) {
            for path in ["", "/x", "/prometheus", "/select/jaeger"] {
                let identity = identify(recording, *product, path);
                match identity.verdict {
                    Verdict::Confirmed => {
                        assert!(is.contains(product), "{recording} as {product} at {path}: {identity:?}");
                    }
                    Verdict::Denied { is: name } => {
                        assert!(
                            !is.contains(product) && denied_as.contains(&name),
                            "{recording} as {product}: {identity:?}"
                        );
                    }
                    Verdict::Unknown => {}
                }
            }
        }
    }
}

#[test]
fn every_recording_is_tested_and_says_what_it_is() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/probe/recorded");
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .expect("the recordings")
        .map(|entry| entry.expect("a recording").file_name().to_string_lossy().replace(".json", ""))
        .collect();
    names.sort();
    let mut tested: Vec<&str> = RECORDINGS.iter().map(|(name, ..)| *name).collect();
    tested.sort_unstable();
    assert_eq!(names, tested);
    for name in names {
        let program = Program::recorded(&name);
        assert!(!program.name.is_empty() && !program.how.is_empty(), "{name}");
    }
}
