//! The evidence for and against a product, as text for people.

use std::borrow::Cow;

use super::{
    assess::{Assessment, Basis, Conclusion, OtherRole},
    identities::Identities,
    ports::{Choice, Fit, expected, target_number},
    role::stated_role,
    rule::{Mark, Rule, Shape},
};
use crate::{
    finding::{Evidence, EvidenceKind},
    view::{PortView, Protocol, TargetPort},
};

/// All evidence for and against a product, the strongest first.
pub(crate) fn evidence(rule: &Rule, identities: &Identities<'_>, assessment: &Assessment<'_>) -> Vec<Evidence> {
    let mut all = Vec::new();
    let mut add = |kind, supports, detail| all.push(Evidence { kind, supports, detail: Cow::Owned(detail) });
    if let Basis::Shape(shape) = assessment.basis {
        let marks: Vec<String> = shape.when.iter().map(describe_mark).collect();
        add(kind_of(shape), true, format!("matches {}: {}", shape.made_by, marks.join(", ")));
    }
    for identity in identities.iter() {
        if identity.mention.product() == Some(rule.product) || identity.exact_name(rule).is_some() {
            add(identity.kind, true, identity.to_string());
        }
    }
    if let (Basis::Mention, Some(pods)) = (assessment.basis, identities.pods_of_another(rule.product)) {
        add(pods.kind, false, format!("{pods} selects the Pods of another program, {}", pods.value));
    }
    if let Some(stated) = stated_role(identities.view, rule) {
        match &assessment.conclusion {
            Conclusion::OtherRole(OtherRole::Stated(_)) => {
                add(stated.kind, false, format!("role {}={} answers no queries", stated.key, stated.value));
            }
            Conclusion::Endpoint { .. } | Conclusion::NoPort(..) => {
                add(stated.kind, true, format!("role {}={}", stated.key, stated.value));
            }
            _ => {}
        }
    }
    match &assessment.conclusion {
        Conclusion::NotTheProduct(mismatch) => {
            if let Some(kind) = mismatch.kind() {
                add(kind, false, mismatch.to_string());
            }
        }
        Conclusion::NoPort(ports, _) => {
            let declared: Vec<String> = identities.view.ports.iter().map(describe_port).collect();
            let declared = if declared.is_empty() { "it declares none".to_owned() } else { declared.join(", ") };
            add(EvidenceKind::PortName, false, format!("no port {}; the Service has {declared}", expected(ports)));
        }
        Conclusion::Endpoint { choice: Choice { port, fit }, endpoint, .. } => {
            let own_number = |number| endpoint.ports.numbers.contains(&number);
            let by_number = own_number(port.port) || target_number(port).is_some_and(own_number);
            let kind = if by_number { EvidenceKind::PortNumber } else { EvidenceKind::PortName };
            let how = match fit {
                Fit::Own => format!("is a known port of {}", rule.product),
                Fit::Usual => format!("is a usual port of {}, but does not identify it", rule.product),
            };
            add(kind, true, format!("{} {how}", describe_port(port)));
        }
        Conclusion::Candidate { port, .. } => {
            add(EvidenceKind::PortNumber, true, format!("{} is a known port of {}", describe_port(port), rule.product));
        }
        Conclusion::OtherRole(_) => {}
    }
    if identities.view.headless && !matches!(assessment.conclusion, Conclusion::NotTheProduct(_)) {
        let detail = "headless; a Service with a cluster IP for the same Pods is preferred";
        add(EvidenceKind::ClusterIP, false, detail.to_owned());
    }
    all
}

fn kind_of(shape: &Shape) -> EvidenceKind {
    let is_label = |mark: &Mark| matches!(mark, Mark::Label(..) | Mark::HasLabel(_) | Mark::StackPart(_));
    if shape.when.iter().any(is_label) { EvidenceKind::Label } else { EvidenceKind::Selector }
}

fn describe_port(port: &PortView) -> String {
    let name = port.name.as_deref().map_or_else(String::new, |name| format!(" {name}"));
    let target = match &port.target {
        Some(TargetPort::Number(number)) if *number != port.port => format!(" to {number}"),
        Some(TargetPort::Name(target)) => format!(" to {target}"),
        _ => String::new(),
    };
    let protocol = match port.protocol {
        Protocol::Tcp => "",
        Protocol::Udp => " UDP",
        Protocol::Sctp => " SCTP",
    };
    format!("port{name} {}{target}{protocol}", port.port)
}

fn describe_mark(mark: &Mark) -> String {
    match mark {
        Mark::Label(key, value) => format!("label {key}={value}"),
        Mark::HasLabel(key) => format!("label {key}"),
        Mark::NoLabel(key) => format!("no label {key}"),
        Mark::NoLabels => "no labels".to_owned(),
        Mark::Selector(key, value) => format!("selector {key}={value}"),
        Mark::HasSelector(key) => format!("selector {key}"),
        Mark::StackPart(part) => format!("label app is the stack's name followed by {part}"),
        Mark::NamedAfterSelectorApp(end) => format!("the Service's name is the selector's app followed by {end}"),
        Mark::NameEndsWith(end) => format!("the Service's name ends with {end}"),
        Mark::Port(name, number) => format!("port {name} {number}"),
        Mark::PortTo(name, target) => format!("port {name} to {target}"),
        Mark::Headless => "headless".to_owned(),
    }
}
