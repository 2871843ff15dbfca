//! What the answers of a Pod prove.

use super::answer::Class;
use crate::product::Scheme;

/// What the answers prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whether it is the product.
    pub verdict: Verdict,
    /// The scheme, if a response proves it. An answer that asks for a login does, too.
    pub scheme: Option<Scheme>,
    /// The path of the endpoint, if an answer proves it.
    pub path: Option<String>,
    /// The requests, as text for people.
    pub asked: Vec<String>,
    /// The class of the answer that decided. Without a decision, that of the first one.
    pub class: Class,
}

/// Whether a Pod is the product that it is thought to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is, or it has the same API.
    Confirmed,
    /// It is a program with another API.
    Denied {
        /// Its name, e.g. `Pushgateway`. If several products have its API, the name of the best known of them.
        is: &'static str,
    },
    /// The answers prove nothing.
    Unknown,
}
