//! Gets vectors of texts from a provider over HTTP, with a cache and a circuit breaker.
//!
//! ```text
//!     texts ──► cache ──► breaker ──► POST {url}/v1/embeddings, 32 texts at a time ──► checked vectors of length 1
//! ```
//!
//! This crate has no metrics and no logs. [`Embedded`] contains the number of cached vectors and the duration of the
//! request.

mod breaker;
mod provider;
mod request;

use std::time::Duration;

pub use self::provider::{BATCH, Embedded, Provider, Settings};

/// Why a provider returned no vectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbeddingError {
    /// The circuit breaker is open: the provider failed several times in a row.
    #[error(
        "the embedding provider failed {failures} times in a row, so the service sends no requests to it for a while"
    )]
    Open {
        /// How many times.
        failures: u32,
        /// The time until the next attempt.
        retry_after: Duration,
    },
    /// The provider works, but does not take these texts, for example because one is too long.
    #[error("the embedding provider rejected the texts: {0}")]
    Refused(String),
    /// The provider could not be asked, or its answer cannot be used.
    #[error("the embedding provider failed: {0}")]
    Failed(String),
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The URL.
    #[error("the URL of the embedding provider is invalid: {0}")]
    Url(String),
    /// The certificates.
    #[error("cannot use the certificates of the embedding provider: {0}")]
    Certificates(String),
}
