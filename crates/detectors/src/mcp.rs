//! Model Context Protocol servers. A Service declares itself as one.
//!
//! | made by | mark | port | path |
//! |---|---|---|---|
//! | kagent | label `kagent.dev/mcp-service: "true"` | annotation `kagent.dev/mcp-service-port`, else the port with `appProtocol: mcp`, else the only one | annotation `kagent.dev/mcp-service-path`, else `/mcp` |
//! | kgateway, agentgateway | `appProtocol: kgateway.dev/mcp`, `agentgateway.dev/mcp` or `mcp` | that port | annotation `kgateway.dev/mcp-path` or `agentgateway.dev/mcp-path`, else `/mcp` |
//!
//! `kagent.dev/discovery: disabled` excludes a Service. The port name `mcp` is one piece of evidence (Low).

use std::borrow::Cow;

use crate::{
    finding::{Assumed, Auth, Evidence, EvidenceKind, Explanation, Finding, Outcome, Rank, Target},
    pods::program::{If, Listen, Path, Program, Says, case, env, usually},
    product::{Confidence, Product, Scheme},
    scheme::scheme_of,
    view::{PortView, Protocol, ServiceView},
};

const LABEL: &str = "kagent.dev/mcp-service";
const PORT: &str = "kagent.dev/mcp-service-port";
const PROTOCOL: &str = "kagent.dev/mcp-service-protocol";
const DISCOVERY: &str = "kagent.dev/discovery";
const PATHS: [&str; 3] = ["kagent.dev/mcp-service-path", "kgateway.dev/mcp-path", "agentgateway.dev/mcp-path"];
const APP_PROTOCOLS: [&str; 3] = ["mcp", "kgateway.dev/mcp", "agentgateway.dev/mcp"];

const HINT: &str = "Label the Service kagent.dev/mcp-service=true, or set appProtocol: mcp on its port, or annotate it \
                    with kubernaut.io/toolset=enabled, kubernaut.io/toolset-type=mcp.";

/// The finding, if the Service declares that it is an MCP server.
pub(crate) fn finding(view: &ServiceView) -> Option<Finding> {
    let (port, confidence) = if view.labels.get(LABEL) == Some("true") {
        (stated_port(view), Confidence::High)
    } else if let Some(port) = port_by_protocol(view) {
        (Some(port), Confidence::High)
    } else {
        (Some(port_by_name(view)?), Confidence::Low)
    };
    let of = |confidence, outcome, hint: Option<&'static str>| Finding {
        product: Product::MCP,
        confidence,
        outcome,
        rank: Rank::default(),
        hint: hint.map(Cow::Borrowed),
        auth: Auth::Unknown,
        assumed: Assumed::NOTHING,
        decided_by: Cow::Borrowed(""),
    };
    if view.annotations.get(DISCOVERY) == Some("disabled") {
        let role = Cow::Borrowed("excluded by kagent.dev/discovery=disabled");
        let hint = "Remove the annotation kagent.dev/discovery=disabled.";
        return Some(of(Confidence::High, Outcome::NotAnEndpoint { role }, Some(hint)));
    }
    let Some((port, path)) = port.zip(path(view)) else {
        let hint = "Set kagent.dev/mcp-service-port to a port that the Service declares and \
                    kagent.dev/mcp-service-path to a plain absolute path.";
        return Some(of(confidence, Outcome::NoUsablePort, Some(hint)));
    };
    let target = Target { port: port.port, scheme: scheme_of(view, port), path };
    let hint = (confidence == Confidence::Low).then_some(HINT);
    Some(of(confidence, Outcome::Endpoint(target), hint))
}

/// The port and path that the Service declares, or else its only TCP port.
pub(crate) fn target(view: &ServiceView) -> Option<Target> {
    let port = stated_port(view)?;
    Some(Target { port: port.port, scheme: scheme_of(view, port), path: path(view)? })
}

/// The result, for people.
pub(crate) fn explain(view: &ServiceView) -> Explanation {
    let finding = finding(view);
    let hint = match finding.as_ref().map(|finding| &finding.hint) {
        Some(Some(hint)) => hint.clone().into_owned(),
        Some(None) => {
            "The annotation kagent.dev/discovery=disabled or kubernaut.io/toolset=disabled excludes the Service."
                .to_owned()
        }
        None => format!("The Service does not declare that it is an MCP server. {HINT}"),
    };
    Explanation { product: Product::MCP, evidence: evidence(view), finding, hint }
}

