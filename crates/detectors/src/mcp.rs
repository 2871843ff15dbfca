//! Model Context Protocol servers. A Service declares itself as one.
//!
//! | made by | mark | port | path |
//! |---|---|---|---|
//! | kagent | label `kagent.dev/mcp-service: "true"` | annotation `kagent.dev/mcp-service-port`, else the port with `appProtocol: mcp`, else the only one | annotation `kagent.dev/mcp-service-path`, else `/mcp` |
//! | kgateway, agentgateway | `appProtocol: kgateway.dev/mcp`, `agentgateway.dev/mcp` or `mcp` | that port | annotation `kgateway.dev/mcp-path` or `agentgateway.dev/mcp-path`, else `/mcp` |
//! | `ToolHive`'s operator | labels `toolhive: "true"`, `name: mcpserver`, `mcpremoteproxy` or `virtualmcpserver` (`cmd/thv-operator/controllers`) | the only one, `http` | not visible: `/mcp`, or `/sse` with that transport |
//! | the same | headless: the server behind the proxy, which only the proxy calls | | |
//! | kagenti | label `protocol.kagenti.io/mcp` with any value, before `kagenti.io/protocol: mcp` | the only one, else `http` | not visible, usually `/mcp` |
//! | Teleport | annotation `teleport.dev/protocol` with a scheme of its MCP access: `mcp+http`, `mcp+https`, `mcp+sse+http` | annotation `teleport.dev/port` | annotation `teleport.dev/path` |
//!
//! `kagent.dev/discovery: disabled` excludes a Service. The word `mcp` in the name together with a port named `mcp` are
//! two pieces of evidence (Medium), the port name alone is one (Low).

use std::borrow::Cow;

use crate::{
    engine::whole_words,
    finding::{Assumed, Auth, Evidence, EvidenceKind, Explanation, Finding, Outcome, Rank, Target},
    pods::program::{If, Listen, Path, Program, Says, case, env, usually},
    product::{Confidence, Product, Scheme},
    scheme::{scheme_of, shown_scheme},
    view::{PortView, Protocol, ServiceView},
};

const LABEL: &str = "kagent.dev/mcp-service";
const PROTOCOL: &str = "kagent.dev/mcp-service-protocol";
const DISCOVERY: &str = "kagent.dev/discovery";
const PORTS: [&str; 2] = ["kagent.dev/mcp-service-port", "teleport.dev/port"];
const PATHS: [&str; 4] =
    ["kagent.dev/mcp-service-path", "kgateway.dev/mcp-path", "agentgateway.dev/mcp-path", "teleport.dev/path"];
const APP_PROTOCOLS: [&str; 3] = ["mcp", "kgateway.dev/mcp", "agentgateway.dev/mcp"];
const TELEPORT: &str = "teleport.dev/protocol";
/// `ToolHive`'s values of `app.kubernetes.io/name`.
const TOOLHIVE: [&str; 3] = ["mcpserver", "mcpremoteproxy", "virtualmcpserver"];

const HINT: &str = "Label the Service kagent.dev/mcp-service=true, or set appProtocol: mcp on its port, or annotate it \
                    with kubernaut.io/toolset=enabled, kubernaut.io/toolset-type=mcp.";

/// How a Service declares that it is an MCP server.
struct Declaration<'a> {
    /// The label, annotation, port or name.
    by: Evidence,
    confidence: Confidence,
    port: Option<&'a PortView>,
    /// Whether those who read the declaration take `/mcp` if nothing states another path.
    implies_path: bool,
}

/// The declaration that says most.
fn declaration(view: &ServiceView) -> Option<Declaration<'_>> {
    if let Some((by, implies_path)) = declaring(view) {
        return Some(Declaration { by, confidence: Confidence::High, port: stated_port(view), implies_path });
    }
    if let Some((port, protocol)) =
        lowest(view, has_mcp_protocol).and_then(|port| Some((port, port.app_protocol.as_deref()?)))
    {
        let by = evidence(EvidenceKind::AppProtocol, format!("port {} has appProtocol {protocol}", port.port));
        return Some(Declaration { by, confidence: Confidence::High, port: Some(port), implies_path: true });
    }
    let port = lowest(view, has_mcp_name)?;
    let named = format!("port {} {}", port.name.as_deref().unwrap_or_default(), port.port);
    let (confidence, by) = match naming(view) {
        Some(name) => (Confidence::Medium, evidence(name.kind, format!("{} and {named}", name.detail))),
        None => (Confidence::Low, evidence(EvidenceKind::PortName, named)),
    };
    Some(Declaration { by, confidence, port: Some(port), implies_path: false })
}

