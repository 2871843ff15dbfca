//! What a product's file states: its facts, as data.
//!
//! A rule does not read a Service. It lists the labels that identify the product, the roles that answer queries
//! ([`EndpointRole`]) and their ports. The rest of the engine applies it, in the same way for every product.

use crate::{
    finding::Auth,
    product::{Confidence, Product},
};

/// The facts about one product.
pub(crate) struct Rule {
    pub product: Product,
    /// Values of an identity label (`app.kubernetes.io/name`, `app`, `k8s-app`, …) that name this product.
    pub names: &'static [Name],
    /// The product's name as whole words, each in the order given. A version at the end of a word (`elasticsearch7`) is
    /// ignored.
    pub name_words: &'static [&'static [&'static str]],
    /// Names of Helm charts, without the version, as `helm.sh/chart` and `chart` have them. They tell the product if
    /// `nameOverride` replaces all other names.
    pub charts: &'static [Name],
    /// Words beside the product's name that name a component which answers no queries.
    pub other_components: &'static [&'static str],
    /// Words of a label that describe every install of this product, in addition to those that the engine knows.
    pub neutral_words: &'static [&'static str],
    /// Whether the name words are those of a family of programs, so that a role must say which one this is.
    pub name_words_need_role: bool,
    /// Label keys that state a role, in addition to `app.kubernetes.io/component` and `component`.
    pub role_keys: &'static [&'static str],
    /// Whether users choose role values freely, so that an unknown value is not another role.
    pub free_roles: bool,
    /// The exact shapes of Services that charts and operators create. The first that matches decides.
    pub shapes: &'static [Shape],
    /// The roles that answer queries, the preferred one first.
    pub endpoints: &'static [EndpointRole],
    /// Port numbers that no other widespread program uses. One of them alone makes a Service a candidate (Low), under any
    /// name.
    pub specific_ports: &'static [u16],
    /// Numbers beside which a specific number tells nothing, because programs that have both are others.
    pub never_beside: &'static [u16],
    /// Names of ports that no other widespread program uses. One of them alone makes a Service a candidate (Low).
    pub specific_names: &'static [&'static str],
    /// Two port numbers that only this product has together. They make a Service a candidate (Low).
    pub specific_pairs: &'static [(u16, u16)],
    /// Names that charts and operators give the port with the product's own number, and that few others give a port with
    /// this number.
    pub paired_names: &'static [&'static str],
    /// Numbers that instances of the product use among themselves, in addition to those that the engine knows.
    pub peer_ports: &'static [u16],
    /// Whether the product serves its metrics on the port that answers queries.
    pub serves_metrics: bool,
    /// The setting that moves the API to another path, for people.
    pub path_setting: Option<&'static str>,
    /// What the product asks of its clients.
    pub login: Login,
}

/// What a product asks of its clients.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Login {
    /// By default. A configuration can change it.
    Usual(Auth),
    /// In every install.
    Always(Auth),
}

impl Rule {
    /// A rule without facts, for struct update syntax.
    pub(crate) const fn of(product: Product) -> Self {
        Self {
            product,
            names: &[],
            name_words: &[],
            charts: &[],
            other_components: &[],
            neutral_words: &[],
            name_words_need_role: false,
            role_keys: &[],
            free_roles: false,
            shapes: &[],
            endpoints: &[],
            specific_ports: &[],
            never_beside: &[],
            specific_names: &[],
            specific_pairs: &[],
            paired_names: &[],
            peer_ports: &[],
            serves_metrics: false,
            path_setting: None,
            login: Login::Usual(Auth::Unknown),
        }
    }

    /// The name that an identity label with this value states, in any case.
    pub(crate) fn name(&self, value: &str) -> Option<&'static Name> {
        self.names.iter().find(|name| name.value.eq_ignore_ascii_case(value))
    }

    /// The chart with this name.
    pub(crate) fn chart(&self, value: &str) -> Option<&'static Name> {
        self.charts.iter().find(|name| name.value.eq_ignore_ascii_case(value))
    }
}

