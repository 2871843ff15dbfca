//! How much one identity may ask, and how often one address may fail to say who it is.
//!
//! Both kinds of limiters stand in caches with a fixed number of entries, so a flood of names or addresses costs no memory. The
//! entry that was used longest ago makes room: its owner starts with a full allowance again.

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
    #[error("this identity has too many requests in flight")]
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
