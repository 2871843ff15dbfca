use detectors::{Product, Scheme, ServiceView};

use super::{
    Annotations, ENDPOINT, HEALTH_ENDPOINT, HEALTH_PATH, NAME, PATH, PORT, SCHEME, TOOLSET, TYPE, is_opted_out, read,
};
use crate::fixtures::{annotated, service};

fn with(annotations: &[(&str, &str)]) -> ServiceView {
    annotated(service("db", "vectors", &[("api", 8080), ("metrics", 9100)]), annotations)
}

fn accepted(annotations: &[(&str, &str)]) -> Annotations {
    read(&with(annotations), "cluster.local").unwrap()
}

fn refused(annotations: &[(&str, &str)]) -> String {
    let malformed = read(&with(annotations), "cluster.local").unwrap_err();
    assert!(
        malformed.message.contains(malformed.annotation),
        "the message names the annotation: {}",
        malformed.message
    );
    malformed.message
}

#[test]
fn a_service_without_our_annotations_says_nothing() {
    assert_eq!(accepted(&[("prometheus.io/scrape", "true")]), Annotations::default());
}

#[test]
fn a_type_is_a_product_in_any_case_or_a_free_name() {
    for text in ["prometheus", "Prometheus", "PROMETHEUS"] {
        assert_eq!(accepted(&[(TOOLSET, "enabled"), (TYPE, text)]).stated.unwrap().product, Product::Prometheus);
    }
    let free = accepted(&[(TOOLSET, "true"), (TYPE, "vector-database")]).stated.unwrap();
    assert_eq!((free.product, free.custom.as_deref()), (Product::Custom, Some("vector-database")));
}

#[test]
fn custom_is_a_free_name_like_any_other() {
    for text in ["custom", "Custom"] {
        let free = accepted(&[(TOOLSET, "enabled"), (TYPE, text)]).stated.unwrap();
        assert_eq!((free.product, free.custom.as_deref()), (Product::Custom, Some("custom")));
    }
}

#[test]
fn a_foreign_host_is_refused_with_what_replaces_it() {
    for host in ["api.example", "vectors.db.svc.other.domain"] {
        let why = refused(&[(ENDPOINT, &format!("https://{host}:8080/"))]);
        assert!(why.contains("spec.tools: [{name: vectors, type: …, endpoint: \"https://…\"}]"), "{why}");
    }
    for (stated, written) in [
        ("loki", "type: Loki"),
        ("MCP", "type: MCP"),
        ("vector-database", "type: Custom, customType: vector-database"),
        ("custom", "type: Custom, customType: custom"),
    ] {
        for host in ["api.example", "vectors.db.svc.other.domain"] {
            let why = refused(&[(TYPE, stated), (ENDPOINT, &format!("https://{host}:8080/"))]);
            assert!(why.contains(&format!("[{{name: vectors, {written}, endpoint: ")), "{why}");
        }
    }
    assert!(!refused(&[(HEALTH_ENDPOINT, "https://api.example/")]).contains("spec.tools"));
}

#[test]
fn what_replaces_a_foreign_host_has_a_name_that_a_tool_can_have() {
    for (name, written) in [("a".repeat(63), "a".repeat(40)), (format!("{}-b", "a".repeat(39)), "a".repeat(39))] {
        let view = annotated(service("db", &name, &[("api", 8080)]), &[(ENDPOINT, "https://api.example/")]);
        let why = read(&view, "cluster.local").unwrap_err().message;
        assert!(why.contains(&format!("[{{name: {written}, ")), "{why}");
    }
}

#[test]
fn opting_in_without_a_type_is_malformed() {
    assert!(refused(&[(TOOLSET, "enabled")]).contains("toolset-type"));
}

#[test]
fn an_opt_out_counts_even_beside_a_malformed_annotation() {
    for value in ["disabled", "false"] {
        let view = with(&[(TOOLSET, value), (PORT, "nope")]);
        assert!(is_opted_out(&view));
        assert!(read(&view, "cluster.local").is_ok());
    }
}

