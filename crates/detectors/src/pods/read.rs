//! From a Pod to the facts that are kept of it.

use std::borrow::Cow;

use super::{
    checked_path::checked,
    container::{Container, Field},
    facts::{How, Identified, Known, LeadsTo, PodFacts, PortFacts, Proof, QueryPort, Running, UnknownProgram},
    front::{Containers, Running as RunningContainer},
    identify::{Identity, has_mark, marked},
    probes::{Probed, probed},
    program::{Case, Path, ProbePath, Program, Role, Says},
    proxies::{Proxy, Upstream, upstream_ports},
    view::PodView,
};
use crate::{
    product::{Product, Scheme},
    rules::VOCABULARY,
    view::{Protocol, ServiceView},
};

/// How many ports of a Service are looked at. Jaeger's has 14.
const MAX_PORTS: usize = 64;

/// What a Pod behind a Service says about the Service's ports.
pub fn read(view: &ServiceView, pod: &PodView) -> PodFacts {
    let containers = Containers::of(pod);
    let tcp = view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    let ports = tcp.take(MAX_PORTS).filter_map(|port| {
        let (running, number) = containers.reached_by(port)?;
        let listens = running.says_nothing_else_than(number);
        Some(PortFacts { port: port.port, listens, leads_to: leads_to(&containers, running, number) })
    });
    PodFacts { ports: ports.collect() }
}

/// What answers on a container's port.
fn leads_to(containers: &Containers<'_>, running: &RunningContainer<'_>, number: u16) -> LeadsTo {
    let container = &running.container;
    let by = |how| Identified { how, container: container.name() };
    match running.identity {
        Identity::Product(program, _) if program.other_products.contains(&number) => not_known(container, number),
        Identity::Product(program, how) => LeadsTo::Product(Box::new(product(program, by(how), running, number))),
        Identity::Other(program, how) => LeadsTo::Other { program, by: by(how) },
        Identity::Proxy(proxy, how) if !proxy.is_by_file() => {
            if proxy.passes_no_queries(container) {
                return LeadsTo::Other { program: "a proxy for metrics", by: by(how) };
            }
            if proxy.asks_for_label {
                return LeadsTo::Other { program: "a proxy that requires a label", by: by(how) };
            }
            behind(containers, proxy, running, number).unwrap_or_else(|| not_known(container, number))
        }
        Identity::Proxy(proxy, _) => behind_file(containers, proxy.name, running, number),
        Identity::NamedProxy => behind_unknown(containers, running, number)
            .unwrap_or_else(|| behind_file(containers, "a proxy", running, number)),
        Identity::Unknown => behind_unknown(containers, running, number).unwrap_or_else(|| {
            let image = container.image.program().map(Into::into);
            LeadsTo::Unknown(Box::new(UnknownProgram {
                image,
                marked: marked(container),
                ..unknown(container, number)
            }))
        }),
    }
}

/// A container of which only a probe can say something.
fn not_known(container: &Container<'_>, number: u16) -> LeadsTo {
    LeadsTo::Unknown(Box::new(unknown(container, number)))
}

fn unknown(container: &Container<'_>, number: u16) -> UnknownProgram {
    let scheme = probed(container, number).scheme.map(|value| Known { value, proof: Proof::Probe });
    UnknownProgram { container: container.name(), scheme, ..UnknownProgram::default() }
}

/// A product whose container the port reaches.
fn product(program: &'static Program, by: Identified, running: &RunningContainer<'_>, number: u16) -> Running {
    let container = &running.container;
    let probed = probed(container, number);
    let mut scheme = container.field(program.scheme);
    if let (false, Some(value)) = (scheme.is_stated, probed.scheme) {
        scheme.known = Some(Known { value, proof: Proof::Probe });
    }
    let mut auth = container.field(program.auth);
    if !auth.is_stated && probed.logs_in {
        auth.known = Some(Known { value: crate::finding::Auth::Basic, proof: Proof::Probe });
    }
    let query_port = match (query_port(program, running, number), by.how) {
        (QueryPort::Unlikely, How::Image(_)) if !has_mark(container, program) => QueryPort::Unlikely,
        (QueryPort::Unlikely, _) => QueryPort::Possible,
        (query_port, _) => query_port,
    };
    Running {
        product: program.product,
        by,
        behind: None,
        role: role(container, program),
        query_port,
        scheme: scheme.known,
        path: path(container, program, &probed),
        auth: auth.known,
    }
}

