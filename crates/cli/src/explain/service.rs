//! The Service itself, the sources, what the configuration says about it, and its health.

use crd_types::{HealthEffect, HealthMode, NamespacesFrom, OutputFormat, Override, Source, Trust};
use detectors::{PortView, Protocol, ServiceType, StringMap, TargetPort};
use toolset::{
    Health, override_matches,
    select::{annotation, signature, source},
};

use super::{
    case::Case,
    classification::Classification,
    model::{self, Annotation, Port, Rule, SourceResult, Sources, Spec},
    selector,
};

/// The spec of the Service.
pub(super) fn spec(case: &Case<'_>) -> Spec {
    let view = &case.service.view;
    let kind = match view.service_type {
        ServiceType::ExternalName => "ExternalName (an alias for another DNS name)",
        _ if view.headless => "headless (clusterIP: None)",
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    };
    let map = |map: &StringMap| map.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    Spec {
        kind: kind.to_owned(),
        ports: view.ports.iter().map(port).collect(),
        labels: map(&view.labels),
        selector: map(&view.selector),
    }
}

fn port(port: &PortView) -> Port {
    Port {
        name: port.name.as_ref().map(ToString::to_string),
        number: port.port,
        protocol: match port.protocol {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        }
        .to_owned(),
        target: match &port.target {
            Some(TargetPort::Number(number)) if *number != port.port => Some(number.to_string()),
            Some(TargetPort::Name(name)) => Some(name.to_string()),
            Some(TargetPort::Number(_)) | None => None,
        },
    }
}

fn pairs(map: &StringMap) -> String {
    map.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

/// What each source does with the Service.
pub(super) fn sources(case: &Case<'_>) -> Sources {
    if !case.snapshot.config_given {
        return Sources { config: None, sources: Vec::new() };
    }
    let config = &case.snapshot.config;
    let namespace = &*case.key().namespace;
    let covering = source::covering(config, namespace, case.snapshot.index.namespace_labels(namespace));
    let selected = source::select(&covering, &case.service.view).ok();
    let sources = config.spec.sources.iter().map(|source| {
        let covers = covering.iter().any(|one| one.name == source.name);
        let selects = selected.is_some_and(|one| one.name == source.name);
        let message = if selects {
            match source.trust {
                Trust::Trusted => "selects the Service (Trusted)".to_owned(),
                Trust::Tenant => {
                    "selects the Service (Tenant, so the Service must opt in and never gets credentials)".to_owned()
                }
            }
        } else if !covers {
            format!("does not select namespace {namespace}; {}", covered(case, source))
        } else if selected.is_none() {
            let selector = source.service_selector.as_ref().map(selector::to_text).unwrap_or_default();
            format!("selects the namespace, but only its Services with {selector}")
        } else {
            "does not apply, because another source selects the Service first or serviceSelector does not match"
                .to_owned()
        };
        SourceResult { name: source.name.clone(), trust: source.trust.to_string(), selects, message }
    });
    Sources { config: Some(case.snapshot.config_name()), sources: sources.collect() }
}

/// Which namespaces a source covers.
fn covered(case: &Case<'_>, source: &Source) -> String {
    let namespaces = &source.namespaces;
    match namespaces.from {
        NamespacesFrom::All => "it selects all namespaces".to_owned(),
        NamespacesFrom::Same => "it selects only the namespace of the ToolsetConfig".to_owned(),
        NamespacesFrom::Names => format!("it selects only {}", namespaces.names.join(", ")),
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

/// The annotations of this project on the Service.
pub(super) fn annotations(case: &Case<'_>) -> Vec<Annotation> {
    let ours = case.service.view.annotations.iter().filter(|(key, _)| annotation::is_ours(key));
    ours.map(|(key, value)| Annotation { key: key.to_string(), value: value.to_string() }).collect()
}

/// What is wrong with these annotations.
pub(super) fn malformed(case: &Case<'_>) -> Option<String> {
    annotation::read(&case.service.view, case.cluster_domain).err().map(|malformed| malformed.message)
}

/// The signatures that match the Service. The first one applies.
pub(super) fn signatures(case: &Case<'_>) -> Vec<Rule> {
    let all = &case.snapshot.config.spec.signatures;
    let matching = all.iter().filter(|signature| signature::matches(signature, &case.service.view));
    matching
        .enumerate()
        .map(|(number, signature)| Rule {
            name: signature.name.clone(),
            effect: if number == 0 {
                let type_ = signature.custom_type.as_deref().unwrap_or(signature.type_.as_str());
                format!("states the type {type_}")
            } else {
                "matches too, but an earlier signature applies".to_owned()
            },
        })
        .collect()
}

/// The overrides that match the Service, in the order in which they are applied.
pub(super) fn overrides(case: &Case<'_>) -> Vec<Rule> {
    let spec = &case.snapshot.config.spec;
    let for_holmesgpt = spec.output.writes(OutputFormat::HolmesGPT);
    let matching = spec.overrides.iter().filter(|rule| matches_override(case, rule));
    matching.map(|rule| Rule { name: rule.name.clone(), effect: changes(rule, for_holmesgpt) }).collect()
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
    changes.extend(rule.tenant_id.as_ref().map(|tenant| format!("sets tenantID {tenant}")));
    changes.extend(rule.settings.as_ref().map(|_| "changes settings".to_owned()));
    changes.extend(rule.credentials.as_ref().map(|credentials| {
        let sets =
            format!("sets {} credentials from the agent's environment variable {}", credentials.type_, credentials.env);
        let without = "; if the variable is not set, the agent rejects the whole entry with all its instances";
        if for_holmesgpt { format!("{sets}{without}") } else { sets }
    }));
    if changes.is_empty() { "changes nothing".to_owned() } else { changes.join(", ") }
}

/// The health of the endpoints.
pub(super) fn health(case: &Case<'_>) -> Option<model::Health> {
    let spec = &case.snapshot.config.spec.health;
    let candidate = matches!(&case.classification, Classification::Tool(_) | Classification::Rejected(_));
    if !candidate || spec.mode == HealthMode::None {
        return None;
    }
    let readiness = case.snapshot.index.readiness(case.key());
    let planned = case.planned.trace.health.of(case.key());
    let health = if readiness.serving { Health::Healthy } else { planned.health };
    let message = match health {
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
    Some(model::Health { health: health.as_str().to_owned(), message })
}
