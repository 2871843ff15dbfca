//! Model Context Protocol servers.

use detectors::{Confidence, Outcome, Product};

use crate::fixture::{Fixture, service};

fn url(fixture: &Fixture) -> String {
    match fixture.finding(Product::MCP).map(|finding| finding.outcome) {
        Some(Outcome::Endpoint(target)) => format!("{}://:{}{}", target.scheme, target.port, target.path),
        other => format!("{other:?}"),
    }
}

#[test]
fn kagents_label_and_annotations_are_read() {
    let plain = service("tools").labels("kagent.dev/mcp-service=true").ports("metrics:9090 http:8080>http[mcp]");
    assert_eq!(url(&plain), "http://:8080/mcp");
    assert_eq!(plain.finding(Product::MCP).expect("found").confidence, Confidence::High);
    let annotated = service("tools")
        .labels("kagent.dev/mcp-service=true")
        .annotations(
            "kagent.dev/mcp-service-port=8084 kagent.dev/mcp-service-path=/sse kagent.dev/mcp-service-protocol=SSE",
        )
        .ports("http:8080 mcp:8084");
    assert_eq!(url(&annotated), "http://:8084/sse");
}

#[test]
fn the_application_protocol_alone_suffices() {
    for protocol in ["mcp", "kgateway.dev/mcp", "agentgateway.dev/mcp"] {
        let server = service("tools").both("app=tools").ports(&format!("http:8080[{protocol}] other:9000"));
        assert_eq!(url(&server), "http://:8080/mcp", "{protocol}");
    }
}

#[test]
fn discovery_can_be_switched_off_by_its_owner() {
    let off = service("tools")
        .labels("kagent.dev/mcp-service=true")
        .annotations("kagent.dev/discovery=disabled")
        .ports("http:8080[mcp]");
    let outcome = off.finding(Product::MCP).expect("recognised").outcome;
    assert!(matches!(outcome, Outcome::NotAnEndpoint { .. }), "{outcome:?}");
}

#[test]
fn a_port_or_path_that_cannot_be_called_is_refused() {
    for annotation in [
        "kagent.dev/mcp-service-port=9999",
        "kagent.dev/mcp-service-port=http/8080",
        "kagent.dev/mcp-service-path=mcp",
        "kagent.dev/mcp-service-path=@evil.example/x",
        "kagent.dev/mcp-service-path=//evil.example/x",
        "kagent.dev/mcp-service-path=/a/../b",
        "kagent.dev/mcp-service-path=/a?b=c",
    ] {
        let server =
            service("tools").labels("kagent.dev/mcp-service=true").annotations(annotation).ports("http:8080[mcp]");
        let outcome = server.finding(Product::MCP).expect("recognised").outcome;
        assert_eq!(outcome, Outcome::NoUsablePort, "{annotation}");
    }
}

#[test]
fn a_name_says_nothing_of_the_protocol() {
    let server = service("grafana-mcp").both("@name=grafana-mcp").ports("http:8000>http");
    assert!(server.finding(Product::MCP).is_none());
    assert_eq!(server.chosen_url(), "-");
    let named_port = service("tools").both("app=tools").ports("mcp:8011");
    assert_eq!(named_port.finding(Product::MCP).expect("a candidate").confidence, Confidence::Low);
}
