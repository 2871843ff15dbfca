//! Limits for each identity, and for failed authentications from each address.
//!
//! Both kinds of limiters are in caches with a fixed number of entries, so many names or addresses cannot use up the
//! memory. A full cache removes the entry that was not used for the longest time. This client then starts with all its
//! permits again.

mod identities;
mod shares;
mod sources;

use std::time::Duration;

pub use self::{
    identities::{Limits, Permit, Settings},
    shares::Allowance,
    sources::Sources,
};

/// The limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limited {
    /// The identity wrote too many records within a short time.
    #[error("this identity writes too many records per second")]
    Writes {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The identity has too many requests that are not answered yet.
    #[error("this identity has too many requests in progress")]
    InFlight {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The identity, or all together, use so much of something that all share that there is no more of it now.
    #[error("{what}")]
    Share {
        /// What there is too much of.
        what: &'static str,
        /// When to ask again.
        retry_after: Duration,
    },
}

impl Limited {
    /// When to ask again: whole seconds, as `Retry-After` has them.
    pub fn retry_after(&self) -> Duration {
        let (Self::Writes { retry_after } | Self::InFlight { retry_after } | Self::Share { retry_after, .. }) = self;
        *retry_after
    }
}
