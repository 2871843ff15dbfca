//! The facts beside the detectors: the Service itself, the sources, what people state, health.

use crd_types::{HealthEffect, HealthMode, NamespacesFrom, Override, Source, Trust};
use detectors::{PortView, Protocol, ServiceType, StringMap, TargetPort};
use toolset::{
    Health, override_matches,
    select::{annotation, signature, source},
};

use super::{Case, entry, selector, verdict::Verdict};

/// What the API server says of it.
pub fn service(case: &Case<'_>) -> Vec<String> {
    let view = &case.service.view;
    let kind = match view.service_type {
        ServiceType::ExternalName => "ExternalName: a DNS alias for a name elsewhere",
        _ if view.headless => "headless (clusterIP: None)",
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    };
    let selector = if view.selector.is_empty() {
        "none: somebody else maintains its endpoints".to_owned()
    } else {
        pairs(&view.selector)
    };
    let ports: Vec<String> = view.ports.iter().map(port).collect();
    vec![
        case.heading("The Service"),
        entry("kind", kind),
        entry("ports", if ports.is_empty() { "none".to_owned() } else { ports.join(", ") }),
        entry("labels", if view.labels.is_empty() { "none".to_owned() } else { pairs(&view.labels) }),
        entry("selector", selector),
    ]
}

/// As in `http-web 80/UDP→9090`.
fn port(port: &PortView) -> String {
    let name = port.name.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
    let protocol = match port.protocol {
        Protocol::Tcp => "",
        Protocol::Udp => "/UDP",
        Protocol::Sctp => "/SCTP",
    };
    let target = match &port.target {
        Some(TargetPort::Number(number)) if *number != port.port => format!("→{number}"),
        Some(TargetPort::Name(name)) => format!("→{name}"),
        Some(TargetPort::Number(_)) | None => String::new(),
    };
    format!("{name}{}{protocol}{target}", port.port)
}

