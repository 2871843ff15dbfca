//! The facts of Pods as text for people. It never has the value of a variable, except a checked path.

use super::{
    facts::{How, Identified, LeadsTo, PodFacts, PortFacts, Proof, QueryPort, Running, UnknownProgram},
    foreign,
    program::{If, Role, Setting},
};
use crate::{
    finding::{Auth, Evidence, EvidenceKind},
    product::Product,
};

/// Whether what is behind a port answers no queries.
pub(crate) fn answers_no_queries(leads_to: &LeadsTo) -> bool {
    match leads_to {
        LeadsTo::Unknown(_) => false,
        LeadsTo::Other { .. } => true,
        LeadsTo::Product(running) => {
            running.query_port == QueryPort::No || matches!(running.role, Some(Role::Silent(_)))
        }
    }
}

/// How the role of a Service starts whose Pods run another program. What follows names the program.
const ANOTHER: &str = "another program, ";

/// Why the ports of a Service do not answer queries of a product: by a port of that product, else by the first.
pub(crate) fn role_of_all(product: Product, facts: &PodFacts) -> String {
    let Some(port) = of_product(product, facts) else { return "another program".to_owned() };
    match &port.leads_to {
        LeadsTo::Unknown(_) => "another program".to_owned(),
        LeadsTo::Other { program, .. } => format!("{ANOTHER}{program}"),
        LeadsTo::Product(running) => {
            let is_own = running.product == product;
            match running.role {
                Some(Role::Silent(role)) if is_own => role.to_owned(),
                Some(Role::Silent(role)) => format!("{ANOTHER}{} ({role})", running.product),
                _ if running.query_port == QueryPort::No && is_own => "a port for another protocol".to_owned(),
                _ => format!("{ANOTHER}{}", running.product),
            }
        }
    }
}

/// What identifies the program that decides.
pub(crate) fn deciding(product: Product, facts: &PodFacts) -> Option<String> {
    match &of_product(product, facts)?.leads_to {
        LeadsTo::Unknown(_) => None,
        LeadsTo::Other { by, .. } => Some(identified(by)),
        LeadsTo::Product(running) => Some(identified(&running.by)),
    }
}

fn of_product(product: Product, facts: &PodFacts) -> Option<&PortFacts> {
    let is_of = |port: &&PortFacts| matches!(&port.leads_to, LeadsTo::Product(running) if running.product == product);
    let is_known = |port: &&PortFacts| !matches!(port.leads_to, LeadsTo::Unknown(_));
    facts.ports.iter().find(is_of).or_else(|| facts.ports.iter().find(is_known))
}

/// What identifies a program, e.g. `image grafana of container grafana`.
pub(crate) fn identified(by: &Identified) -> String {
    let container =
        by.container.as_deref().map_or_else(|| "a container".to_owned(), |name| format!("container {name}"));
    match by.how {
        How::Image(name) => format!("image {name} of {container}"),
        How::ImageWord(word) => format!("the word {word} in the image of {container}"),
        How::Marks(first, second) => format!("{} and {} of {container}", mark(first), mark(second)),
        How::MarkAndName(first) => format!("{} and the name of {container}", mark(first)),
        How::BehindProxy(proxy) => format!("{container} behind {proxy} in the same Pod"),
        How::BehindUnknown => format!("{container}, which an argument of another container points to"),
        How::Upstream => format!("the Service that {container} forwards requests to"),
    }
}

/// The name of an unknown program that is not the product, e.g. `image shop of container web`.
pub(crate) fn another_program(unknown: &UnknownProgram, product: Product) -> Option<String> {
    let image = unknown.image.as_deref().filter(|image| foreign::is_another(image, product))?;
    (!unknown.marked.contains(&product)).then(|| format!("image {image} of {}", container_of(unknown)))
}

/// What is said of a program that no table knows.
pub(crate) fn not_known(unknown: &UnknownProgram) -> String {
    format!("{} runs an unknown program", container_of(unknown))
}

impl PodFacts {
    /// What runs behind the ports of which no table knows the program, for people: `port 3000: container web runs a
    /// program that is not known`.
    pub fn unknown_programs(&self) -> impl Iterator<Item = String> {
        self.ports.iter().filter_map(|port| match &port.leads_to {
            LeadsTo::Unknown(unknown) => Some(format!("port {}: {}", port.port, not_known(unknown))),
            LeadsTo::Other { .. } | LeadsTo::Product(_) => None,
        })
    }
}

fn container_of(unknown: &UnknownProgram) -> String {
    unknown.container.as_deref().map_or_else(|| "a container".to_owned(), |name| format!("container {name}"))
}

