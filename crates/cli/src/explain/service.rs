//! The sections about the Service, its source, its configuration and its health.

use crd_types::{HealthEffect, HealthMode, NamespacesFrom, OutputFormat, Override, Source, Trust};
use detectors::{PortView, Protocol, ServiceType, StringMap, TargetPort};
use toolset::{
    Health, override_matches,
    select::{annotation, signature, source},
};

use super::{
    case::{Case, entry},
    classification::Classification,
    selector,
};
use crate::{table::health_colour, text::Text};

/// The section about the spec of the Service.
pub(super) fn service(case: &Case<'_>) -> Vec<Text> {
    let view = &case.service.view;
    let kind = match view.service_type {
        ServiceType::ExternalName => "ExternalName (an alias for another DNS name)",
        _ if view.headless => "headless (clusterIP: None)",
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    };
    let selector = if view.selector.is_empty() {
        "none (the control plane does not manage its endpoints)".to_owned()
    } else {
        pairs(&view.selector)
    };
    let ports: Vec<String> = view.ports.iter().map(port).collect();
    vec![
        case.heading("Service"),
        entry("type", kind),
        entry("ports", if ports.is_empty() { "none".to_owned() } else { ports.join(", ") }),
        entry("labels", if view.labels.is_empty() { "none".to_owned() } else { pairs(&view.labels) }),
        entry("selector", selector),
    ]
}

/// A port, for example `http-web 80/UDP→9090`.
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

/// The section about the sources.
pub(super) fn sources(case: &Case<'_>) -> Vec<Text> {
    let config = &case.snapshot.config;
    let namespace = &*case.key().namespace;
    let covering = source::covering(config, namespace, case.snapshot.index.namespace_labels(namespace));
    let selected = source::select(&covering, &case.service.view).ok();
    let mut lines = vec![case.heading("Sources")];
    if !case.snapshot.config_given {
        lines.push(Text::from("  There is no ToolsetConfig, so every namespace is Trusted."));
        return lines;
    }
    for source in &config.spec.sources {
        let covers = covering.iter().any(|one| one.name == source.name);
        let text = if selected.is_some_and(|one| one.name == source.name) {
            case.paint.good(match source.trust {
                Trust::Trusted => "selects the Service (Trusted)",
                Trust::Tenant => "selects the Service (Tenant, so the Service must opt in and never gets credentials)",
            })
        } else if !covers {
            Text::from(format!("does not cover namespace {namespace}; {}", covered(case, source)))
        } else if selected.is_none() {
            let selector = source.service_selector.as_ref().map(selector::to_text).unwrap_or_default();
            Text::from(format!("covers the namespace, but selects only Services with {selector}"))
        } else {
            Text::from(
                "does not apply, because another source selects the Service first or serviceSelector does not match",
            )
        };
        lines.push(entry(&source.name, text));
    }
    lines
}

/// Which namespaces a source covers.
fn covered(case: &Case<'_>, source: &Source) -> String {
    let namespaces = &source.namespaces;
    match namespaces.from {
        NamespacesFrom::All => "it covers all namespaces".to_owned(),
        NamespacesFrom::Same => "it covers only the namespace of the ToolsetConfig".to_owned(),
        NamespacesFrom::Names => format!("it covers only {}", namespaces.names.join(", ")),
        NamespacesFrom::Selector => {
            let selector = namespaces.selector.as_ref().map(selector::to_text).unwrap_or_default();
            match case.snapshot.index.namespace_labels(&case.key().namespace) {
                Some(labels) => format!(
                    "it selects namespaces with {selector}, and the namespace has {}",
                    if labels.is_empty() { "no labels".to_owned() } else { pairs(labels) }
                ),
                None => format!(
                    "it selects namespaces with {selector}, and the labels are unknown because the input has no such Namespace"
                ),
            }
        }
    }
}

