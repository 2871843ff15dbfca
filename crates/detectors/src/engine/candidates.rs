//! Which rules can find something in a Service.
//!
//! For nearly all Services of a cluster none can, so this decides how long it takes to recognise all of them. It only
//! compares bits: the products that identities mention, and the lengths of keys and values that shapes ask for.

use super::{
    identities::Identities,
    ports,
    rule::{Mark, Rule, Shape},
    shape,
};
use crate::view::{ServiceView, StringMap};

/// The rules that can find something in one Service.
pub(crate) struct Candidates<'a, 'b> {
    identities: &'b Identities<'a>,
    labels: Lengths,
    selector: Lengths,
    ports: u64,
}

impl<'a, 'b> Candidates<'a, 'b> {
    pub(crate) fn of(identities: &'b Identities<'a>) -> Self {
        let view: &ServiceView = identities.view;
        let ports = view.ports.iter().fold(0, |bits, port| bits | port_bit(port.port));
        Self { identities, labels: Lengths::of(&view.labels), selector: Lengths::of(&view.selector), ports }
    }

    /// Whether the assessment by `rule` can have another result than "not the product".
    pub(crate) fn contain(&self, rule: &Rule) -> bool {
        self.identities.know(rule.product)
            || rule.shapes.iter().any(|shape| self.can_have(shape) && shape::matches(shape, self.identities.view))
            || (self.identities.mention_nothing() && self.has_port_of(rule))
    }

    fn can_have(&self, shape: &Shape) -> bool {
        shape.when.iter().all(|mark| match mark {
            Mark::Label(key, value) => self.labels.can_have(key, value),
            Mark::HasLabel(key) => self.labels.can_have_key(key),
            Mark::StackPart(_) => self.labels.can_have_key("app"),
            Mark::Selector(key, value) => self.selector.can_have(key, value),
            Mark::HasSelector(key) => self.selector.can_have_key(key),
            Mark::NamedAfterSelectorApp(_) => self.selector.can_have_key("app"),
            _ => true,
        })
    }

    fn has_port_of(&self, rule: &Rule) -> bool {
        let can_have = rule.specific_ports.iter().any(|number| self.ports & port_bit(*number) != 0);
        can_have && ports::with_number(self.identities.view, rule.specific_ports).is_some()
    }
}

fn port_bit(number: u16) -> u64 {
    1 << (number % 64)
}

/// The lengths of the keys and values in a map.
struct Lengths {
    /// One bit per length of a key.
    keys: u64,
    /// One bit per length of a key and length of its value.
    entries: u64,
}

impl Lengths {
    fn of(map: &StringMap) -> Self {
        map.iter().fold(Self { keys: 0, entries: 0 }, |all, (key, value)| Self {
            keys: all.keys | Self::key_bit(key),
            entries: all.entries | Self::entry_bit(key, value),
        })
    }

    fn can_have_key(&self, key: &str) -> bool {
        self.keys & Self::key_bit(key) != 0
    }

    fn can_have(&self, key: &str, value: &str) -> bool {
        self.entries & Self::entry_bit(key, value) != 0
    }

    fn key_bit(key: &str) -> u64 {
        1 << (key.len() % 64)
    }

    fn entry_bit(key: &str, value: &str) -> u64 {
        1 << ((key.len() * 7 + value.len()) % 64)
    }
}
