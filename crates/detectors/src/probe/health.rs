//! The paths of a product's health, and what an answer to them says.

use super::{
    answer::{Answer, Class},
    facts::HealthPath,
    paths::without_end,
    tables::facts_of,
};
use crate::product::Product;

/// What an answer says about the health of a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The program is there. It can ask for a login, or for fewer requests.
    There,
    /// The program is there, but not this path. The next path counts, and without one it is a failure.
    NotFound,
    /// The program fails.
    Failing(Class),
    /// The Pod or its network fails, or the network of the caller.
    Unreachable(Class),
}

/// Where a product answers about its health, for an endpoint with this path. The first path that exists counts. There is
/// none for products that are never asked: a GET opens a stream of an MCP server, and a custom type has no path.
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

/// What an answer to a path of health says.
///
/// 401, 403, 405 and 429 mean that the program is there. So does a redirect, which is never followed. A connection that is
/// closed without a response is what a mesh with mutual TLS does to a client outside of it: the network and not the
/// program.
pub fn health(answer: &Answer<'_>) -> Health {
    let class = answer.class();
    match class {
        Class::Answered(200..=399 | 401 | 403 | 405 | 429) => Health::There,
        Class::Answered(400..=499) => Health::NotFound,
        Class::Answered(_) | Class::Refused | Class::Timeout | Class::Unreadable | Class::NoTls => {
            Health::Failing(class)
        }
        Class::Unreachable | Class::Reset => Health::Unreachable(class),
    }
}
