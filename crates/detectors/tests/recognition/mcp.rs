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

#[test]
fn toolhive_declares_its_proxies_and_not_the_servers_behind_them() {
    let labels = "app=mcpserver @name=mcpserver @instance=fetch toolhive=true toolhive-name=fetch";
    let proxy = service("mcp-fetch-proxy").both(labels).ports("http:8080");
    assert_eq!(url(&proxy), "http://:8080/mcp");
    let finding = proxy.finding(Product::MCP).expect("found");
    assert_eq!(finding.confidence, Confidence::High);
    assert!(finding.assumed.path, "with the SSE transport it is /sse");
    assert_eq!(finding.decided_by, "label app.kubernetes.io/name=mcpserver");
    let behind = service("mcp-fetch-headless").both(labels).ports("http:8080").headless();
    assert!(matches!(behind.finding(Product::MCP).expect("known").outcome, Outcome::NotAnEndpoint { .. }));
}

#[test]
fn kagenti_declares_tools_by_the_existence_of_a_label() {
    for label in ["protocol.kagenti.io/mcp=", "protocol.kagenti.io/mcp=true", "kagenti.io/protocol=mcp"] {
        let tool = service("weather-tool").labels(&format!("kagenti.io/type=tool {label}")).ports("http:8000");
        assert_eq!(url(&tool), "http://:8000/mcp", "{label}");
    }
    let agent = service("weather").labels("kagenti.io/type=agent protocol.kagenti.io/a2a=").ports("http:8000");
    assert!(agent.finding(Product::MCP).is_none());
}

#[test]
fn teleports_annotations_say_protocol_port_and_path() {
    let server = service("docs")
        .annotations("teleport.dev/protocol=mcp+https teleport.dev/port=web teleport.dev/path=v1/mcp")
        .ports("http:80 web:8443");
    assert_eq!(url(&server), "https://:8443/v1/mcp");
    assert!(!server.finding(Product::MCP).expect("found").assumed.scheme);
    let website = service("docs").annotations("teleport.dev/protocol=https teleport.dev/port=web").ports("web:8443");
    assert!(website.finding(Product::MCP).is_none());
}

#[test]
fn the_word_mcp_and_a_port_of_that_name_agree() {
    let server = service("weather-mcp-server").both("app=weather").ports("mcp:8011 metrics:9090");
    let finding = server.finding(Product::MCP).expect("found");
    assert_eq!(finding.confidence, Confidence::Medium);
    assert_eq!(finding.decided_by, "the Service's name weather-mcp-server and port mcp 8011");
}
