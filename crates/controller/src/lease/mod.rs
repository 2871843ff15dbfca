//! Leader election. Only the holder of a Lease writes.
//!
//! ```text
//! watch, get ──► Record, and when we saw it change ──► step() ──► create / replace with the resource version / wait
//!                                                                  └──► Fence: the term, and until when a write may start
//! ```
//!
//! Every replica watches, and only writes need the lease. Compare-and-swap by resource version decides which replica
//! acquires it. Each replica uses only its own monotonic clock.

mod elector;
mod step;

pub(crate) use self::elector::Elector;