fn evidence(view: &ServiceView) -> Vec<Evidence> {
    let mut all = Vec::new();
    let mut add = |kind, supports, detail| all.push(Evidence { kind, supports, detail: Cow::Owned(detail) });
    if let Some(value) = view.labels.get(LABEL) {
        add(EvidenceKind::Label, value == "true", format!("label {LABEL}={value}"));
    }
    for key in PATHS.iter().chain([&PORT, &PROTOCOL]) {
        if let Some(value) = view.annotations.get(key) {
            add(EvidenceKind::Annotation, true, format!("annotation {key}={value}"));
        }
    }
    if let Some(value) = view.annotations.get(DISCOVERY) {
        add(EvidenceKind::Annotation, value != "disabled", format!("annotation {DISCOVERY}={value}"));
    }
    for port in view.ports.iter().filter(|port| port.protocol == Protocol::Tcp) {
        if let Some(protocol) = port.app_protocol.as_deref().filter(|_| has_mcp_protocol(port)) {
            add(EvidenceKind::AppProtocol, true, format!("port {} has appProtocol {protocol}", port.port));
        } else if has_mcp_name(port) {
            add(EvidenceKind::PortName, true, format!("port mcp {}", port.port));
        }
    }
    all
}

fn has_mcp_protocol(port: &PortView) -> bool {
    let is_mcp = |protocol: &str| APP_PROTOCOLS.iter().any(|known| protocol.eq_ignore_ascii_case(known));
    port.app_protocol.as_deref().is_some_and(is_mcp)
}

fn has_mcp_name(port: &PortView) -> bool {
    port.name.as_deref() == Some("mcp")
}

fn port_by_protocol(view: &ServiceView) -> Option<&PortView> {
    lowest(view, has_mcp_protocol)
}

fn port_by_name(view: &ServiceView) -> Option<&PortView> {
    lowest(view, has_mcp_name)
}

/// The annotated port; else the one with an `appProtocol` of MCP, else the one named `mcp`, else the only one.
fn stated_port(view: &ServiceView) -> Option<&PortView> {
    let ports = || view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    if let Some(wanted) = view.annotations.get(PORT) {
        return ports().find(|port| port.name.as_deref() == Some(wanted) || wanted.parse() == Ok(port.port));
    }
    let only = || if ports().count() == 1 { ports().next() } else { None };
    port_by_protocol(view).or_else(|| port_by_name(view)).or_else(only)
}

/// Of the TCP ports for which `is_it` holds, the one with the lowest number.
fn lowest(view: &ServiceView, is_it: impl Fn(&PortView) -> bool) -> Option<&PortView> {
    view.ports.iter().filter(|port| port.protocol == Protocol::Tcp && is_it(port)).min_by_key(|port| port.port)
}

/// The annotated path, or else `/mcp`. `None` if the annotated one is not a plain absolute path.
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

/// Images with the word `mcp` in their name are such servers (`mcp-grafana`, `kubernetes-mcp-server`). Nothing shows where
/// they answer.
pub(crate) const PODS: &[Program] = &[Program {
    containers: &["mcp", "mcp-server"],
    marks: &[
        If::Given(env("MCP_TRANSPORT")),
        If::Given(env("MCP_PORT")),
        If::Given(env("MCP_HOST")),
        If::Given(env("MCP_API_TOKENS")),
        If::PortName("mcp"),
    ],
    roles: &[case(&[], usually("server"))],
    listen: Listen { settings: &[env("MCP_PORT")], default: &[], never: &[], ..Listen::NONE },
    scheme: &[case(&[], Says::Usual(Scheme::Http))],
    prefix: &[case(&[], Says::Usual(Path::Fixed("/mcp")))],
    auth: &[case(&[If::Given(env("MCP_API_TOKENS"))], Says::Stated(Auth::Bearer)), case(&[], Says::Open)],
    ..Program::of(Product::MCP)
}];
