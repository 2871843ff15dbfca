//! The paths of health, and what an answer says.

use detectors::{
    Product,
    probe::{Answer, Class, Health, health, health_paths},
};

fn response(status: u16) -> Answer<'static> {
    Answer::Response { status, header: &|_| None, body: b"", is_cut: false }
}

#[test]
fn every_product_has_its_own_path_of_health() {
    for (product, path, first) in [
        (Product::Prometheus, "", "/-/ready"),
        (Product::Prometheus, "/prom", "/prom/-/ready"),
        (Product::Alertmanager, "/am", "/am/-/ready"),
        (Product::Thanos, "", "/-/ready"),
        (Product::Mimir, "/prometheus", "/ready"),
        (Product::Mimir, "/metrics/prometheus", "/metrics/ready"),
        (Product::Mimir, "/api/prom", "/ready"),
        (Product::VictoriaMetrics, "", "/health"),
        (Product::VictoriaMetrics, "/select/0/prometheus", "/health"),
        (Product::VictoriaMetrics, "/vm/select/7/prometheus", "/vm/health"),
        (Product::VictoriaLogs, "/logs", "/logs/health"),
        (Product::VictoriaTraces, "/select/jaeger", "/health"),
        (Product::Grafana, "/grafana", "/grafana/api/health"),
        (Product::Loki, "", "/ready"),
        (Product::Tempo, "", "/ready"),
        (Product::Jaeger, "/jaeger", "/jaeger/"),
        (Product::Zipkin, "", "/health"),
        (Product::Elasticsearch, "", "/_cluster/health"),
        (Product::OpenSearch, "", "/_cluster/health"),
        (Product::Kibana, "/kibana", "/kibana/api/status"),
    ] {
        assert_eq!(health_paths(product, path).first().map(String::as_str), Some(first), "{product} {path}");
    }
}

#[test]
fn other_paths_follow_where_a_gateway_passes_on_only_the_api() {
    assert!(health_paths(Product::Loki, "").contains(&"/loki/api/v1/status/buildinfo".to_owned()));
    assert!(health_paths(Product::Tempo, "").contains(&"/api/echo".to_owned()));
    assert!(health_paths(Product::Mimir, "/prometheus").contains(&"/prometheus/api/v1/status/buildinfo".to_owned()));
    for product in [Product::Loki, Product::Tempo, Product::Mimir] {
        assert!(health_paths(product, "").contains(&"/".to_owned()), "{product}");
    }
}

#[test]
fn health_that_has_no_prefix_is_asked_at_the_root_too() {
    assert_eq!(health_paths(Product::Thanos, "/thanos")[..2], ["/thanos/-/ready", "/-/ready"]);
    assert_eq!(health_paths(Product::Tempo, "/tempo")[..2], ["/tempo/ready", "/ready"]);
}

#[test]
fn no_path_is_listed_twice_and_each_is_absolute() {
    for product in Product::ALL {
        for path in ["", "/", "/x", "/x/", "/prometheus", "/select/0/prometheus", "/select/jaeger"] {
            let all = health_paths(*product, path);
            for (at, one) in all.iter().enumerate() {
                assert!(one.starts_with('/') && !one.starts_with("//"), "{product} {path}: {one}");
                assert!(!all[..at].contains(one), "{product} {path}: {one}");
            }
        }
    }
}

#[test]
fn mcp_servers_and_custom_types_are_never_asked() {
    assert_eq!(health_paths(Product::MCP, "/mcp"), Vec::<String>::new());
    assert_eq!(health_paths(Product::Custom, "/x"), Vec::<String>::new());
}

#[test]
fn a_login_a_redirect_and_too_many_requests_mean_that_the_program_is_there() {
    for status in [200, 204, 301, 302, 307, 401, 403, 405, 429] {
        assert_eq!(health(&response(status)), Health::There, "{status}");
    }
}

#[test]
fn a_missing_path_leads_to_the_next_one() {
    for status in [400, 404, 410, 422] {
        assert_eq!(health(&response(status)), Health::NotFound, "{status}");
    }
}

#[test]
fn everything_else_is_a_failure() {
    for status in [500, 503, 101, 600, 0] {
        assert_eq!(health(&response(status)), Health::Failing(Class::Answered(status)), "{status}");
    }
    for (answer, class) in [
        (Answer::Refused, Class::Refused),
        (Answer::Timeout, Class::Timeout),
        (Answer::Unreadable, Class::Unreadable),
        (Answer::NoTls, Class::NoTls),
        (Answer::Unreachable, Class::Unreachable),
        (Answer::Reset, Class::Reset),
    ] {
        assert_eq!(health(&answer), Health::Failing(class));
    }
}

#[test]
fn a_class_reads_as_text_and_has_nothing_of_the_answer() {
    assert_eq!(response(404).class().to_string(), "status code 404");
    let answer = Answer::Response { status: 200, header: &|_| Some("secret"), body: b"secret", is_cut: false };
    assert_eq!(format!("{answer:?} {}", answer.class()), "Answered(200) status code 200");
}
