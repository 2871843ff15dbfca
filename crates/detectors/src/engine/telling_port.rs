//! Ports that tell the product without anything else: a number or a name that no other widespread program has.

use super::{
    ports::{names_product, port_name, target_name, target_number},
    rule::Rule,
    whole_words,
};
use crate::view::{PortView, Protocol, ServiceView};

/// Port names that any web server uses. A number tells nothing under another name.
const COMMON_NAMES: &[&str] = &["api", "http", "http-query", "https", "query", "rest", "server", "tcp", "ui", "web"];

/// A port that tells the product.
pub(crate) struct Telling<'a> {
    pub port: &'a PortView,
    /// The other port of a pair that only the product has.
    pub beside: Option<&'a PortView>,
}

/// The port that tells the product, with the lowest number.
pub(crate) fn find<'a>(view: &'a ServiceView, rule: &Rule) -> Option<Telling<'a>> {
    let tcp = || view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    let is_neutral = |name: &str| whole_words::contains(COMMON_NAMES, name) || names_product(name, rule);
    let has_number = |port: &PortView| {
        let is_specific = |number: u16| rule.specific_ports.contains(&number);
        is_specific(port.port) || target_number(port).is_some_and(is_specific)
    };
    let by_number = |port: &PortView| has_number(port) && port_name(port).is_none_or(is_neutral);
    let by_name = |port: &PortView| {
        let mut names = [port_name(port), target_name(port)].into_iter().flatten();
        names.any(|name| whole_words::contains(rule.specific_names, name))
    };
    if let Some(port) = tcp().filter(|port| by_number(port) || by_name(port)).min_by_key(|port| port.port) {
        return Some(Telling { port, beside: None });
    }
    let with = |number: u16| tcp().find(|port| port.port == number);
    let pair = |&(number, other): &(u16, u16)| Some(Telling { port: with(number)?, beside: Some(with(other)?) });
    rule.specific_pairs.iter().find_map(pair)
}

/// Which ports a Service has, as bits, so that nearly every Service is ruled out without a comparison of texts.
pub(crate) struct PortBits {
    numbers: u64,
    names: u64,
}

impl PortBits {
    pub(crate) fn of(view: &ServiceView) -> Self {
        view.ports.iter().fold(Self { numbers: 0, names: 0 }, |bits, port| Self {
            numbers: bits.numbers | number_bit(port.port) | target_number(port).map_or(0, number_bit),
            names: bits.names | port.name.as_deref().map_or(0, name_bit) | target_name(port).map_or(0, name_bit),
        })
    }

    /// Whether a port can tell the rule's product.
    pub(crate) fn can_tell(&self, rule: &Rule) -> bool {
        rule.specific_ports.iter().any(|number| self.numbers & number_bit(*number) != 0)
            || rule.specific_names.iter().any(|name| self.names & name_bit(name) != 0)
            || rule
                .specific_pairs
                .iter()
                .any(|(a, b)| self.numbers & number_bit(*a) != 0 && self.numbers & number_bit(*b) != 0)
    }
}

fn number_bit(number: u16) -> u64 {
    1 << (number % 64)
}

/// By length and first letter, in any case.
fn name_bit(name: &str) -> u64 {
    let first = name.bytes().next().map_or(0, |byte| usize::from(byte.to_ascii_lowercase()));
    1 << ((name.len() * 7 + first) % 64)
}
