//! What a product answers over HTTP: the path of its health, the requests that tell which product it is, and what an
//! answer proves.
//!
//! ```text
//! health_paths ──► GET ──► Answer ──► health
//! Identification ──► Request ──► GET ──► Answer ──► Identification ──► … ──► Identity
//! ```
//! The functions are pure: no client, no clock. Every product's file has a table with its paths and its answers, and the
//! engine here depends on no product. `others.rs` lists programs that are no product.
//!
//! # What an answer proves
//! A product is confirmed by the shape of its JSON, its header or its page, and never by a word in a text. It is denied
//! only by such a proof of a program with another API. All other answers prove nothing: a login, a missing path, a
//! redirect, a failure, and a page or JSON of an unknown program.
//!
//! A response proves the scheme. A path is proven if the product is confirmed below it. A redirect is read and never
//! followed, and counts only if it leads to the same host.
//!
//! Nothing of an answer is kept but what it proves, and its class.

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
