//! The form of a product's table.

use super::mark::Mark;
use crate::product::Product;

/// What a product answers over HTTP.
pub(crate) struct Facts {
    pub product: Product,
    /// The paths of its health, the first one that exists counts.
    pub health: &'static [HealthPath],
    /// The ends of an endpoint's path that belong to the API and not to the program: `/prometheus` of Mimir. `*` is any
    /// segment.
    pub api: &'static [&'static str],
    /// The requests whose answers tell the product, below the path of an endpoint. The first one with a proof counts.
    pub questions: &'static [Question],
    /// Paths below which it is often served, beside the root.
    pub prefixes: &'static [&'static str],
    /// The pages that its root redirects to.
    pub pages: &'static [&'static str],
    /// What its root page proves.
    pub page: &'static [Proof],
    /// Whether the answers are the same with and without its prefix, so that only its root page tells the prefix.
    pub prefix_by_page: bool,
    /// The API that it shares with other products. A product with the same API is not another one.
    pub family: Option<Family>,
    /// Products with the same ports, whose first question tells them apart.
    pub rivals: &'static [Product],
}

impl Facts {
    /// A table without any fact.
    pub(crate) const fn of(product: Product) -> Self {
        Self {
            product,
            health: &[],
            api: &[],
            questions: &[],
            prefixes: &[],
            pages: &[],
            page: &[],
            prefix_by_page: false,
            family: None,
            rivals: &[],
        }
    }

    /// Whether a client of this product can use the other one, because it is the same or has the same API.
    pub(crate) fn is_served_by(&self, other: &Facts) -> bool {
        self.product == other.product || self.family.is_some() && self.family == other.family
    }
}

/// An API that several products have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Prometheus' API for queries.
    PromQl,
    /// Jaeger's API for traces.
    Jaeger,
}

/// Where a path of health is. Each of them starts with `/`.
#[derive(Clone, Copy)]
pub(crate) enum HealthPath {
    /// Below the path of the endpoint.
    Below(&'static str),
    /// Below the path of the endpoint without the part that is the API's.
    Beside(&'static str),
    /// At the root, whatever the path is.
    AtRoot(&'static str),
}

/// A request whose answer can tell the product.
#[derive(Clone, Copy)]
pub(crate) struct Question {
    /// Starts with `/`, and can have a query.
    pub path: &'static str,
    /// What an answer proves. The first proof whose marks all hold counts.
    pub proofs: &'static [Proof],
}

/// What an answer proves.
#[derive(Clone, Copy)]
pub(crate) struct Proof {
    pub when: &'static [Mark],
    pub shows: Shows,
}

/// The conclusion of a proof.
#[derive(Clone, Copy)]
pub(crate) enum Shows {
    /// It is the product, or one with the same API.
    Confirmed,
    /// It is, if an earlier question was answered with 401 or 403: the path exists.
    ConfirmedBehindLogin,
    /// It is the product, but nothing shows that it answers queries here.
    Itself,
    /// It is a program with another API: the one with this name.
    Another(&'static str),
}

/// An answer with all these marks is the product's.
pub(crate) const fn confirmed(when: &'static [Mark]) -> Proof {
    Proof { when, shows: Shows::Confirmed }
}

/// An answer with all these marks is the product's, if an earlier question was answered with 401 or 403.
pub(crate) const fn confirmed_behind_login(when: &'static [Mark]) -> Proof {
    Proof { when, shows: Shows::ConfirmedBehindLogin }
}

/// An answer with all these marks is the product's, which may answer no queries.
pub(crate) const fn itself(when: &'static [Mark]) -> Proof {
    Proof { when, shows: Shows::Itself }
}

/// An answer with all these marks is the one of the program with this name.
pub(crate) const fn another(name: &'static str, when: &'static [Mark]) -> Proof {
    Proof { when, shows: Shows::Another(name) }
}
