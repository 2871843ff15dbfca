//! The audit record of Data Storage.
//!
//! This crate uses no database and no clock. It contains the fields and their limits ([`Accepted::parse`]), the
//! redaction of secrets ([`redact`]), the canonical form ([`canonical`]), the hashes of the chain ([`chain`]), the
//! errors of the HTTP API ([`problem`]) and the text for embeddings ([`embedding_text`]).

mod accept;
pub mod canonical;
pub mod chain;
mod charset;
mod data;
pub mod embedding_text;
mod error;
mod event;
mod fields;
mod json;
pub mod problem;
pub mod redact;
#[cfg(feature = "schemars")]
pub mod schema;
mod time;
pub mod weight;
mod words;

pub use accept::{Accepted, Defaults};
pub use charset::is_invisible;
pub use error::{FieldError, Reason};
pub use event::{Actor, Event, Record};
pub use time::rfc3339;
pub use words::{Kind, Phase, Status, UnknownWord};