fn role(container: &Container<'_>, program: &'static Program) -> Option<Role> {
    if program.roles.is_empty() {
        return Some(Role::Answers { role: "", stated: false });
    }
    let (mut open, mut can_answer) = (false, false);
    for case in program.roles {
        match container.all_hold(case.when) {
            Some(false) => {}
            None => {
                open = true;
                can_answer |= matches!(case.then, Role::Answers { .. });
            }
            Some(true) => {
                return match case.then {
                    Role::Answers { role, stated } => Some(Role::Answers { role, stated: stated && !open }),
                    // Something unseen can give it a role that answers.
                    Role::Silent(_) if can_answer => None,
                    silent @ Role::Silent(_) => Some(silent),
                };
            }
        }
    }
    None
}

fn query_port(program: &Program, running: &RunningContainer<'_>, number: u16) -> QueryPort {
    let Some(listening) = &running.listening else { return QueryPort::Possible };
    if listening.ports.contains(&number) {
        QueryPort::Yes
    } else if listening.stated || program.listen.never.contains(&number) {
        QueryPort::No
    } else if listening.is_open || listening.ports.is_empty() {
        QueryPort::Possible
    } else if running.container.declares_only(number) {
        // An image can be built with another port, or be another program of this name.
        QueryPort::Unlikely
    } else {
        QueryPort::No
    }
}

/// The path of the API.
fn path(container: &Container<'_>, program: &'static Program, probed: &Probed<'_>) -> Option<Known<Cow<'static, str>>> {
    let prefix = text(container, program.prefix);
    let by_probe = || {
        let value = Cow::Owned(probed_prefix(program.probe_path, probed)?);
        Some(Known { value, proof: Proof::Probe })
    };
    let prefix = match prefix {
        Field { known: Some(known), is_stated: true } => known,
        Field { known: Some(known), .. } if beats_probes(program.probe_path, &known) => known,
        Field { known, .. } => by_probe().or(known)?,
    };
    if program.api.is_empty() {
        return Some(prefix);
    }
    let api = text(container, program.api).known?;
    let proof = match (prefix.proof, api.proof) {
        (Proof::Usual, _) | (_, Proof::Usual) => Proof::Usual,
        (Proof::Default, proof) | (proof, _) => proof,
    };
    let value = if prefix.value.is_empty() {
        api.value
    } else {
        Cow::Owned(checked(&format!("{}{}", prefix.value, api.value))?)
    };
    Some(Known { value, proof })
}

/// Whether a probe cannot change this path.
fn beats_probes(probe_path: ProbePath, known: &Known<Cow<'static, str>>) -> bool {
    known.proof == Proof::Default && matches!(probe_path, ProbePath::Around(_))
}

fn text(container: &Container<'_>, cases: &'static [Case<Says<Path>>]) -> Field<Cow<'static, str>> {
    let Field { known, is_stated } = container.field(cases);
    let known = known.and_then(|Known { value, proof }| Some(Known { value: container.path(value)?, proof }));
    Field { is_stated: is_stated && known.is_some(), known }
}

/// The prefix that the paths of probes show.
fn probed_prefix(probe_path: ProbePath, probed: &Probed<'_>) -> Option<String> {
    let mut prefixes = probed.paths.iter().filter_map(|path| {
        let path = path.split('?').next().unwrap_or(path);
        match probe_path {
            ProbePath::Nothing => None,
            ProbePath::Before(ends) => ends.iter().find_map(|end| path.strip_suffix(end)).and_then(checked),
            ProbePath::Around(segments) => checked(before_one_of(path, segments)?),
        }
    });
    let first = prefixes.next()?;
    prefixes.all(|prefix| prefix == first).then_some(first)
}

/// What is before the first of these segments, or all of the path if it ends with a slash.
fn before_one_of<'p>(path: &'p str, segments: &[&str]) -> Option<&'p str> {
    let starts = path.match_indices('/').map(|(at, _)| at);
    let is_one = |at: &usize| path[at + 1..].split('/').next().is_some_and(|segment| segments.contains(&segment));
    let before = starts.into_iter().find(is_one).map(|at| &path[..at]);
    before.or_else(|| path.ends_with('/').then_some(path))
}

