//! Connects to addresses that users of the cluster choose: which addresses are allowed, and how to connect.
//!
//! ```text
//! Service ──► resolve: EndpointSlices, Pods ──► backends: which Pods ──► http ──► connector
//!                                                  │                      │
//!                                     address: what is never called    tls, meter
//!                                                  ▲
//!                                     local: the addresses of the operator and of the API server
//! ```

pub(crate) mod address;
pub(crate) mod backends;
mod connector;
pub(crate) mod http;
pub(crate) mod local;
mod meter;
pub(crate) mod resolve;
pub(crate) mod tls;
