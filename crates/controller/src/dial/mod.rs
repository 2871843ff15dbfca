//! Connections to addresses that users of the cluster decide about: which addresses are allowed, and how to connect.
//!
//! ```text
//! address of an EndpointSlice ──► address: normalise, compare with what is never called ──► connector
//!                                        ▲
//!                                     local: our own addresses, those of the API server
//! ```

pub(crate) mod address;
pub(crate) mod connector;
pub(crate) mod local;