/// A product behind a proxy whose settings say what it passes requests to.
fn behind(
    containers: &Containers<'_>,
    proxy: &'static Proxy,
    running: &RunningContainer<'_>,
    number: u16,
) -> Option<LeadsTo> {
    let container = &running.container;
    let listening = proxy.listening(container);
    let scheme = listening.iter().find(|(port, ..)| *port == number).map(|(_, scheme, by)| Known {
        value: *scheme,
        proof: by.map_or(Proof::Default, |by| Proof::Settings(std::slice::from_ref(by))),
    });
    let probed = probed(container, number).scheme.map(|value| Known { value, proof: Proof::Probe });
    let scheme = scheme.or(probed);
    let auth = proxy.auth(container);
    let inside = match proxy.upstream(container) {
        Upstream::Port(port) => {
            let by_port = containers.reached_inside(port).map(|running| (running, port));
            let only = || containers.only_product().filter(|running| running.can_listen_on(port));
            by_port.or_else(|| only().map(|running| (running, 0)))
        }
        Upstream::Service(name) => return Some(by_upstream_name(&name, proxy, container, scheme, auth)),
        Upstream::Unknown => containers.only_product().map(|running| (running, 0)),
    };
    let (inside, port) = inside?;
    match inside.identity {
        Identity::Product(program, how) => {
            let by = Identified { how, container: inside.container.name() };
            let facts = product(program, by, inside, port);
            let query_port = if port == 0 { QueryPort::Yes } else { facts.query_port };
            Some(LeadsTo::Product(Box::new(Running { behind: Some(proxy.name), scheme, auth, query_port, ..facts })))
        }
        Identity::Other(program, how) => {
            Some(LeadsTo::Other { program, by: Identified { how, container: inside.container.name() } })
        }
        Identity::Proxy(other, how) if other.asks_for_label => Some(LeadsTo::Other {
            program: "a proxy that requires a label",
            by: Identified { how, container: inside.container.name() },
        }),
        _ => Some(LeadsTo::Unknown(Box::new(UnknownProgram { scheme, ..unknown(container, number) }))),
    }
}

/// A proxy alone in its Pod, before a Service with a product's name.
fn by_upstream_name(
    name: &str,
    proxy: &'static Proxy,
    container: &Container<'_>,
    scheme: Option<Known<Scheme>>,
    auth: Option<Known<crate::finding::Auth>>,
) -> LeadsTo {
    let mention = VOCABULARY.mention(name, None);
    let product: Option<Product> = mention.product().filter(|_| mention.contradiction().is_none());
    let Some(product) = product else {
        let unknown = UnknownProgram { container: container.name(), scheme, ..UnknownProgram::default() };
        return LeadsTo::Unknown(Box::new(unknown));
    };
    LeadsTo::Product(Box::new(Running {
        product,
        by: Identified { how: How::Upstream, container: container.name() },
        behind: Some(proxy.name),
        role: Some(Role::Answers { role: "", stated: false }),
        query_port: QueryPort::Yes,
        scheme,
        path: None,
        auth,
    }))
}

/// A program that no table knows, of which a flag says that it passes requests to the only product in the Pod.
fn behind_unknown(containers: &Containers<'_>, running: &RunningContainer<'_>, number: u16) -> Option<LeadsTo> {
    let inside = containers.only_product()?;
    let port = upstream_ports(&running.container).into_iter().find(|port| inside.can_listen_on(*port))?;
    let Identity::Product(program, _) = inside.identity else { return None };
    let by = Identified { how: How::BehindUnknown, container: inside.container.name() };
    let scheme = probed(&running.container, number).scheme.map(|value| Known { value, proof: Proof::Probe });
    let facts = product(program, by, inside, port);
    let (query_port, behind) = (QueryPort::Yes, Some("an unknown program"));
    Some(LeadsTo::Product(Box::new(Running { behind, scheme, auth: None, query_port, ..facts })))
}

/// A web server whose configuration is in a file. If there is one product beside it, that is what it stands before.
fn behind_file(
    containers: &Containers<'_>,
    name: &'static str,
    running: &RunningContainer<'_>,
    number: u16,
) -> LeadsTo {
    let scheme = probed(&running.container, number).scheme.map(|value| Known { value, proof: Proof::Probe });
    let only = containers.only_product();
    let Some((inside, Identity::Product(program, _))) = only.map(|inside| (inside, inside.identity)) else {
        return not_known(&running.container, number);
    };
    LeadsTo::Product(Box::new(Running {
        product: program.product,
        by: Identified { how: How::BehindProxy(name), container: inside.container.name() },
        behind: Some(name),
        role: role(&inside.container, program),
        query_port: QueryPort::Yes,
        scheme,
        path: None,
        auth: None,
    }))
}