/// The label or annotation that declares the Service, and whether it implies the path `/mcp`.
fn declaring(view: &ServiceView) -> Option<(Evidence, bool)> {
    let is_toolhive = || view.labels.get("toolhive") == Some("true");
    let declares = |key: &str, value: &str| match key {
        LABEL => (value == "true").then_some(true),
        "protocol.kagenti.io/mcp" => Some(false),
        "kagenti.io/protocol" => value.eq_ignore_ascii_case("mcp").then_some(false),
        "app.kubernetes.io/name" => (TOOLHIVE.contains(&value) && is_toolhive()).then_some(false),
        _ => None,
    };
    let by_label = view.labels.iter().find_map(|(key, value)| {
        let implies_path = declares(key, value)?;
        Some((evidence(EvidenceKind::Label, format!("label {key}={value}")), implies_path))
    });
    by_label.or_else(|| {
        let protocol = view.annotations.get(TELEPORT).filter(|protocol| protocol.starts_with("mcp"))?;
        Some((evidence(EvidenceKind::Annotation, format!("annotation {TELEPORT}={protocol}")), false))
    })
}

/// The Service's name or its label, if it has the word `mcp`.
fn naming(view: &ServiceView) -> Option<Evidence> {
    let has_word = |value: &str| whole_words::split(value).any(|word| word.eq_ignore_ascii_case("mcp"));
    if has_word(&view.key.name) {
        return Some(evidence(EvidenceKind::Name, format!("the Service's name {}", view.key.name)));
    }
    ["app.kubernetes.io/name", "app"].iter().find_map(|key| {
        let value = view.labels.get(key).filter(|value| has_word(value))?;
        Some(evidence(EvidenceKind::Label, format!("label {key}={value}")))
    })
}

/// The finding, if the Service declares that it is an MCP server.
pub(crate) fn finding(view: &ServiceView) -> Option<Finding> {
    let declared = declaration(view)?;
    let confidence = declared.confidence;
    let decided_by = declared.by.detail.clone();
    let by_port_alone = confidence == Confidence::Low && declared.by.kind == EvidenceKind::PortName;
    let of = |confidence, outcome, assumed, hint: Option<&'static str>| Finding {
        product: Product::MCP,
        confidence,
        outcome,
        rank: Rank::default(),
        hint: hint.map(Cow::Borrowed),
        auth: Auth::Unknown,
        assumed,
        decided_by,
        by_port_alone,
    };
    if view.annotations.get(DISCOVERY) == Some("disabled") {
        let role = Cow::Borrowed("excluded by kagent.dev/discovery=disabled");
        let hint = "Remove the annotation kagent.dev/discovery=disabled.";
        return Some(of(Confidence::High, Outcome::NotAnEndpoint { role }, Assumed::NOTHING, Some(hint)));
    }
    if view.headless && view.labels.get("toolhive") == Some("true") {
        let role = Cow::Borrowed("the server behind ToolHive's proxy");
        let hint = "Use the Service of ToolHive's proxy, or annotate this one with kubernaut.io/toolset=enabled, \
                    kubernaut.io/toolset-type=mcp.";
        return Some(of(Confidence::High, Outcome::NotAnEndpoint { role }, Assumed::NOTHING, Some(hint)));
    }
    let Some((port, path)) = declared.port.zip(path(view)) else {
        let hint = "Set kagent.dev/mcp-service-port to a port that the Service declares and \
                    kagent.dev/mcp-service-path to a plain absolute path.";
        return Some(of(confidence, Outcome::NoUsablePort, Assumed::NOTHING, Some(hint)));
    };
    let path_is_known = declared.implies_path || stated_path(view).is_some();
    let assumed = Assumed { scheme: shown(view, port).is_none(), path: !path_is_known, auth: true };
    let target = Target { port: port.port, scheme: scheme(view, port), path };
    let hint = (confidence < Confidence::High).then_some(HINT);
    Some(of(confidence, Outcome::Endpoint(target), assumed, hint))
}

/// The port and path that the Service declares, or else its only TCP port.
pub(crate) fn target(view: &ServiceView) -> Option<Target> {
    let port = stated_port(view)?;
    Some(Target { port: port.port, scheme: scheme(view, port), path: path(view)? })
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
    Explanation { product: Product::MCP, evidence: all_evidence(view), finding, hint }
}

