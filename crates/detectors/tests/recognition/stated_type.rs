//! The endpoint of a Service whose product an annotation or a signature states.

use detectors::{Product, Scheme, scheme_of, target_of};

use crate::fixture::{Fixture, service};

fn target(product: Product, fixture: &Fixture) -> Option<(u16, String)> {
    target_of(product, fixture.view()).map(|target| (target.port, target.path.to_string()))
}

#[test]
fn the_products_own_rule_finds_the_port() {
    let service = service("metrics").both("team=a").ports("grpc:10901 http:9090 web:8080");
    assert_eq!(target(Product::Prometheus, &service), Some((9090, String::new())));
    let mimir = crate::fixture::service("metrics").ports("http-metrics:8080 grpc:9095");
    assert_eq!(target(Product::Mimir, &mimir), Some((8080, "/prometheus".to_owned())));
    let select = crate::fixture::service("store").ports("http:8481");
    assert_eq!(target(Product::VictoriaMetrics, &select), Some((8481, "/select/0/prometheus".to_owned())));
}

#[test]
fn evidence_against_the_product_does_not_count() {
    let service = service("prometheus-proxy").both("app=prometheus-proxy").ports("metrics:9091 http:9090");
    assert_eq!(target(Product::Prometheus, &service), Some((9090, String::new())));
}

#[test]
fn otherwise_the_only_tcp_port_is_taken() {
    let one = service("x").ports("strange:1234 strange-udp:1234/UDP");
    assert_eq!(target(Product::Prometheus, &one), Some((1234, String::new())));
    assert_eq!(target(Product::Custom, &one), Some((1234, String::new())));
    let two = service("x").ports("strange:1234 stranger:1235");
    assert_eq!(target(Product::Prometheus, &two), None);
    assert_eq!(target(Product::Custom, &two), None);
    assert_eq!(target(Product::Custom, &service("x").ports("dns:53/UDP")), None);
}

#[test]
fn the_scheme_follows_the_hints_in_their_order() {
    let scheme = |fixture: &Fixture| scheme_of(fixture.view(), &fixture.view().ports[0]);
    let certificate = "service.beta.openshift.io/serving-cert-secret-name=x-tls";
    assert_eq!(scheme(&service("x").ports("http:9200[https]")), Scheme::Https);
    assert_eq!(scheme(&service("x").annotations(certificate).ports("web:9091[http]")), Scheme::Http);
    assert_eq!(scheme(&service("x").ports("https:9200")), Scheme::Https);
    assert_eq!(scheme(&service("x").ports("https-query:443>8443")), Scheme::Https);
    assert_eq!(scheme(&service("x").ports("-:443>https")), Scheme::Https);
    assert_eq!(scheme(&service("x").annotations(certificate).ports("web:9091")), Scheme::Https);
    assert_eq!(scheme(&service("x").ports("http:9200")), Scheme::Http);
    assert_eq!(scheme(&service("x").ports("-:443>5601")), Scheme::Http);
}
