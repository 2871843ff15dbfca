//! The scheme of a port, as the Service shows it or suggests it.

use detectors::{Scheme, scheme_of, shown_scheme};

use crate::fixture::service;

const CERTIFICATE: &str = "service.alpha.openshift.io/serving-cert-secret-name=tls";

#[test]
fn a_certificate_belongs_to_the_port_named_https() {
    let two = service("thanos-query").annotations(CERTIFICATE).ports("http:9090 https:9091");
    let shown: Vec<_> = two.view().ports.iter().map(|port| shown_scheme(two.view(), port)).collect();
    assert_eq!(shown, [None, Some(Scheme::Https)]);
    assert_eq!(scheme_of(two.view(), &two.view().ports[0]), Scheme::Http);
    let one = service("prometheus-k8s").annotations(CERTIFICATE).ports("web:9091 tenancy:9092");
    assert_eq!(shown_scheme(one.view(), &one.view().ports[0]), Some(Scheme::Https));
}

#[test]
fn a_number_of_tls_is_a_hint_and_no_proof() {
    for (port, expected) in [
        ("-:443", Scheme::Https),
        ("web:8443", Scheme::Https),
        ("oauth-proxy:9443", Scheme::Https),
        ("web:80>8443", Scheme::Https),
        ("-:443>9200", Scheme::Https),
        // stable/kibana.
        ("-:443>5601", Scheme::Http),
        ("-:443>8080", Scheme::Http),
        ("http:443", Scheme::Http),
        ("-:443>http", Scheme::Http),
        ("-:8443[http]", Scheme::Http),
        ("web:9090", Scheme::Http),
    ] {
        let fixture = service("x").ports(port);
        assert_eq!(scheme_of(fixture.view(), &fixture.view().ports[0]), expected, "{port}");
        if !port.contains('[') {
            assert_eq!(shown_scheme(fixture.view(), &fixture.view().ports[0]), None, "{port}");
        }
    }
}
