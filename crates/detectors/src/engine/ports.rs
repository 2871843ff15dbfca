//! Which port of a Service a part answers on: by name from the product's own list, by its own number, never the first one.

use super::{
    rule::{Ports, Rule},
    words,
};
use crate::{PortView, Protocol, ServiceView, TargetPort};

/// Words in a port's name that speak of another protocol or of another program in the pod.
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

/// Numbers that programs use among themselves: memberlist, Elasticsearch's transport, the Thanos store API, Jaeger's and
/// OTLP's span intake. Not the Grafana databases' gRPC 9095, where `OpenShift` has an Alertmanager's `web`.
const PEER_PORTS: &[u16] =
    &[7946, 9300, 10901, 4317, 4318, 14250, 14267, 14268, 14269, 16685, 16687, 5775, 5778, 6831, 6832];

/// Numbers that any web server uses.
const ANYONES_PORTS: &[u16] = &[80, 443, 8080, 8443];

/// How well a port fits a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// Its name is usual for the part, and its number says nothing.
    Usual,
    /// Its name or number is the part's own.
    Own,
}

/// A port that fits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    pub port: &'a PortView,
    pub fit: Fit,
}

/// The port that fits best.
///
/// The product's own order of names, then its own numbers (of several ports those that `appProtocol` calls HTTP, then the
/// lowest), then names that are usual for it or contain its name.
pub(crate) fn choose<'a>(view: &'a ServiceView, ports: &Ports, rule: &Rule) -> Option<Choice<'a>> {
    let usable =
        || view.ports.iter().filter(|port| port.protocol == Protocol::Tcp && !ports.never.contains(&port.port));
    let named = |name: &str| {
        usable().filter(|port| port_name(port).is_some_and(|own| own.eq_ignore_ascii_case(name))).min_by_key(|p| p.port)
    };
    if let Some(port) = ports.own_names.iter().find_map(|name| named(name)) {
        return Some(Choice { port, fit: Fit::Own });
    }
    for number in ports.numbers {
        let fits = |port: &&PortView| {
            (port.port == *number || target_number(port) == Some(*number)) && !is_another_protocol(port, ports, rule)
        };
        if let Some(port) = usable().filter(fits).min_by_key(|port| (!speaks_http(port), port.port)) {
            let fit = if ANYONES_PORTS.contains(number) { Fit::Usual } else { Fit::Own };
            return Some(Choice { port, fit });
        }
    }
    let peer = |port: &PortView| {
        PEER_PORTS.contains(&port.port)
            || target_number(port).is_some_and(|number| PEER_PORTS.contains(&number))
            || target_name(port).is_some_and(|name| is_another_protocol_name(name, ports, rule))
    };
    if let Some(port) = ports.usual_names.iter().find_map(|name| named(name).filter(|port| !peer(port))) {
        return Some(Choice { port, fit: Fit::Usual });
    }
    let speaks_of_it = |port: &&PortView| {
        let usual_target = target_name(port).is_some_and(|name| words::contains(ports.usual_names, name));
        !is_another_protocol(port, ports, rule)
            && !peer(port)
            && (names_product(port_name(port), rule)
                || (port_name(port).is_none() && (usual_target || names_product(target_name(port), rule))))
    };
    let port = usable().filter(speaks_of_it).min_by_key(|port| (!speaks_http(port), port.port))?;
    Some(Choice { port, fit: Fit::Usual })
}

/// The port's name, unless it is only a number as kompose and some people write it.
pub(crate) fn port_name(port: &PortView) -> Option<&str> {
    port.name.as_deref().filter(|name| !name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The number of the target port.
pub(crate) fn target_number(port: &PortView) -> Option<u16> {
    match &port.target {
        Some(TargetPort::Number(number)) => Some(*number),
        Some(TargetPort::Name(name)) => name.parse().ok(),
        None => None,
    }
}

/// The name of the target port.
pub(crate) fn target_name(port: &PortView) -> Option<&str> {
    match &port.target {
        Some(TargetPort::Name(name)) if name.parse::<u16>().is_err() => Some(name),
        _ => None,
    }
}

/// Whether the target port's number is known and not one that the part listens on.
pub(crate) fn leads_elsewhere(port: &PortView, ports: &Ports) -> bool {
    target_number(port).is_some_and(|number| !ports.numbers.contains(&number))
}

/// A TCP port of one of these numbers under no name or one that any web server uses.
pub(crate) fn telling<'a>(view: &'a ServiceView, numbers: &[u16]) -> Option<&'a PortView> {
    const ANYONES_NAMES: &[&str] =
        &["api", "http", "http-query", "https", "query", "rest", "server", "tcp", "ui", "web"];
    view.ports
        .iter()
        .filter(|port| port.protocol == Protocol::Tcp && numbers.contains(&port.port))
        .filter(|port| port_name(port).is_none_or(|name| words::contains(ANYONES_NAMES, name)))
        .min_by_key(|port| port.port)
}

fn names_product(name: Option<&str>, rule: &Rule) -> bool {
    name.is_some_and(|name| {
        rule.words.iter().any(|sequence| {
            let mut from = words::split(name);
            sequence.iter().all(|own| from.any(|word| words::says(word, own)))
        })
    })
}

fn is_another_protocol(port: &PortView, ports: &Ports, rule: &Rule) -> bool {
    port_name(port).is_some_and(|name| is_another_protocol_name(name, ports, rule))
}

fn is_another_protocol_name(name: &str, ports: &Ports, rule: &Rule) -> bool {
    let listed = words::contains(ports.own_names, name) || words::contains(ports.usual_names, name);
    // A port named exactly `metrics` serves a scrape, whatever listens there.
    !listed
        && words::split(name).any(|word| {
            words::contains(OTHER_PROTOCOLS, word) && !rule.words.iter().any(|sequence| words::contains(sequence, word))
        })
}

fn speaks_http(port: &PortView) -> bool {
    port.app_protocol
        .as_deref()
        .is_some_and(|protocol| protocol.eq_ignore_ascii_case("http") || protocol.eq_ignore_ascii_case("https"))
}