fn pairs(map: &StringMap) -> String {
    map.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

/// Which source decides.
pub fn sources(case: &Case<'_>) -> Vec<String> {
    let config = &case.snapshot.config;
    let namespace = &*case.key().namespace;
    let covering = source::covering(config, namespace, case.snapshot.index.namespace_labels(namespace));
    let selected = source::select(&covering, &case.service.view).ok();
    let mut lines = vec![case.heading("Sources")];
    if !case.snapshot.config_given {
        lines.push("  no ToolsetConfig was given; one Trusted source over all namespaces is assumed".to_owned());
        return lines;
    }
    for source in &config.spec.sources {
        let covers = covering.iter().any(|one| one.name == source.name);
        let text = if selected.is_some_and(|one| one.name == source.name) {
            case.paint.good(match source.trust {
                Trust::Trusted => "selects it: Trusted",
                Trust::Tenant => {
                    "selects it: Tenant, so it must opt in, is offered as plain HTTP and never gets credentials"
                }
            })
        } else if !covers {
            format!("does not cover namespace {namespace}: {}", wanted(case, source))
        } else if selected.is_none() {
            let selector = source.service_selector.as_ref().map(selector::words).unwrap_or_default();
            format!("covers the namespace, but wants Services with {selector}")
        } else {
            "comes after the one that selects it, or does not match".to_owned()
        };
        lines.push(entry(&source.name, text));
    }
    lines
}

/// Which namespaces a source wants.
fn wanted(case: &Case<'_>, source: &Source) -> String {
    let namespaces = &source.namespaces;
    match namespaces.from {
        NamespacesFrom::All => "All".to_owned(),
        NamespacesFrom::Same => "only the ToolsetConfig's own".to_owned(),
        NamespacesFrom::Names => format!("only {}", namespaces.names.join(", ")),
        NamespacesFrom::Selector => {
            let selector = namespaces.selector.as_ref().map(selector::words).unwrap_or_default();
            match case.snapshot.index.namespace_labels(&case.key().namespace) {
                Some(labels) => format!(
                    "wants {selector}; it has {}",
                    if labels.is_empty() { "no labels".to_owned() } else { pairs(labels) }
                ),
                None => format!("wants {selector}, and the input does not hold the Namespace with its labels"),
            }
        }
    }
}

/// What people state about the Service: annotations, signatures, overrides.
pub fn statements(case: &Case<'_>) -> Vec<String> {
    let view = &case.service.view;
    let spec = &case.snapshot.config.spec;
    let mut stated = Vec::new();
    for (key, value) in view.annotations.iter().filter(|(key, _)| annotation::is_ours(key)) {
        stated.push(entry("annotation", format!("{key}: {value}")));
    }
    if let Err(malformed) = annotation::read(view, case.cluster_domain) {
        stated.push(entry("", case.paint.bad(&malformed.message)));
    }
    let mut decided = false;
    for signature in spec.signatures.iter().filter(|signature| signature::matches(signature, view)) {
        let type_ = signature.custom_type.as_deref().unwrap_or(signature.type_.as_str());
        let text = if decided {
            "matches too, but an earlier one decides".to_owned()
        } else {
            format!("says that it is {type_}")
        };
        stated.push(entry("signature", format!("{} {text}", signature.name)));
        decided = true;
    }
    for rule in spec.overrides.iter().filter(|rule| overrides(case, rule)) {
        stated.push(entry("override", format!("{} {}", rule.name, changes(rule))));
    }
    if stated.is_empty() {
        return stated;
    }
    stated.insert(0, case.heading("What people say of it"));
    stated
}

/// Whether an override is for this Service.
fn overrides(case: &Case<'_>, rule: &Override) -> bool {
    match &case.verdict {
        Verdict::Tool(tool) => override_matches(rule, case.key(), Some(tool.product), tool.custom.as_deref()),
        Verdict::Rejected(rejection) => {
            override_matches(rule, case.key(), rejection.product, rejection.custom.as_deref())
        }
        Verdict::Outside(_) | Verdict::Unrecognised => false,
    }
}

fn changes(rule: &Override) -> String {
    let mut changes: Vec<String> = Vec::new();
    changes.extend(rule.state.map(|state| format!("sets state: {state}")));
    changes.extend(rule.tool_name.as_ref().map(|name| format!("names it {name}")));
    changes.extend(rule.endpoint.as_ref().map(|_| "adjusts the endpoint".to_owned()));
    changes.extend(rule.description.as_ref().map(|_| "describes it".to_owned()));
    changes.extend(rule.instructions.as_ref().map(|_| "gives instructions".to_owned()));
    changes.extend(rule.tenant_id.as_ref().map(|tenant| format!("asks as tenant {tenant}")));
    changes.extend(rule.settings.as_ref().map(|_| "changes settings".to_owned()));
    changes.extend(rule.credentials.as_ref().map(|credentials| {
        format!(
            "gives {} credentials from the agent's variable {}; if the agent lacks it, the whole entry fails, other instances included",
            credentials.type_, credentials.env
        )
    }));
    if changes.is_empty() { "changes nothing".to_owned() } else { changes.join(", ") }
}

/// Whether it answers, as far as its endpoints say.
pub fn health(case: &Case<'_>) -> Vec<String> {
    let spec = &case.snapshot.config.spec.health;
    let candidate = matches!(&case.verdict, Verdict::Tool(_) | Verdict::Rejected(_));
    if !candidate || spec.mode == HealthMode::None {
        return Vec::new();
    }
    let readiness = case.snapshot.index.readiness(case.key());
    let verdict = case.planned.trace.health.of(case.key());
    let health = if readiness.serving { Health::Healthy } else { verdict.health };
    let words = match health {
        Health::Healthy => "at least one of its endpoints is serving".to_owned(),
        Health::Unhealthy if verdict.withheld => {
            "none of its endpoints is serving, so it is left out until one is".to_owned()
        }
        Health::Unhealthy if spec.effect == HealthEffect::Report => {
            "none of its endpoints is serving; health.effect is Report, so it stays".to_owned()
        }
        Health::Unhealthy => format!(
            "none of its endpoints is serving; it leaves the output {} s after the last one went",
            spec.withhold_after_seconds
        ),
        Health::Unknown if !case.snapshot.slices_known => {
            "the input holds no EndpointSlices, so it is taken as healthy".to_owned()
        }
        Health::Unknown => "not looked at, because it is no tool for another reason".to_owned(),
    };
    vec![case.heading("Health"), entry(&super::health_brush(health)(case.paint, health.as_str()), words)]
}
