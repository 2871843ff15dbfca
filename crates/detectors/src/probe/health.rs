//! The health paths of a product, and what a response shows about the health.

use super::{
    answer::{Answer, Class},
    facts::HealthPath,
    paths::without_end,
    tables::facts_of,
};
use crate::product::Product;

/// What the answer to a health probe shows about a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The program runs. The response can also require a login, or ask for fewer requests.
    There,
    /// The program runs, but it does not have this path. The next path is tried. Without a next path, this is a
    /// failure.
    NotFound,
    /// The program, its Pod or the network fails.
    Failing(Class),
}

/// The health paths of a product, for an endpoint with this path. The first path that exists counts. The list is empty
/// for products that are never probed: a GET request to an MCP server opens a stream, and a custom type has no known
/// path.
pub fn health_paths(product: Product, path: &str) -> Vec<String> {
    let Some(facts) = facts_of(product) else { return Vec::new() };
    let path = path.trim_end_matches('/');
    let mut all: Vec<String> = Vec::new();
    for one in facts.health {
        let one = match one {
            HealthPath::Below(end) => format!("{path}{end}"),
            HealthPath::Beside(end) => format!("{}{end}", without_end(path, facts.api)),
            HealthPath::AtRoot(whole) => (*whole).to_owned(),
        };
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// What the answer to a request for a health path shows.
///
/// The status codes 401, 403, 405 and 429 show that the program runs. So does a redirect, which is never followed.
pub fn health(answer: &Answer<'_>) -> Health {
    match answer.class() {
        Class::Answered(200..=399 | 401 | 403 | 405 | 429) => Health::There,
        Class::Answered(400..=499) => Health::NotFound,
        class => Health::Failing(class),
    }
}
