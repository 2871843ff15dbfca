//! The table of facts about the responses of a product.

use super::mark::Mark;
use crate::product::Product;

/// The facts about one product: its health paths, and what its responses prove.
pub(crate) struct Facts {
    pub product: Product,
    /// The health paths. The first path that exists counts.
    pub health: &'static [HealthPath],
    /// The ends of an endpoint's path that belong to the API and not to the program, such as `/prometheus` of Mimir.
    /// `*` stands for any segment.
    pub api: &'static [&'static str],
    /// The questions that identify the product, below the path of an endpoint. The first question with a proof counts.
    /// If a response is the same for all components of the product, a question about the path for queries comes before
    /// it.
    pub questions: &'static [Question],
    /// The usual paths of the product, besides the root.
    pub prefixes: &'static [&'static str],
    /// The pages to which the root of the product redirects.
    pub pages: &'static [&'static str],
    /// What the root page of the product proves.
    pub page: &'static [Proof],
    /// Whether the responses are the same with and without the prefix, so that only the root page shows the prefix.
    pub prefix_by_page: bool,
    /// The API that the product shares with others. A product with the same API is not denied.
    pub family: Option<Family>,
    /// Products with the same ports. One question identifies each of them: see [`Self::question_of_program`].
    pub rivals: &'static [Product],
}

impl Facts {
    /// A table without facts, for struct update syntax.
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

    /// The question that identifies the program, whether it serves queries or not.
    pub(crate) fn question_of_program(&self) -> Option<&'static Question> {
        let shows_itself = |question: &&Question| question.proofs.iter().any(|one| matches!(one.shows, Shows::Itself));
        self.questions.iter().find(shows_itself).or_else(|| self.questions.first())
    }

    /// Whether a client of this product can use the other product: it is the same product, or it has the same API.
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
    /// Elasticsearch's API for documents.
    Elasticsearch,
}

/// A health path. It starts with `/`.
#[derive(Clone, Copy)]
pub(crate) enum HealthPath {
    /// Below the path of the endpoint.
    Below(&'static str),
    /// Below the path of the endpoint without the end that belongs to the API.
    Beside(&'static str),
    /// At the root, whatever the path of the endpoint is.
    AtRoot(&'static str),
}

/// A request whose response can prove the product.
#[derive(Clone, Copy)]
pub(crate) struct Question {
    /// The path. It starts with `/`, and can have a query.
    pub path: &'static str,
    /// What a response proves. The first proof whose marks all hold counts.
    pub proofs: &'static [Proof],
}

/// What a response with certain marks proves.
#[derive(Clone, Copy)]
pub(crate) struct Proof {
    pub when: &'static [Mark],
    pub shows: Shows,
}

/// The conclusion of a proof.
#[derive(Clone, Copy)]
pub(crate) enum Shows {
    /// The program is the product, or a product with the same API.
    Confirmed,
    /// The program is the product, if an earlier question shows that it serves queries below this path:
    /// [`Shows::Queries`], or the status code 401 or 403, because then the path exists.
    ConfirmedWithQueries,
    /// The program is the product, unless an earlier question shows [`Shows::NoQueries`].
    ConfirmedUnlessNoQueries,
    /// The program serves queries below this path, but other programs can give the same response.
    Queries,
    /// The program itself does not have the path for queries.
    NoQueries,
    /// The program is the product, but it may not serve queries below this path.
    Itself,
    /// The program has another API. This is its name.
    Another(&'static str),
}

/// A response with all these marks comes from the product.
pub(crate) const fn confirmed(when: &'static [Mark]) -> Proof {
    Proof { when, shows: Shows::Confirmed }
}

/// A response with all these marks comes from the product, if an earlier question shows that it serves queries.
pub(crate) const fn confirmed_with_queries(when: &'static [Mark]) -> Proof {
    Proof { when, shows: Shows::ConfirmedWithQueries }
}

/// A response with all these marks comes from the product, unless an earlier question shows that it serves no queries.
pub(crate) const fn confirmed_unless_no_queries(when: &'static [Mark]) -> Proof {
    Proof { when, shows: Shows::ConfirmedUnlessNoQueries }
}

/// The response of a Go program that does not have the path. The 404 of a proxy proves nothing, because it does not
/// show which program is behind the proxy.
pub(crate) const NO_QUERIES: Proof =
    Proof { when: &[Mark::Status(404), Mark::Body("404 page not found")], shows: Shows::NoQueries };

/// A response with all these marks is the result of a query, perhaps of another program.
pub(crate) const fn queries(when: &'static [Mark]) -> Proof {
    Proof { when, shows: Shows::Queries }
}

/// A response with all these marks comes from the product, which may serve no queries.
pub(crate) const fn itself(when: &'static [Mark]) -> Proof {
    Proof { when, shows: Shows::Itself }
}

/// A response with all these marks comes from the program with this name.
pub(crate) const fn another(name: &'static str, when: &'static [Mark]) -> Proof {
    Proof { when, shows: Shows::Another(name) }
}
