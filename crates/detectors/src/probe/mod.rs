//! How products respond over HTTP: their health paths, the requests that identify them, and what a response proves.
//!
//! ```text
//! health_paths ──► GET ──► Answer ──► health
//! Identification ──► Request ──► GET ──► Answer ──► Identification ──► … ──► Identity
//! ```
//! The functions are pure: they have no client and no clock. The file of each product has a table with its paths and
//! its responses. The engine in this module depends on no product. `others.rs` lists programs that are not products.
//!
//! An answer is the outcome of a request: a response, or a failure such as a refused connection.
//!
//! # What an answer proves
//! The shape of the JSON, a header or the title of a page confirms a product. A word in a text never does. Only such a
//! proof of a program with another API denies the product. All other answers prove nothing: a login, a missing path, a
//! redirect, a failure, and a page or JSON of an unknown program.
//!
//! An endpoint must serve queries. So a response that every component of a product gives, such as the build
//! information, does not confirm the product if the program itself does not have the path for queries.
//!
//! A response proves the scheme. If the product is confirmed below a path, this proves the path. A redirect is read and
//! never followed, and counts only if it leads to the same host.
//!
//! Of an answer, only its class and what it proves are kept.

mod answer;
pub(crate) mod facts;
mod health;
mod identification;
mod identity;
mod json;
mod location;
pub(crate) mod mark;
mod others;
mod page;
mod paths;
mod schemes;
mod tables;

pub use self::{
    answer::{Answer, Class, Request},
    health::{Health, health, health_paths},
    identification::Identification,
    identity::{Identity, Verdict},
    tables::is_asked,
};
