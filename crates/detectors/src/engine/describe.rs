//! Says in words what a rule found: the evidence for and against, and what a person can do about it.

use std::borrow::Cow;

use super::{
    facts::{Facts, Reading, release},
    judge::{Conclusion, Ground, No, Part, Verdict},
    ports::{self, Choice, Fit},
    rule::{Door, Mark, Ports, Rule},
    words,
};
use crate::{
    Confidence, Evidence, EvidenceKind, Finding, Outcome, PortView, Product, Protocol, Rank, ServiceView, Target,
    scheme_of,
};

/// Stacks that bring a Prometheus, Grafana or Elasticsearch of their own which sees only their data, by the word in front.
const BUNDLERS: &[&str] = &["gitlab", "kubecost", "linkerd", "longhorn", "mastodon", "opencost", "openebs", "openfaas"];

/// The finding, if the rule recognised the Service.
pub(crate) fn finding(rule: &'static Rule, facts: &Facts<'_>, verdict: &Verdict<'_>) -> Option<Finding> {
    let (confidence, outcome, tier) = match &verdict.conclusion {
        Conclusion::No(_) => return None,
        Conclusion::Part(part) => {
            let confidence = match verdict.ground {
                Ground::Shape(_) | Ground::Stated => Confidence::High,
                _ => Confidence::Low,
            };
            (confidence, Outcome::NotAnEndpoint { role: role_in_words(part) }, 0)
        }
        Conclusion::NoPort(_, confidence) => (*confidence, Outcome::NoUsablePort, 0),
        Conclusion::Endpoint { door, choice, confidence } => {
            (*confidence, Outcome::Endpoint(target_at(facts.view, door, choice.port)), door.tier)
        }
        Conclusion::Candidate { door, port } => {
            (Confidence::Low, Outcome::Endpoint(target_at(facts.view, door, port)), door.tier)
        }
    };
    let settled = confidence == Confidence::High && matches!(outcome, Outcome::Endpoint(_));
    Some(Finding {
        product: rule.product,
        confidence,
        outcome,
        rank: Rank { bundled: bundled(verdict, facts.view), tier },
        evidence: evidence(rule, facts, verdict),
        hint: if settled { None } else { Some(Cow::Owned(hint(rule, facts, verdict))) },
    })
}

/// The endpoint at a port of a door.
pub(crate) fn target_at(view: &ServiceView, door: &'static Door, port: &PortView) -> Target {
    Target { port: port.port, scheme: scheme_of(view, port), path: Cow::Borrowed(door.path) }
}

fn bundled(verdict: &Verdict<'_>, view: &ServiceView) -> bool {
    let by_shape = matches!(verdict.ground, Ground::Shape(shape) if shape.bundled);
    let first = |value: &str| words::split(value).next().is_some_and(|word| words::contains(BUNDLERS, word));
    by_shape
        || view.labels.contains_key("linkerd.io/extension")
        || release(view).is_some_and(first)
        || (release(view).is_none() && first(&view.key.name))
}

