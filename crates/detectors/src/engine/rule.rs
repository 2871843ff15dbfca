//! The shape of a rule: what a product's file states, as data.
//!
//! A rule never looks at a Service itself. It says by which labels the product is known, which of its parts answer queries
//! ([`Door`]) and on which ports; [`judge`](super::judge) does the rest, the same for every product.

use crate::{Confidence, Product};

/// One product's facts.
pub(crate) struct Rule {
    /// Which product.
    pub product: Product,
    /// Values of an identity label (`app.kubernetes.io/name`, `app`, `k8s-app`, …) that name this product.
    pub names: &'static [Name],
    /// The product's name as whole words, each in the order given; a version's digits at the end of a word do not count.
    pub words: &'static [&'static [&'static str]],
    /// Words beside the product's name that name one of its parts which answers no queries.
    pub parts: &'static [&'static str],
    /// Whether the words alone name a family of programs, and only a [`Door`]'s role beside them names one that answers.
    pub words_need_role: bool,
    /// Keys under which a role stands, beside `app.kubernetes.io/component` and `component`.
    pub role_keys: &'static [&'static str],
    /// Whether a role that is not listed names a group of nodes of the user's own choice rather than another part.
    pub free_roles: bool,
    /// Exact shapes that charts and operators give their Services, tried first, in this order.
    pub shapes: &'static [Shape],
    /// The parts that answer queries, the preferred first.
    pub doors: &'static [Door],
    /// Port numbers that no other widespread program uses: alone enough to call a Service a candidate (Low).
    pub telling_ports: &'static [u16],
}

impl Rule {
    /// A rule without facts, for struct update syntax.
    pub const fn of(product: Product) -> Self {
        Self {
            product,
            names: &[],
            words: &[],
            parts: &[],
            words_need_role: false,
            role_keys: &[],
            free_roles: false,
            shapes: &[],
            doors: &[],
            telling_ports: &[],
        }
    }
}

/// A value of an identity label.
pub(crate) struct Name {
    /// The exact value, in lower case.
    pub value: &'static str,
    /// Whether every part of an install carries it, so that it counts only together with a role.
    pub role_required: bool,
}

/// A name that one program alone carries.
pub(crate) const fn name(value: &'static str) -> Name {
    Name { value, role_required: false }
}

/// A name that all parts of an install share.
pub(crate) const fn shared_name(value: &'static str) -> Name {
    Name { value, role_required: true }
}

/// A part of the product that answers queries.
pub(crate) struct Door {
    /// Values of the role label that mean it.
    pub roles: &'static [&'static str],
    /// Whether a Service that states no role can be it.
    pub bare: bool,
    /// [`Rank::tier`](crate::Rank::tier).
    pub tier: u8,
    /// Under which path it answers, where that is a fact of the part.
    pub path: &'static str,
    /// Where it listens.
    pub ports: Ports,
}

/// How to find the port of a [`Door`], most telling first.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    /// Names that only this part's query port carries, in order of preference.
    pub own_names: &'static [&'static str],
    /// Numbers that are the part's own, as port or as target port.
    pub numbers: &'static [u16],
    /// Names that fit where the labels already say what it is, in order of preference.
    pub usual_names: &'static [&'static str],
    /// Numbers on which another part listens under one of these names.
    pub never: &'static [u16],
}

impl Ports {
    /// No port at all, for struct update syntax.
    pub const NONE: Self = Self { own_names: &[], numbers: &[], usual_names: &[], never: &[] };
}

/// An exact shape of a Service.
pub(crate) struct Shape {
    /// Who makes it, e.g. `"kube-prometheus-stack"`; shown to people.
    pub made_by: &'static str,
    /// All of these hold.
    pub when: &'static [Mark],
    /// What follows.
    pub then: Then,
    /// How sure that is where the port fits.
    pub confidence: Confidence,
    /// [`Rank::bundled`](crate::Rank::bundled).
    pub bundled: bool,
}

/// What a [`Shape`] means.
pub(crate) enum Then {
    /// This part.
    Door(Door),
    /// A part that answers no queries, in words.
    Part(&'static str),
}

/// One condition of a [`Shape`].
#[derive(Clone, Copy)]
pub(crate) enum Mark {
    /// A label with this value.
    Label(&'static str, &'static str),
    /// A label with any value.
    HasLabel(&'static str),
    /// No such label.
    NoLabel(&'static str),
    /// No label at all.
    NoLabels,
    /// The selector asks for this value.
    Selector(&'static str, &'static str),
    /// The selector asks for this key.
    HasSelector(&'static str),
    /// `app` is the stack's name (`app.kubernetes.io/part-of`, else the name in `chart`) followed by this.
    StackPart(&'static str),
    /// The Service's name is the value of the selector's `app` followed by this.
    NamedAfterSelectorApp(&'static str),
    /// The Service's name ends so.
    NameEndsWith(&'static str),
    /// A TCP port of this name and number.
    Port(&'static str, u16),
    /// A TCP port of this name with this target port's name.
    PortTo(&'static str, &'static str),
    /// `clusterIP: None`.
    Headless,
}

/// The tier of a Service that stands in only where the product has no other in its namespace.
pub(crate) const FALLBACK_TIER: u8 = u8::MAX;