/// A value of an identity label.
pub(crate) struct Name {
    /// The exact value, in lower case.
    pub value: &'static str,
    /// Whether all components of an install have this name, so that it identifies one only together with a role.
    pub role_required: bool,
}

/// A name that identifies the component that answers queries.
pub(crate) const fn name(value: &'static str) -> Name {
    Name { value, role_required: false }
}

/// A name that all components of an install share.
pub(crate) const fn shared_name(value: &'static str) -> Name {
    Name { value, role_required: true }
}

/// A role that answers queries.
pub(crate) struct EndpointRole {
    /// Values of the role label that name it.
    pub roles: &'static [&'static str],
    /// Whether a Service that states no role can have this one.
    pub role_optional: bool,
    /// As in [`Rank`](crate::finding::Rank).
    pub tier: u8,
    /// The usual path prefix of the API.
    pub path: &'static str,
    /// Whether no configuration changes the path.
    pub path_is_fixed: bool,
    /// What this role asks of its clients, if that differs from the product's other roles.
    pub login: Option<Login>,
    pub ports: Ports,
}

impl EndpointRole {
    /// A role that only has ports, for struct update syntax.
    pub(crate) const fn on(ports: Ports) -> Self {
        Self { roles: &[], role_optional: false, tier: 0, path: "", path_is_fixed: false, login: None, ports }
    }
}

/// How to find the port of an [`EndpointRole`]. Names and numbers are in order of preference.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    /// Names that only this role's query port has.
    pub own_names: &'static [&'static str],
    /// Numbers that this role uses, as port or as target port.
    pub numbers: &'static [u16],
    /// Names that are usual for the port but do not identify it.
    pub usual_names: &'static [&'static str],
    /// Names that an operator gives the container's port, so that a port of any name can lead to it.
    pub targets: &'static [&'static str],
    /// Numbers on which another component listens under one of these names, as port or as target port.
    pub never: &'static [u16],
}

impl Ports {
    /// No port at all, for struct update syntax.
    pub(crate) const NONE: Self = Self { own_names: &[], numbers: &[], usual_names: &[], targets: &[], never: &[] };
}

/// The exact shape of a Service that a chart or an operator creates.
pub(crate) struct Shape {
    /// What creates it, e.g. `"kube-prometheus-stack"`. `explain` shows it.
    pub made_by: &'static str,
    /// All of these must hold.
    pub when: &'static [Mark],
    pub then: Then,
    /// The confidence of the finding if the port matches too.
    pub confidence: Confidence,
    /// As in [`Rank`](crate::finding::Rank).
    pub bundled: bool,
}

/// What a Service with a [`Shape`] is.
pub(crate) enum Then {
    /// It has this role.
    Endpoint(EndpointRole),
    /// It has a role that answers no queries. The text describes it.
    OtherRole(&'static str),
}

/// One requirement of a [`Shape`].
#[derive(Clone, Copy)]
pub(crate) enum Mark {
    /// A label has this value.
    Label(&'static str, &'static str),
    /// A label exists.
    HasLabel(&'static str),
    /// A label does not exist.
    NoLabel(&'static str),
    /// There are no labels.
    NoLabels,
    /// The selector has this value for a key.
    Selector(&'static str, &'static str),
    /// The selector has a key.
    HasSelector(&'static str),
    /// The label `app` is the name of the stack followed by this text. `app.kubernetes.io/part-of` or `chart` names the
    /// stack.
    StackPart(&'static str),
    /// The Service's name is the selector's `app` followed by this text.
    NamedAfterSelectorApp(&'static str),
    /// The Service's name ends with this text.
    NameEndsWith(&'static str),
    /// A TCP port has this name and number.
    Port(&'static str, u16),
    /// A TCP port has this number.
    HasPort(u16),
    /// A TCP port has this name and this name as target port.
    PortTo(&'static str, &'static str),
    /// `clusterIP` is `None`.
    Headless,
}

/// The tier of a Service that is used only if the product has no other one in the namespace.
pub(crate) const FALLBACK_TIER: u8 = u8::MAX;
