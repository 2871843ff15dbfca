//! What the answers of a Pod prove.

use super::answer::Class;
use crate::product::Scheme;

/// What the answers prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whether the Pod is the product.
    pub verdict: Verdict,
    /// The scheme, if a response proves it. A response that requires a login is enough.
    pub scheme: Option<Scheme>,
    /// The path of the endpoint, if a response proves it.
    pub path: Option<String>,
    /// The requests, as text for people.
    pub asked: Vec<String>,
    /// The class of the decisive answer. If no answer is decisive, the class of the first answer.
    pub class: Class,
}

/// Whether a Pod is the product that its Service seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The Pod is the product, or has the same API.
    Confirmed,
    /// The Pod is a program with another API.
    Denied {
        /// The name of the program, e.g. `Pushgateway`. If several products have its API, the best known name.
        is: &'static str,
    },
    /// The answers prove nothing.
    Unknown,
}
