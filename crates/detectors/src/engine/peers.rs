//! Whether a Service only has ports that instances of a product use among themselves.

use super::{
    ports::{PEER_PORTS, is_another_protocol, port_name, target_number},
    rule::{Ports, Rule},
    whole_words,
};
use crate::view::{PortView, Protocol, ServiceView};

/// Words in the names of such ports.
const PEER_NAMES: &[&str] = &["cluster", "gossip", "grpc", "memberlist", "mesh", "peer", "peers", "transport"];

/// Whether a port of a Service is for peers and no other one can be for clients: gossip, Elasticsearch's transport, gRPC
/// between components. A port that is not TCP is for peers, because gossip uses UDP, too.
pub(crate) fn have_all_ports(view: &ServiceView, ports: &Ports, rule: &Rule) -> bool {
    let is_peers = |port: &PortView| port.protocol != Protocol::Tcp || is_for_peers(port, rule);
    view.ports.iter().any(is_peers)
        && view.ports.iter().all(|port| is_peers(port) || is_another_protocol(port, ports, rule))
}

fn is_for_peers(port: &PortView, rule: &Rule) -> bool {
    let has_number = |number: u16| PEER_PORTS.contains(&number) || rule.peer_ports.contains(&number);
    let is_peer_word = |word: &str| whole_words::contains(PEER_NAMES, word);
    has_number(port.port)
        || target_number(port).is_some_and(has_number)
        || port_name(port).is_some_and(|name| whole_words::split(name).any(is_peer_word))
}
