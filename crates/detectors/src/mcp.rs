//! Model Context Protocol servers, which say so themselves.
//!
//! | made by | mark | port | path |
//! |---|---|---|---|
//! | kagent | label `kagent.dev/mcp-service: "true"` | annotation `kagent.dev/mcp-service-port`, else the port with `appProtocol: mcp`, else the only one | annotation `kagent.dev/mcp-service-path`, else `/mcp` |
//! | kgateway, agentgateway | `appProtocol: kgateway.dev/mcp`, `agentgateway.dev/mcp` or `mcp` | that port | annotation `kgateway.dev/mcp-path` or `agentgateway.dev/mcp-path`, else `/mcp` |
//!
//! `kagent.dev/discovery: disabled` takes a Service out. A port of the Service named `mcp` is a piece of evidence (Low).

use std::borrow::Cow;

use crate::{
    Confidence, Evidence, EvidenceKind, Explanation, Finding, Outcome, PortView, Product, Protocol, Rank, ServiceView,
    Target, scheme_of,
};

const LABEL: &str = "kagent.dev/mcp-service";
const PORT: &str = "kagent.dev/mcp-service-port";
const PROTOCOL: &str = "kagent.dev/mcp-service-protocol";
const DISCOVERY: &str = "kagent.dev/discovery";
const PATHS: [&str; 3] = ["kagent.dev/mcp-service-path", "kgateway.dev/mcp-path", "agentgateway.dev/mcp-path"];
const APP_PROTOCOLS: [&str; 3] = ["mcp", "kgateway.dev/mcp", "agentgateway.dev/mcp"];

const HINT: &str = "Label the Service kagent.dev/mcp-service=true, or give its port appProtocol: mcp, or annotate it with \
                    kubernaut.io/toolset=enabled, kubernaut.io/toolset-type=mcp.";

/// The finding, if the Service says that it speaks MCP.
pub(crate) fn finding(view: &ServiceView) -> Option<Finding> {
    let by_protocol = || lowest(view, speaks_mcp);
    let by_label = view.labels.get(LABEL) == Some("true");
    let by_name = || lowest(view, |port| port.name.as_deref() == Some("mcp"));
    let (port, confidence) = if by_label {
        (stated_port(view), Confidence::High)
    } else if let Some(port) = by_protocol() {
        (Some(port), Confidence::High)
    } else {
        (Some(by_name()?), Confidence::Low)
    };
    let evidence = evidence(view);
    let of = |confidence, outcome, hint| Finding {
        product: Product::MCP,
        confidence,
        outcome,
        rank: Rank::default(),
        evidence: evidence.clone(),
        hint,
    };
    if view.annotations.get(DISCOVERY) == Some("disabled") {
        let role = Cow::Borrowed("taken out by kagent.dev/discovery=disabled");
        let hint = Cow::Borrowed("Remove the annotation kagent.dev/discovery=disabled.");
        return Some(of(Confidence::High, Outcome::NotAnEndpoint { role }, Some(hint)));
    }
    let Some((port, path)) = port.zip(path(view)) else {
        let hint = "Set kagent.dev/mcp-service-port to a port that the Service declares and kagent.dev/mcp-service-path to a \
                    plain absolute path.";
        return Some(of(confidence, Outcome::NoUsablePort, Some(Cow::Borrowed(hint))));
    };
    let target = Target { port: port.port, scheme: scheme_of(view, port), path };
    let hint = (confidence == Confidence::Low).then_some(Cow::Borrowed(HINT));
    Some(of(confidence, Outcome::Endpoint(target), hint))
}

/// Port and path as the Service states them, else the only TCP port.
pub(crate) fn target(view: &ServiceView) -> Option<Target> {
    let port = stated_port(view)?;
    Some(Target { port: port.port, scheme: scheme_of(view, port), path: path(view)? })
}

/// The verdict in words.
pub(crate) fn explain(view: &ServiceView) -> Explanation {
    let finding = finding(view);
    let hint = match finding.as_ref().and_then(|finding| finding.hint.clone()) {
        Some(hint) => hint.into_owned(),
        None if finding.is_some() => {
            "kagent.dev/discovery=disabled or kubernaut.io/toolset=disabled leaves it out.".to_owned()
        }
        None => format!("Nothing says MCP. {HINT}"),
    };
    Explanation { product: Product::MCP, evidence: evidence(view), finding, hint }
}

fn evidence(view: &ServiceView) -> Vec<Evidence> {
    let mut all = Vec::new();
    let mut say = |kind, supports, detail| all.push(Evidence { kind, supports, detail: Cow::Owned(detail) });
    if let Some(value) = view.labels.get(LABEL) {
        say(EvidenceKind::Label, value == "true", format!("label {LABEL}={value}"));
    }
    for key in PATHS.iter().chain([&PORT, &PROTOCOL]) {
        if let Some(value) = view.annotations.get(key) {
            say(EvidenceKind::Annotation, true, format!("annotation {key}={value}"));
        }
    }
    if let Some(value) = view.annotations.get(DISCOVERY) {
        say(EvidenceKind::Annotation, value != "disabled", format!("annotation {DISCOVERY}={value}"));
    }
    for port in &view.ports {
        if let Some(protocol) = port.app_protocol.as_deref().filter(|_| speaks_mcp(port)) {
            say(EvidenceKind::AppProtocol, true, format!("port {} has appProtocol {protocol}", port.port));
        } else if tcp(port) && port.name.as_deref() == Some("mcp") {
            say(EvidenceKind::PortName, true, format!("port mcp {}", port.port));
        }
    }
    all
}

fn tcp(port: &PortView) -> bool {
    port.protocol == Protocol::Tcp
}

fn speaks_mcp(port: &PortView) -> bool {
    let named = |protocol: &str| APP_PROTOCOLS.iter().any(|known| protocol.eq_ignore_ascii_case(known));
    tcp(port) && port.app_protocol.as_deref().is_some_and(named)
}

/// The annotated port; else the one that `appProtocol` marks, else the one named `mcp`, else the only one.
fn stated_port(view: &ServiceView) -> Option<&PortView> {
    let ports = || view.ports.iter().filter(|port| tcp(port));
    if let Some(wanted) = view.annotations.get(PORT) {
        return ports().find(|port| port.name.as_deref() == Some(wanted) || wanted.parse() == Ok(port.port));
    }
    let only = || if ports().count() == 1 { ports().next() } else { None };
    lowest(view, speaks_mcp).or_else(|| lowest(view, |port| port.name.as_deref() == Some("mcp"))).or_else(only)
}

/// The TCP port with the lowest number that is so.
fn lowest(view: &ServiceView, is_so: impl Fn(&PortView) -> bool) -> Option<&PortView> {
    view.ports.iter().filter(|port| tcp(port) && is_so(port)).min_by_key(|port| port.port)
}

/// The annotated path, `/mcp` without one; `None` where it is not a plain absolute path.
fn path(view: &ServiceView) -> Option<Cow<'static, str>> {
    let Some(path) = PATHS.iter().find_map(|key| view.annotations.get(key)) else {
        return Some(Cow::Borrowed("/mcp"));
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~/-".contains(c);
    let valid = path.starts_with('/')
        && path.len() <= 129
        && path.chars().all(plain)
        && !path.contains("//")
        && !path.split('/').any(|part| part == "..");
    valid.then(|| Cow::Owned(path.trim_end_matches('/').to_owned()))
}