fn all_evidence(view: &ServiceView) -> Vec<Evidence> {
    let mut all = Vec::new();
    all.extend(declaring(view).map(|(by, _)| by));
    if let Some(value) = view.labels.get(LABEL).filter(|value| *value != "true") {
        all.push(Evidence { supports: false, ..evidence(EvidenceKind::Label, format!("label {LABEL}={value}")) });
    }
    for key in PATHS.iter().chain(&PORTS).chain([&PROTOCOL]) {
        if let Some(value) = view.annotations.get(key) {
            all.push(evidence(EvidenceKind::Annotation, format!("annotation {key}={value}")));
        }
    }
    if let Some(value) = view.annotations.get(DISCOVERY) {
        let detail = format!("annotation {DISCOVERY}={value}");
        all.push(Evidence { supports: value != "disabled", ..evidence(EvidenceKind::Annotation, detail) });
    }
    let ports = all.len();
    for port in view.ports.iter().filter(|port| port.protocol == Protocol::Tcp) {
        if let Some(protocol) = port.app_protocol.as_deref().filter(|_| has_mcp_protocol(port)) {
            all.push(evidence(EvidenceKind::AppProtocol, format!("port {} has appProtocol {protocol}", port.port)));
        } else if let Some(name) = port.name.as_deref().filter(|_| has_mcp_name(port)) {
            all.push(evidence(EvidenceKind::PortName, format!("port {name} {}", port.port)));
        }
    }
    // The name alone is nothing: clients of MCP servers have this word, too.
    if all.len() > ports {
        all.extend(naming(view));
    }
    all
}

fn evidence(kind: EvidenceKind, detail: String) -> Evidence {
    Evidence { kind, supports: true, detail: Cow::Owned(detail) }
}

fn has_mcp_protocol(port: &PortView) -> bool {
    let is_mcp = |protocol: &str| APP_PROTOCOLS.iter().any(|known| protocol.eq_ignore_ascii_case(known));
    port.app_protocol.as_deref().is_some_and(is_mcp)
}

fn has_mcp_name(port: &PortView) -> bool {
    port.name.as_deref().is_some_and(|name| matches!(name, "mcp" | "mcp-http" | "http-mcp"))
}

/// The annotated port; else the one with an `appProtocol` of MCP, else the one named `mcp`, else the only one, else the
/// one named `http`.
fn stated_port(view: &ServiceView) -> Option<&PortView> {
    let ports = || view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    if let Some(wanted) = PORTS.iter().find_map(|key| view.annotations.get(key)) {
        return ports().find(|port| port.name.as_deref() == Some(wanted) || wanted.parse() == Ok(port.port));
    }
    let only = || if ports().count() == 1 { ports().next() } else { None };
    let http = || ports().find(|port| port.name.as_deref() == Some("http") && declaring(view).is_some());
    lowest(view, has_mcp_protocol).or_else(|| lowest(view, has_mcp_name)).or_else(only).or_else(http)
}

/// Of the TCP ports for which `is_it` holds, the one with the lowest number.
fn lowest(view: &ServiceView, is_it: impl Fn(&PortView) -> bool) -> Option<&PortView> {
    view.ports.iter().filter(|port| port.protocol == Protocol::Tcp && is_it(port)).min_by_key(|port| port.port)
}

/// The scheme that the Service shows. Teleport's protocol has one, too.
fn shown(view: &ServiceView, port: &PortView) -> Option<Scheme> {
    let stated = view.annotations.get(TELEPORT).and_then(|protocol| protocol.rsplit('+').next());
    let by_teleport = match stated {
        Some("https") => Some(Scheme::Https),
        Some("http") => Some(Scheme::Http),
        _ => None,
    };
    by_teleport.or_else(|| shown_scheme(view, port))
}

fn scheme(view: &ServiceView, port: &PortView) -> Scheme {
    shown(view, port).unwrap_or_else(|| scheme_of(view, port))
}

fn stated_path(view: &ServiceView) -> Option<&str> {
    PATHS.iter().find_map(|key| view.annotations.get(key))
}

/// The annotated path, or else `/mcp`. `None` if the annotated one is not a plain absolute path. Teleport writes it
/// without the first slash.
fn path(view: &ServiceView) -> Option<Cow<'static, str>> {
    let Some(path) = stated_path(view) else { return Some(Cow::Borrowed("/mcp")) };
    let is_teleports = view.annotations.contains_key("teleport.dev/path") && !path.starts_with('/');
    let path = if is_teleports { Cow::Owned(format!("/{path}")) } else { Cow::Borrowed(path) };
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