fn role_in_words(part: &Part<'_>) -> Cow<'static, str> {
    match part {
        Part::Shape(words) => Cow::Borrowed(words),
        Part::Role(role) => Cow::Owned(role.value.to_owned()),
        Part::NoRole => Cow::Borrowed("a part that does not say whether it answers queries"),
    }
}

/// Everything that speaks for the product and against it, strongest first.
pub(crate) fn evidence(rule: &Rule, facts: &Facts<'_>, verdict: &Verdict<'_>) -> Vec<Evidence> {
    let mut all = Vec::new();
    let mut say = |kind, supports, detail: String| all.push(Evidence { kind, supports, detail: Cow::Owned(detail) });
    if let Ground::Shape(shape) = verdict.ground {
        let marks: Vec<String> = shape.when.iter().map(mark_in_words).collect();
        let kind =
            if shape.when.iter().any(|mark| matches!(mark, Mark::Label(..) | Mark::HasLabel(_) | Mark::StackPart(_))) {
                EvidenceKind::Label
            } else {
                EvidenceKind::Selector
            };
        say(kind, true, format!("the shape of {}: {}", shape.made_by, marks.join(", ")));
    }
    for reading in facts.readings() {
        if reading.saying.product() == Some(rule.product) || reading.exact(rule).is_some() {
            say(reading.kind, true, place(reading));
        }
    }
    if let (Ground::Words, Some(pods)) = (verdict.ground, facts.pods_of_another(rule.product)) {
        say(pods.kind, false, format!("{}: its pods are those of {}", place(pods), pods.value));
    }
    if let Some(role) = facts.role(rule) {
        match &verdict.conclusion {
            Conclusion::Part(Part::Role(_)) => {
                say(role.kind, false, format!("{}={} is not a part that answers queries", role.key, role.value));
            }
            Conclusion::Endpoint { .. } | Conclusion::NoPort(..) => {
                say(role.kind, true, format!("role {}={}", role.key, role.value));
            }
            _ => {}
        }
    }
    match &verdict.conclusion {
        Conclusion::No(No::Word(reading, word)) => {
            say(reading.kind, false, format!("the word `{word}` in {}", place(reading)));
        }
        Conclusion::No(No::OtherProduct(reading, product)) => {
            say(reading.kind, false, format!("{} names {product}", place(reading)));
        }
        Conclusion::No(No::OtherName) => {
            say(EvidenceKind::Label, false, "app.kubernetes.io/name names something else".to_owned());
        }
        Conclusion::NoPort(ports, _) => {
            let declared: Vec<String> = facts.view.ports.iter().map(port_in_words).collect();
            let declared = if declared.is_empty() { "none is declared".to_owned() } else { declared.join(", ") };
            say(EvidenceKind::PortName, false, format!("no port fits: {declared}; looked for one {}", wanted(ports)));
        }
        Conclusion::Endpoint { choice: Choice { port, fit }, door, .. } => {
            let number = door.ports.numbers.contains(&port.port)
                || ports::target_number(port).is_some_and(|number| door.ports.numbers.contains(&number));
            let kind = if number { EvidenceKind::PortNumber } else { EvidenceKind::PortName };
            let how = match fit {
                Fit::Own => "the product's own",
                Fit::Usual => "usual for it",
            };
            say(kind, true, format!("{}, {how}", port_in_words(port)));
        }
        Conclusion::Candidate { port, .. } => {
            say(EvidenceKind::PortNumber, true, format!("{}, the product's own number", port_in_words(port)));
        }
        Conclusion::No(No::Nothing) | Conclusion::Part(_) => {}
    }
    if facts.view.headless && !matches!(verdict.conclusion, Conclusion::No(_)) {
        say(
            EvidenceKind::Shape,
            false,
            "headless: set aside where a Service with a cluster IP stands over the same pods".to_owned(),
        );
    }
    all
}

/// What would change the verdict, or settle it.
pub(crate) fn hint(rule: &Rule, facts: &Facts<'_>, verdict: &Verdict<'_>) -> String {
    let product = rule.product;
    match &verdict.conclusion {
        Conclusion::No(No::Nothing) => format!(
            "Nothing says {product}. If it speaks its API, annotate the Service with {}, and kubernaut.io/toolset-path \
             where it answers under a path.",
            opt_in(product, sole_port(facts.view))
        ),
        Conclusion::No(No::Word(reading, word)) => format!(
            "`{word}` in {} says it is another program. If it does answer {product}'s queries, annotate it with {}.",
            place(reading),
            opt_in(product, sole_port(facts.view))
        ),
        Conclusion::No(No::OtherProduct(reading, other)) => format!(
            "{} names {other}. If it is {product} all the same, annotate it with {}.",
            place(reading),
            opt_in(product, sole_port(facts.view))
        ),
        Conclusion::No(No::OtherName) => format!(
            "Its app.kubernetes.io/name is another program's. If it is {product}, annotate it with {}.",
            opt_in(product, sole_port(facts.view))
        ),
        Conclusion::Part(Part::NoRole) => format!(
            "Every part of {product} carries this name; label the one that answers queries with \
             app.kubernetes.io/component={}, or annotate it with {}.",
            rule.doors.iter().flat_map(|door| door.roles).next().unwrap_or(&"query"),
            opt_in(product, sole_port(facts.view))
        ),
        Conclusion::Part(part) => format!(
            "This part ({}) answers no queries; {product}'s are answered by {}. To take this Service all the same, annotate it \
             with {}.",
            role_in_words(part),
            doors_in_words(rule),
            opt_in(product, sole_port(facts.view))
        ),
        Conclusion::NoPort(ports, _) => {
            format!(
                "Declare the query port so that it can be told ({}), or annotate the Service with {}.",
                wanted(ports),
                opt_in(product, sole_port(facts.view))
            )
        }
        Conclusion::Candidate { port, .. } => format!(
            "Only the port's number speaks for it. If it is {product}, annotate the Service with {} or label it {}.",
            opt_in(product, Some(port.port)),
            name_label(rule)
        ),
        Conclusion::Endpoint { choice, confidence: Confidence::Low, .. } => format!(
            "One piece of evidence only: the port could be anything's. Annotate the Service with {}, or label it {}.",
            opt_in(product, Some(choice.port.port)),
            name_label(rule)
        ),
        Conclusion::Endpoint { choice, confidence: Confidence::Medium, .. } => format!(
            "The label {} or the annotations {} would make it High; kubernaut.io/toolset=disabled leaves it out.",
            name_label(rule),
            opt_in(product, Some(choice.port.port))
        ),
        Conclusion::Endpoint { .. } => "The annotation kubernaut.io/toolset=disabled leaves it out.".to_owned(),
    }
}

fn opt_in(product: Product, port: Option<u16>) -> String {
    let port = port.map_or_else(|| "<name or number>".to_owned(), |port| port.to_string());
    format!(
        "kubernaut.io/toolset=enabled, kubernaut.io/toolset-type={}, kubernaut.io/toolset-port={port}",
        product.lower()
    )
}

fn sole_port(view: &ServiceView) -> Option<u16> {
    match &*view.ports {
        [port] => Some(port.port),
        _ => None,
    }
}

fn name_label(rule: &Rule) -> String {
    let Some(own) = rule.names.first() else { return "app.kubernetes.io/name".to_owned() };
    let door = rule.doors.iter().flat_map(|door| door.roles).next().filter(|_| own.role_required);
    match door {
        Some(door) => format!("app.kubernetes.io/name={}, app.kubernetes.io/component={door}", own.value),
        None => format!("app.kubernetes.io/name={}", own.value),
    }
}

fn doors_in_words(rule: &Rule) -> String {
    let roles: Vec<&str> = rule.doors.iter().filter_map(|door| door.roles.first().copied()).collect();
    if roles.is_empty() { "its main Service".to_owned() } else { roles.join(" or ") }
}

fn wanted(ports: &Ports) -> String {
    let names: Vec<&str> = ports.own_names.iter().chain(ports.usual_names).copied().collect();
    let numbers: Vec<String> = ports.numbers.iter().map(u16::to_string).collect();
    match (names.is_empty(), numbers.is_empty()) {
        (false, false) => format!("named {} or numbered {}", names.join(", "), numbers.join(", ")),
        (true, _) => format!("numbered {}", numbers.join(", ")),
        (false, true) => format!("named {}", names.join(", ")),
    }
}

fn place(reading: &Reading<'_>) -> String {
    match reading.kind {
        EvidenceKind::Name => format!("the Service's name {}", reading.value),
        EvidenceKind::Selector => format!("selector {}={}", reading.key, reading.value),
        _ => format!("label {}={}", reading.key, reading.value),
    }
}

fn port_in_words(port: &PortView) -> String {
    let name = port.name.as_deref().map_or_else(String::new, |name| format!(" {name}"));
    let target = match &port.target {
        Some(crate::TargetPort::Number(number)) if *number != port.port => format!(" to {number}"),
        Some(crate::TargetPort::Name(target)) => format!(" to {target}"),
        _ => String::new(),
    };
    let protocol = match port.protocol {
        Protocol::Tcp => "",
        Protocol::Udp => " UDP",
        Protocol::Sctp => " SCTP",
    };
    format!("port{name} {}{target}{protocol}", port.port)
}

fn mark_in_words(mark: &Mark) -> String {
    match mark {
        Mark::Label(key, value) => format!("label {key}={value}"),
        Mark::HasLabel(key) => format!("label {key}"),
        Mark::NoLabel(key) => format!("no label {key}"),
        Mark::NoLabels => "no labels".to_owned(),
        Mark::Selector(key, value) => format!("selector {key}={value}"),
        Mark::HasSelector(key) => format!("selector {key}"),
        Mark::StackPart(part) => format!("label app is the stack's name with {part}"),
        Mark::NamedAfterSelectorApp(end) => format!("named after the selector's app with {end}"),
        Mark::NameEndsWith(end) => format!("name ends in {end}"),
        Mark::Port(name, number) => format!("port {name} {number}"),
        Mark::PortTo(name, target) => format!("port {name} to {target}"),
        Mark::Headless => "headless".to_owned(),
    }
}
