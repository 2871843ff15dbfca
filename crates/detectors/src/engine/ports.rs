//! The port of a Service that answers queries: by its name, else by its number, never the first one of the list.

use std::{borrow::Cow, ops::RangeInclusive};

use super::{
    rule::{EndpointRole, Ports, Rule},
    whole_words,
};
use crate::{
    finding::Target,
    scheme::scheme_of,
    view::{PortView, Protocol, ServiceView, TargetPort},
};

/// Words in a port's name that name another protocol, or another program in the Pod.
const OTHER_PROTOCOLS: &[&str] = &[
    "binary",
    "client",
    "cluster",
    "compact",
    "controller",
    "debug",
    "exporter",
    "gossip",
    "grpc",
    "grpclb",
    "health",
    "internal",
    "jmx",
    "memberlist",
    "mesh",
    "metrics",
    "oap",
    "opamp",
    "otlp",
    "peer",
    "pprof",
    "reloader",
    "remote",
    "scrape",
    "sidecar",
    "ssh",
    "stats",
    "tchan",
    "tenancy",
    "thanos",
    "thrift",
    "transport",
    "udp",
    "webhook",
    "zipkin",
];

/// Numbers that the Pods of a program use among themselves, and numbers that receive spans: memberlist, Elasticsearch's
/// transport, the Thanos store API, Jaeger, OTLP. The gRPC port 9095 of Loki and Tempo is not one of them, because the
/// `web` port of an Alertmanager on `OpenShift` has the same number.
pub(crate) const PEER_PORTS: &[u16] =
    &[7946, 9300, 10901, 4317, 4318, 14250, 14267, 14268, 14269, 16685, 16687, 5775, 5778, 6831, 6832];

/// Numbers of exporters: the list of default ports in Prometheus' wiki begins here. A product's own number is in its
/// table.
const EXPORTER_PORTS: RangeInclusive<u16> = 9100..=9999;

/// Numbers that any web server uses.
const COMMON_PORTS: &[u16] = &[80, 443, 8080, 8443];

/// Numbers of a product that web servers use by default, too: Grafana's is that of Node.js frameworks.
const SHARED_PORTS: &[u16] = &[3000];

/// How well a port matches a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// It is the only port, and the Service asks that it is scraped. The product serves its metrics where it answers
    /// queries.
    Scraped,
    /// It is the only port, and its name is that of a proxy.
    FrontDoor,
    /// It is usual for the role, but other programs use such a port too.
    Usual,
    /// Its name or number is the role's own, but programs beside the product have such a port too.
    Typical,
    /// Its number is the role's own, or its name is the product's.
    Own,
}

/// The port of a role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    pub port: &'a PortView,
    pub fit: Fit,
}

/// The port that matches best.
///
/// First by the role's own names, then by its numbers, then by usual names, then by a name that contains the product's.
/// Of several ports with one number or with such a name, those whose `appProtocol` is HTTP come first, then the lowest.
pub(crate) fn choose<'a>(view: &'a ServiceView, ports: &Ports, rule: &Rule) -> Option<Choice<'a>> {
    let is_never = |number: u16| ports.never.contains(&number);
    let is_usable = |port: &&PortView| {
        port.protocol == Protocol::Tcp && !is_never(port.port) && !target_number(port).is_some_and(is_never)
    };
    let usable = || view.ports.iter().filter(is_usable);
    let named = |name: &str| {
        usable().filter(|port| port_name(port).is_some_and(|own| own.eq_ignore_ascii_case(name))).min_by_key(|p| p.port)
    };
    if let Some(port) = ports.own_names.iter().find_map(|name| named(name)) {
        let is_own = has_own_number(port, ports) || port_name(port).is_some_and(|name| names_product(name, rule));
        return Some(Choice { port, fit: if is_own { Fit::Own } else { Fit::Typical } });
    }
    for number in ports.numbers {
        let has_number = |port: &&PortView| {
            (port.port == *number || target_number(port) == Some(*number)) && !is_another_protocol(port, ports, rule)
        };
        if let Some(port) = usable().filter(has_number).min_by_key(|port| (!is_http(port), port.port)) {
            return Some(Choice { port, fit: fit_of(*number, port, rule) });
        }
    }
    let is_elsewhere = |port: &PortView| {
        is_of_another(port, ports) || target_name(port).is_some_and(|name| names_another_protocol(name, ports, rule))
    };
    if let Some(port) = ports.usual_names.iter().find_map(|name| named(name).filter(|port| !is_elsewhere(port))) {
        return Some(Choice { port, fit: Fit::Usual });
    }
    let is_named_after_it = |port: &&PortView| {
        let by_target = |name: &str| whole_words::contains(ports.usual_names, name) || names_product(name, rule);
        let leads_to_it = target_name(port).is_some_and(|name| whole_words::contains(ports.targets, name));
        let by_name = match port_name(port) {
            Some(name) => names_product(name, rule) || leads_to_it,
            None => leads_to_it || target_name(port).is_some_and(by_target),
        };
        by_name && !is_another_protocol(port, ports, rule) && !is_elsewhere(port)
    };
    let port = usable().filter(is_named_after_it).min_by_key(|port| (!is_http(port), port.port))?;
    Some(Choice { port, fit: Fit::Usual })
}

/// Whether a port has a number of another component, of peers or of an exporter.
pub(crate) fn is_of_another(port: &PortView, ports: &Ports) -> bool {
    let is_other = |number: u16| {
        !ports.numbers.contains(&number)
            && (PEER_PORTS.contains(&number) || ports.never.contains(&number) || EXPORTER_PORTS.contains(&number))
    };
    is_other(port.port) || target_number(port).is_some_and(is_other)
}