/// The kind of evidence that identifies a program.
pub(crate) fn kind(by: &Identified) -> EvidenceKind {
    match by.how {
        How::Image(_) | How::ImageWord(_) | How::BehindProxy(_) => EvidenceKind::Image,
        How::Marks(first, _) | How::MarkAndName(first) => kind_of(first),
        How::Upstream | How::BehindUnknown => EvidenceKind::Argument,
    }
}

fn kind_of(condition: &If) -> EvidenceKind {
    match setting(condition) {
        Some(Setting::Env(_)) => EvidenceKind::Environment,
        Some(Setting::Flag(_)) => EvidenceKind::Argument,
        None => match condition {
            If::Subcommand(..) => EvidenceKind::Argument,
            _ => EvidenceKind::Image,
        },
    }
}

fn setting(condition: &If) -> Option<Setting> {
    match condition {
        If::Given(setting)
        | If::On(setting)
        | If::Off(setting)
        | If::Is(setting, _)
        | If::Has(setting, _)
        | If::FileNamed(setting, _)
        | If::ListensOn(setting, _) => Some(*setting),
        _ => None,
    }
}

fn name_of(setting: Setting) -> String {
    match setting {
        Setting::Flag(name) if name.starts_with("cfg:") => name.to_owned(),
        Setting::Flag(name) if name.starts_with("extensions.") => format!("--set={name}"),
        Setting::Flag(name) => format!("--{name}"),
        Setting::Env(name) => name.to_owned(),
    }
}

/// A mark as people write it.
fn mark(condition: &If) -> String {
    match condition {
        If::Subcommand(word, _) => format!("the argument {word}"),
        If::Container(word) => format!("the word {word} in the container's name"),
        If::PortName(name) => format!("the port name {name}"),
        If::Repository(component) => format!("{component} in the image's path"),
        If::Before(major) => format!("a version before {major}"),
        If::Since(major) => format!("version {major} or later"),
        If::Mounted(path) => format!("a mount at {path}"),
        _ => setting(condition).map_or_else(String::new, name_of),
    }
}

/// The names of the settings in a condition, e.g. `GF_SERVER_SERVE_FROM_SUB_PATH and GF_SERVER_ROOT_URL`.
fn names(conditions: &[If]) -> String {
    let names: Vec<String> = conditions.iter().map(mark).collect();
    names.join(" and ")
}

/// What the Pods say about a product on one port, for people.
pub(crate) fn evidence(port: &PortFacts, running: &Running) -> Vec<Evidence> {
    let mut all = Vec::new();
    let mut add = |kind, supports, detail: String| all.push(Evidence { kind, supports, detail: detail.into() });
    let answers = !answers_no_queries(&port.leads_to);
    if running.query_port == QueryPort::No {
        let detail = format!("port {} uses another protocol: {}", port.port, identified(&running.by));
        add(EvidenceKind::PortNumber, false, detail);
        return all;
    }
    add(kind(&running.by), answers, format!("{}, port {}", identified(&running.by), port.port));
    if let Some(proxy) = running.behind {
        add(EvidenceKind::Image, answers, format!("port {} leads to {proxy} in front of it", port.port));
    }
    match running.role {
        Some(Role::Silent(role)) => add(EvidenceKind::Argument, false, format!("{role} does not serve queries")),
        Some(Role::Answers { role, stated: true }) if !role.is_empty() => {
            add(EvidenceKind::Argument, true, format!("its role is {role}"));
        }
        _ => {}
    }
    if !answers {
        return all;
    }
    let mut field = |proof: Proof, what: String| {
        let (kind, detail) = match proof {
            Proof::Settings([]) => (kind(&running.by), what),
            Proof::Settings([only]) => (kind_of(only), format!("{} sets {what}", mark(only))),
            Proof::Settings(several @ [first, ..]) => (kind_of(first), format!("{} set {what}", names(several))),
            Proof::Probe => (EvidenceKind::Probe, format!("a probe of port {} shows {what}", port.port)),
            Proof::Default => (kind(&running.by), format!("{what} is the default, and no setting changes it")),
            Proof::Usual => return,
        };
        all.push(Evidence { kind, supports: true, detail: detail.into() });
    };
    if let Some(scheme) = &running.scheme {
        field(scheme.proof, format!("the scheme {}", scheme.value));
    }
    if let Some(path) = &running.path {
        let shown = if path.value.is_empty() { "/" } else { &path.value };
        field(path.proof, format!("the path {shown}"));
    }
    if let Some(auth) = &running.auth {
        let shown = match auth.value {
            Auth::None => "none",
            Auth::Basic => "user name and password",
            Auth::Bearer => "bearer token",
            Auth::Tenant => "tenant ID",
            Auth::Unknown => "unknown",
        };
        field(auth.proof, format!("the authentication ({shown})"));
    }
    all
}
