//! Leader election: only the holder of a Lease writes.
//!
//! ```text
//! watch, get ──► Record, and when we saw it change ──► step() ──► create / replace with the resourceVersion / wait
//!                                                                  └──► Fence: until when a request may be started
//! ```
//!
//! Watches run on every replica; only writing waits for the lease. Compare-and-swap by resourceVersion decides who gets it,
//! and no clock but our own monotonic one is ever compared with anything.

mod elector;
mod fence;
mod step;

pub use self::{
    elector::Elector,
    fence::Fence,
    step::{Record, Step, step},
};

use std::time::Duration;

/// How long a lease is good for without renewal. Others may take it then.
pub const LEASE: Duration = Duration::from_secs(15);
/// How long after its last renewal the holder may still start a request; well before others may take the lease.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// The pace of renewals, and of attempts after a failure.
pub const RETRY: Duration = Duration::from_secs(2);