/// How well a port with this number of the role matches it.
fn fit_of(number: u16, port: &PortView, rule: &Rule) -> Fit {
    let is_named_after_it =
        || [port_name(port), target_name(port)].into_iter().flatten().any(|name| names_product(name, rule));
    if COMMON_PORTS.contains(&number) {
        Fit::Usual
    } else if SHARED_PORTS.contains(&number) && !is_named_after_it() {
        Fit::Typical
    } else {
        Fit::Own
    }
}

/// Whether the port's name is one that the product's own port has, and few ports of other programs.
pub(crate) fn has_paired_name(port: &PortView, rule: &Rule) -> bool {
    let is_paired =
        |name: &str| [rule.paired_names, rule.specific_names].iter().any(|names| whole_words::contains(names, name));
    port_name(port).is_some_and(is_paired)
}

/// Whether port or target port have a number that is the role's own.
pub(crate) fn has_own_number(port: &PortView, ports: &Ports) -> bool {
    let is_own = |number: u16| {
        ports.numbers.contains(&number) && !COMMON_PORTS.contains(&number) && !SHARED_PORTS.contains(&number)
    };
    is_own(port.port) || target_number(port).is_some_and(is_own)
}

/// Whether port or target port have a number of the role that web servers use by default, too.
pub(crate) fn has_shared_number(port: &PortView, ports: &Ports) -> bool {
    let is_shared = |number: u16| ports.numbers.contains(&number) && SHARED_PORTS.contains(&number);
    is_shared(port.port) || target_number(port).is_some_and(is_shared)
}

/// Whether the name of a port has the product's name.
pub(crate) fn names_product(name: &str, rule: &Rule) -> bool {
    whole_words::has_sequence(name, rule.name_words)
}

/// Whether a port is the product's own for one of its roles, by its number or by its name.
pub(crate) fn agree(view: &ServiceView, rule: &Rule) -> bool {
    let is_named_after_it = |port: &PortView| port_name(port).is_some_and(|name| names_product(name, rule));
    rule.endpoints
        .iter()
        .filter_map(|endpoint| choose(view, &endpoint.ports, rule))
        .any(|choice| choice.fit == Fit::Own || is_named_after_it(choice.port))
}

/// The port with a number that only the product uses and a name that says that it answers queries (`jaeger-query`).
pub(crate) fn named_after_query<'a>(view: &'a ServiceView, rule: &Rule) -> Option<&'a PortView> {
    let is_specific = |number: u16| rule.specific_ports.contains(&number);
    let is_its_query = |name: &str| {
        let is_part = |word: &str| word.eq_ignore_ascii_case("query") || word.eq_ignore_ascii_case("ui");
        names_product(name, rule) && whole_words::split(name).any(is_part)
    };
    view.ports.iter().filter(|port| port.protocol == Protocol::Tcp).find(|port| {
        (is_specific(port.port) || target_number(port).is_some_and(is_specific))
            && port_name(port).is_some_and(is_its_query)
    })
}

/// What to call if `endpoint` answers on `port`.
pub(crate) fn target_at(view: &ServiceView, endpoint: &'static EndpointRole, port: &PortView) -> Target {
    Target { port: port.port, scheme: scheme_of(view, port), path: Cow::Borrowed(endpoint.path) }
}

/// The port's name. kompose and some people write the number as the name, which then does not count.
pub(crate) fn port_name(port: &PortView) -> Option<&str> {
    port.name.as_deref().filter(|name| !name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The number of the target port, which is that of the port if the Service does not say it.
pub(crate) fn target_number(port: &PortView) -> Option<u16> {
    match &port.target {
        Some(TargetPort::Number(number)) => Some(*number),
        Some(TargetPort::Name(name)) => name.parse().ok(),
        None => Some(port.port),
    }
}

/// The name of the target port.
pub(crate) fn target_name(port: &PortView) -> Option<&str> {
    match &port.target {
        Some(TargetPort::Name(name)) if name.parse::<u16>().is_err() => Some(name),
        _ => None,
    }
}

/// Whether the number of the target port is known, and is not one of the role's.
pub(crate) fn leads_elsewhere(port: &PortView, ports: &Ports) -> bool {
    target_number(port).is_some_and(|number| !ports.numbers.contains(&number))
}

/// A description of the ports that can match, e.g. `named http or numbered 9090`.
pub(crate) fn expected(ports: &Ports) -> String {
    let names: Vec<&str> = ports.own_names.iter().chain(ports.usual_names).copied().collect();
    let numbers: Vec<String> = ports.numbers.iter().map(u16::to_string).collect();
    match (names.is_empty(), numbers.is_empty()) {
        (false, false) => format!("named {} or numbered {}", names.join(", "), numbers.join(", ")),
        (true, _) => format!("numbered {}", numbers.join(", ")),
        (false, true) => format!("named {}", names.join(", ")),
    }
}

pub(crate) fn is_another_protocol(port: &PortView, ports: &Ports, rule: &Rule) -> bool {
    port_name(port).is_some_and(|name| names_another_protocol(name, ports, rule))
}

/// Whether a word of a port's name names another protocol. The role's own port names do not, nor do words of the
/// product's name.
fn names_another_protocol(name: &str, ports: &Ports, rule: &Rule) -> bool {
    let listed = whole_words::contains(ports.own_names, name) || whole_words::contains(ports.usual_names, name);
    let is_other = |word: &str| {
        whole_words::contains(OTHER_PROTOCOLS, word)
            && !rule.name_words.iter().any(|sequence| whole_words::contains(sequence, word))
    };
    !listed && whole_words::split(name).any(is_other)
}

fn is_http(port: &PortView) -> bool {
    port.app_protocol
        .as_deref()
        .is_some_and(|protocol| protocol.eq_ignore_ascii_case("http") || protocol.eq_ignore_ascii_case("https"))
}
