//! The evidence for and against a product, as text for people.

use std::borrow::Cow;

use super::{
    conclusion::{Assessment, Basis, Conclusion, OtherRole},
    identities::Identities,
    pieces::Pieces,
    ports::{Choice, Fit, expected, target_number},
    refusal::refused,
    role::stated_role,
    rule::{Mark, Rule, Shape},
};
use crate::{
    finding::{Evidence, EvidenceKind},
    product::Confidence,
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
    if let Some(chart) = identities.chart_of(rule) {
        add(EvidenceKind::Label, true, chart.to_string());
    }
    let pieces = Pieces::of(rule, identities);
    if let (Conclusion::Endpoint { .. } | Conclusion::NoPort(..), Basis::Mention, Some((identity, word))) =
        (&assessment.conclusion, assessment.basis, pieces.other_program(rule, identities.view))
    {
        add(identity.kind, false, format!("`{word}` in {identity} can be the name of another program"));
    }
    if let (Basis::Mention, Some(pods)) = (assessment.basis, identities.pods_of_another(rule.product)) {
        add(pods.kind, false, format!("{pods} selects the Pods of another program, {}", pods.value));
    }
    if let Some(stated) = stated_role(identities.view, rule) {
        match &assessment.conclusion {
            Conclusion::OtherRole(OtherRole::Stated(_)) => {
                add(stated.kind, false, format!("role {}={} does not serve queries", stated.key, stated.value));
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
            let detail = if let Some((port, reason)) = refused(identities.view, ports, rule) {
                format!("{} is not used, because {reason}", describe_port(port))
            } else {
                let declared: Vec<String> = identities.view.ports.iter().map(describe_port).collect();
                let declared = if declared.is_empty() { "no ports".to_owned() } else { declared.join(", ") };
                format!("no port {}; the Service declares {declared}", expected(ports))
            };
            add(EvidenceKind::PortName, false, detail);
        }
        Conclusion::Endpoint { choice: Choice { port, fit }, endpoint, .. } => {
            let own_number = |number| endpoint.ports.numbers.contains(&number);
            let by_number = own_number(port.port) || target_number(port).is_some_and(own_number);
            let kind = if by_number { EvidenceKind::PortNumber } else { EvidenceKind::PortName };
            let how = match fit {
                Fit::Own => format!("is a known port of {}", rule.product),
                Fit::Typical | Fit::Usual => format!("is a usual port of {}, but does not identify it", rule.product),
                Fit::FrontDoor => "is the only port, and is named after a proxy".to_owned(),
                Fit::Scraped => "is the only port, and the annotation prometheus.io/port refers to it".to_owned(),
            };
            add(kind, true, format!("{} {how}", describe_port(port)));
        }
        Conclusion::Candidate { port, beside, .. } => {
            for port in [Some(*port), *beside].into_iter().flatten() {
                let detail = format!("{} is a known port of {}", describe_port(port), rule.product);
                add(EvidenceKind::PortNumber, true, detail);
            }
        }
        Conclusion::OtherRole(OtherRole::Peers) => {
            let ports: Vec<String> = identities.view.ports.iter().map(describe_port).collect();
            add(EvidenceKind::PortName, false, format!("only internal ports: {}", ports.join(", ")));
        }
        Conclusion::OtherRole(_) => {}
    }
    if identities.view.headless && !matches!(assessment.conclusion, Conclusion::NotTheProduct(_)) {
        let detail = "headless; a Service with a cluster IP for the same Pods is preferred";
        add(EvidenceKind::ClusterIP, false, detail.to_owned());
    }
    all
}

/// The evidence that decided, as text: `label app.kubernetes.io/name=grafana`.
pub(crate) fn deciding(rule: &Rule, identities: &Identities<'_>, assessment: &Assessment<'_>) -> String {
    if let Basis::Shape(shape) = assessment.basis {
        // What is absent only separates the shape from others.
        let is_there = |mark: &&Mark| !matches!(mark, Mark::NoLabel(_) | Mark::NoLabels | Mark::Headless);
        let marks: Vec<String> = shape.when.iter().filter(is_there).map(describe_mark).collect();
        return joined(&marks);
    }
    let port = match &assessment.conclusion {
        Conclusion::Endpoint { choice, confidence, .. }
            if *confidence < Confidence::High && choice.fit != Fit::Usual =>
        {
            Some(describe_port(choice.port))
        }
        Conclusion::Candidate { port, beside, .. } => {
            let ports: Vec<String> = [Some(*port), *beside].into_iter().flatten().map(describe_port).collect();
            return joined(&ports);
        }
        _ => None,
    };
    // An exact label decides alone, or together with a role.
    let by_label = matches!(assessment.basis, Basis::ExactName) && port.is_none();
    let found = Pieces::of(rule, identities);
    let mut pieces = if by_label { found.without_name().in_words() } else { found.in_words() };
    pieces.extend(port);
    joined(&pieces)
}

/// The texts in one sentence: `a`, `a and b`, `a, b and c`.
pub(crate) fn joined(texts: &[String]) -> String {
    match texts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn kind_of(shape: &Shape) -> EvidenceKind {
    let is_label = |mark: &Mark| matches!(mark, Mark::Label(..) | Mark::HasLabel(_) | Mark::StackPart(_));
    if shape.when.iter().any(is_label) { EvidenceKind::Label } else { EvidenceKind::Selector }
}

pub(crate) fn describe_port(port: &PortView) -> String {
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
        Mark::StackPart(part) => format!("label app=<stack>{part}"),
        Mark::NamedAfterSelectorApp(end) => {
            format!("the Service's name is the value of app in the selector, followed by {end}")
        }
        Mark::NameEndsWith(end) => format!("the Service's name ends with {end}"),
        Mark::Port(name, number) => format!("port {name} {number}"),
        Mark::HasPort(number) => format!("port {number}"),
        Mark::PortTo(name, target) => format!("port {name} to {target}"),
        Mark::Headless => "headless".to_owned(),
    }
}
