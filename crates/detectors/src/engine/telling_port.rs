//! Ports that tell the product without anything else: a number or a name that no other widespread program has.

use super::{
    ports::{PEER_PORTS, port_name, target_name, target_number},
    rule::Rule,
    whole_words,
};
use crate::view::{PortView, Protocol, ServiceView, TargetPort};

/// A port that tells the product.
pub(crate) struct Telling<'a> {
    pub port: &'a PortView,
    /// The other port of a pair that only the product has.
    pub beside: Option<&'a PortView>,
}

/// The port that tells the product, with the lowest number.
pub(crate) fn find<'a>(view: &'a ServiceView, rule: &Rule) -> Option<Telling<'a>> {
    let tcp = || view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    if !rule.never_beside.is_empty() && view.ports.iter().any(|port| rule.never_beside.contains(&port.port)) {
        return None;
    }
    let is_specific = |number: u16| rule.specific_ports.contains(&number);
    let by_number = |port: &PortView| is_specific(port.port) || target_number(port).is_some_and(is_specific);
    let is_for_peers = |number: u16| PEER_PORTS.contains(&number) || rule.peer_ports.contains(&number);
    let by_name = |port: &PortView| {
        let mut names = [port_name(port), target_name(port)].into_iter().flatten();
        names.any(|name| whole_words::contains(rule.specific_names, name))
            && !is_for_peers(port.port)
            && !target_number(port).is_some_and(is_for_peers)
    };
    if let Some(port) = tcp().filter(|port| by_number(port) || by_name(port)).min_by_key(|port| port.port) {
        return Some(Telling { port, beside: None });
    }
    let with = |number: u16| tcp().find(|port| port.port == number);
    let pair = |&(number, other): &(u16, u16)| Some(Telling { port: with(number)?, beside: Some(with(other)?) });
    rule.specific_pairs.iter().find_map(pair)
}

/// Numbers and names of ports as bits, so that nearly every Service is ruled out without a comparison of texts.
#[derive(Clone, Copy)]
pub(crate) struct PortBits {
    numbers: u64,
    names: u64,
}

impl PortBits {
    const NONE: Self = Self { numbers: 0, names: 0 };

    /// The ports of a Service.
    pub(crate) fn of(view: &ServiceView) -> Self {
        let mut bits = Self::NONE;
        for port in &view.ports {
            bits.numbers |= number_bit(port.port);
            bits.names |= port.name.as_deref().map_or(0, name_bit);
            match &port.target {
                Some(TargetPort::Number(number)) => bits.numbers |= number_bit(*number),
                // A number as text has the bit of a name, too, which costs no more than a comparison.
                Some(TargetPort::Name(name)) => {
                    bits.numbers |= target_number(port).map_or(0, number_bit);
                    bits.names |= name_bit(name);
                }
                None => {}
            }
        }
        bits
    }

    /// The ports that tell one of these products.
    pub(crate) const fn telling(rules: &[&Rule]) -> Self {
        let mut bits = Self::NONE;
        let mut at = 0;
        while at < rules.len() {
            let rule = rules[at];
            let mut number = 0;
            while number < rule.specific_ports.len() {
                bits.numbers |= number_bit(rule.specific_ports[number]);
                number += 1;
            }
            let mut pair = 0;
            while pair < rule.specific_pairs.len() {
                bits.numbers |= number_bit(rule.specific_pairs[pair].0);
                pair += 1;
            }
            let mut name = 0;
            while name < rule.specific_names.len() {
                bits.names |= name_bit(rule.specific_names[name]);
                name += 1;
            }
            at += 1;
        }
        bits
    }

    /// Whether there can be a port that both have.
    pub(crate) const fn can_meet(self, other: Self) -> bool {
        self.numbers & other.numbers != 0 || self.names & other.names != 0
    }
}

/// A factor that gives none of the numbers which most Services have (80, 443, 3000, 5432, 8080, 9090) the bit of a number
/// that tells a product.
const SPREAD: u16 = 29_885;

const fn number_bit(number: u16) -> u64 {
    1 << (number.wrapping_mul(SPREAD) >> 10)
}

/// By length and first letter, in any case.
const fn name_bit(name: &str) -> u64 {
    let name = name.as_bytes();
    let first = if name.is_empty() { 0 } else { name[0].to_ascii_lowercase() };
    1 << ((name.len() * 7 + first as usize) % 64)
}
