//! Which rules can find something in a Service.
//!
//! For nearly all Services of a cluster none can, so this decides how long it takes to recognise all of them. It only
//! compares bits: the products that identities mention, the lengths of keys and values that shapes ask for, and ports.

use super::{
    identities::Identities,
    rule::{Mark, Rule, Shape},
    shape,
    telling_port::{self, PortBits},
    vocabulary::Vocabulary,
};
use crate::view::StringMap;

/// The rules that can find something in one Service.
pub(crate) struct Candidates<'a, 'b> {
    identities: &'b Identities<'a>,
    labels: Lengths,
    selector: Lengths,
    /// Whether a port can tell a product.
    has_telling_port: bool,
}

impl<'a, 'b> Candidates<'a, 'b> {
    pub(crate) fn of(identities: &'b Identities<'a>, vocabulary: &Vocabulary) -> Self {
        let view = identities.view;
        Self {
            identities,
            labels: Lengths::of(&view.labels),
            selector: Lengths::of(&view.selector),
            has_telling_port: identities.mention_nothing() && PortBits::of(view).can_meet(vocabulary.telling_ports()),
        }
    }

    /// Whether the assessment by `rule` can have another result than "not the product".
    pub(crate) fn contain(&self, rule: &Rule) -> bool {
        self.identities.know(rule.product)
            || rule.shapes.iter().any(|shape| self.can_have(shape) && shape::matches(shape, self.identities.view))
            || (self.has_telling_port && telling_port::find(self.identities.view, rule).is_some())
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