#[test]
fn a_port_is_one_that_the_service_declares() {
    assert_eq!(accepted(&[(PORT, "api")]).port, Some(8080));
    assert_eq!(accepted(&[(PORT, "9100")]).port, Some(9100));
    assert!(refused(&[(PORT, "web")]).contains("api (8080), metrics (9100)"));
    refused(&[(PORT, "22")]);
    refused(&[(PORT, "")]);
}

#[test]
fn a_full_url_must_name_the_service_itself() {
    for host in ["vectors", "vectors.db", "vectors.db.svc", "vectors.db.svc.cluster.local", "VECTORS.db"] {
        let read = accepted(&[(ENDPOINT, &format!("https://{host}:8080/base/"))]);
        assert_eq!((read.port, read.scheme, read.path.as_deref()), (Some(8080), Some(Scheme::Https), Some("/base")));
    }
    for url in [
        "http://evil.example:8080/",
        "http://vectors.other:8080/",
        "http://vectors.db.svc.evil.example:8080",
        "http://169.254.169.254/",
        "http://vectors:22/",
        "http://vectors/",
        "http://vectors@evil.example:8080/",
        "http://x:y@vectors:8080/",
        "http://vectors:8080/?q=1",
        "http://vectors:8080#@evil.example",
        "http://vectors:8080\\@evil.example",
        "http://[::ffff:a9fe:a9fe]:8080/",
        "ftp://vectors:8080",
        "//vectors:8080",
        "http://vectors.:8080/",
        "http://0251.0376.0251.0376:8080/",
        "http://vectors:8080/%2f..",
        "http://vectors:8080/../x",
    ] {
        refused(&[(ENDPOINT, url)]);
    }
}

#[test]
fn a_full_url_may_not_contradict_the_other_annotations() {
    assert!(refused(&[(ENDPOINT, "http://vectors:8080/"), (PORT, "metrics")]).contains("contradicts"));
    assert_eq!(accepted(&[(ENDPOINT, "http://vectors:8080/"), (PORT, "api")]).port, Some(8080));
}

#[test]
fn text_that_a_reader_could_expand_is_malformed() {
    for key in [TOOLSET, TYPE, PORT, SCHEME, PATH, ENDPOINT, HEALTH_PATH, HEALTH_ENDPOINT, NAME] {
        refused(&[(TYPE, "prometheus"), (key, "{{ env.TOKEN }}")]);
        refused(&[(TYPE, "prometheus"), (key, "a\u{202e}b")]);
        refused(&[(TYPE, "prometheus"), (key, &"a".repeat(257))]);
    }
}

#[test]
fn the_predecessors_health_annotation_is_read_as_a_path_or_a_url_of_the_service() {
    assert_eq!(accepted(&[(HEALTH_ENDPOINT, "/healthz")]).health_path.as_deref(), Some("/healthz"));
    assert_eq!(
        accepted(&[(HEALTH_ENDPOINT, "http://vectors.db:8080/healthz")]).health_path.as_deref(),
        Some("/healthz")
    );
    assert_eq!(accepted(&[(HEALTH_PATH, "/ready"), (HEALTH_ENDPOINT, "/old")]).health_path.as_deref(), Some("/ready"));
    refused(&[(HEALTH_ENDPOINT, "http://evil.example/healthz")]);
}

#[test]
fn other_malformed_forms_are_refused_in_words() {
    assert!(refused(&[(TOOLSET, "yes")]).contains("\"enabled\" or \"disabled\""));
    refused(&[(TYPE, "Vector DB")]);
    refused(&[(TYPE, "")]);
    refused(&[(SCHEME, "HTTPS")]);
    refused(&[(PATH, "@evil.example/x")]);
    refused(&[(NAME, "Main Metrics")]);
    refused(&[(NAME, &"a".repeat(41))]);
}
