//! Why a port that looks like the one that answers queries is not chosen.

use super::{
    ports::{is_another_protocol, is_of_another, port_name, target_number},
    rule::{Ports, Rule},
    whole_words,
};
use crate::view::{PortView, Protocol, ServiceView};

/// A port that has a number or a name of the role and is not chosen, with the reason for people.
pub(crate) fn refused<'a>(view: &'a ServiceView, ports: &Ports, rule: &Rule) -> Option<(&'a PortView, &'static str)> {
    let tcp = view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    tcp.filter_map(|port| Some((port, reason(port, ports, rule)?))).min_by_key(|(port, _)| port.port)
}

fn reason(port: &PortView, ports: &Ports, rule: &Rule) -> Option<&'static str> {
    let is_wanted = |number: u16| ports.numbers.contains(&number);
    if (is_wanted(port.port) || target_number(port).is_some_and(is_wanted)) && is_another_protocol(port, ports, rule) {
        return Some("its name shows that it has another purpose");
    }
    let names = [ports.own_names, ports.usual_names];
    let has_name = port_name(port).is_some_and(|name| names.iter().any(|names| whole_words::contains(names, name)));
    (has_name && is_of_another(port, ports)).then_some("its number belongs to another program or component")
}