/// The section about annotations, signatures and overrides.
pub(super) fn configuration(case: &Case<'_>) -> Vec<Text> {
    let view = &case.service.view;
    let spec = &case.snapshot.config.spec;
    let mut entries = Vec::new();
    for (key, value) in view.annotations.iter().filter(|(key, _)| annotation::is_ours(key)) {
        entries.push(entry("annotation", format!("{key}: {value}")));
    }
    if let Err(malformed) = annotation::read(view, case.cluster_domain) {
        entries.push(entry("", case.paint.bad(&malformed.message)));
    }
    let mut applied = false;
    for signature in spec.signatures.iter().filter(|signature| signature::matches(signature, view)) {
        let type_ = signature.custom_type.as_deref().unwrap_or(signature.type_.as_str());
        let text = if applied {
            "matches too, but an earlier signature applies".to_owned()
        } else {
            format!("states the type {type_}")
        };
        entries.push(entry("signature", format!("{} {text}", signature.name)));
        applied = true;
    }
    let for_holmesgpt = spec.output.writes(OutputFormat::HolmesGPT);
    for rule in spec.overrides.iter().filter(|rule| matches_override(case, rule)) {
        entries.push(entry("override", format!("{} {}", rule.name, changes(rule, for_holmesgpt))));
    }
    if entries.is_empty() {
        return entries;
    }
    entries.insert(0, case.heading("Annotations, signatures and overrides"));
    entries
}

/// Whether an override matches this Service.
fn matches_override(case: &Case<'_>, rule: &Override) -> bool {
    match &case.classification {
        Classification::Tool(tool) => override_matches(rule, case.key(), Some(tool.product), tool.custom.as_deref()),
        Classification::Rejected(rejection) => {
            override_matches(rule, case.key(), rejection.product, rejection.custom.as_deref())
        }
        Classification::Outside(_) | Classification::Unrecognised => false,
    }
}

fn changes(rule: &Override, for_holmesgpt: bool) -> String {
    let mut changes: Vec<String> = Vec::new();
    changes.extend(rule.state.map(|state| format!("sets state: {state}")));
    changes.extend(rule.tool_name.as_ref().map(|name| format!("sets the name {name}")));
    changes.extend(rule.endpoint.as_ref().map(|_| "changes the endpoint".to_owned()));
    changes.extend(rule.description.as_ref().map(|_| "sets the description".to_owned()));
    changes.extend(rule.instructions.as_ref().map(|_| "sets the instructions".to_owned()));
    changes.extend(rule.tenant_id.as_ref().map(|tenant| format!("sets the tenant {tenant}")));
    changes.extend(rule.settings.as_ref().map(|_| "changes settings".to_owned()));
    changes.extend(rule.credentials.as_ref().map(|credentials| {
        let sets =
            format!("sets {} credentials from the agent's environment variable {}", credentials.type_, credentials.env);
        let without = "; if the variable is not set, the agent rejects the whole entry with all its instances";
        if for_holmesgpt { format!("{sets}{without}") } else { sets }
    }));
    if changes.is_empty() { "changes nothing".to_owned() } else { changes.join(", ") }
}

/// The section about health.
pub(super) fn health(case: &Case<'_>) -> Vec<Text> {
    let spec = &case.snapshot.config.spec.health;
    let candidate = matches!(&case.classification, Classification::Tool(_) | Classification::Rejected(_));
    if !candidate || spec.mode == HealthMode::None {
        return Vec::new();
    }
    let readiness = case.snapshot.index.readiness(case.key());
    let planned = case.planned.trace.health.of(case.key());
    let health = if readiness.serving { Health::Healthy } else { planned.health };
    let text = match health {
        Health::Healthy => "at least one endpoint is serving".to_owned(),
        Health::Unhealthy if planned.withheld.is_some() => {
            "no endpoint is serving, so the tool is withheld from the output until an endpoint is serving".to_owned()
        }
        Health::Unhealthy if case.snapshot.config.spec.output.writes(OutputFormat::GrafanaDatasources) => {
            "no endpoint is serving; the tool stays in the output, because an outage removes no data source of Grafana"
                .to_owned()
        }
        Health::Unhealthy if spec.effect == HealthEffect::Report => {
            "no endpoint is serving; the tool stays in the output, because health.effect is Report".to_owned()
        }
        Health::Unhealthy => format!(
            "no endpoint is serving; the tool leaves the output after {} s without a serving endpoint",
            spec.withhold_after_seconds
        ),
        Health::Unknown if !case.snapshot.slices_known && case.snapshot.live => {
            "not checked, because EndpointSlices cannot be read".to_owned()
        }
        Health::Unknown if !case.snapshot.slices_known => "not checked, because there are no EndpointSlices".to_owned(),
        Health::Unknown if matches!(&case.classification, Classification::Tool(_)) => {
            "not checked, because a Service of type ExternalName has no endpoints".to_owned()
        }
        Health::Unknown => "not checked, because the Service is not a tool for another reason".to_owned(),
    };
    vec![case.heading("Health"), entry(health_colour(health)(case.paint, Text::from(health.as_str())), text)]
}
