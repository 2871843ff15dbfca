//! Leader election: only the holder of a Lease writes.
//!
//! ```text
//! watch, get ──► Record, and when we saw it change ──► step() ──► create / replace with the resource version / wait
//!                                                                  └──► Fence: the term, and until when a write may start
//! ```
//!
//! Every replica watches; only writing waits for the lease. Compare-and-swap by resource version decides which replica gets
//! it, and no clock but the replica's own monotonic one counts.

mod elector;
mod step;

pub(crate) use self::elector::Elector;
