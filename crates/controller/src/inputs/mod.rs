//! The inputs: what is watched, one task per watch, each with its own state.
//!
//! ```text
//! Supervisor ── starts and stops, as ToolsetConfigs need ──► one Watch task each
//!   Watch ── events ──► a Sink: cluster (Index) | configs | config_maps ── only what matters ──► Wakes
//!     └──── errors, contact, lists ──► Inputs: what each watch is worth right now
//! ```
//!
//! An error never enters a stream that triggers anything: with kube's `Controller` one forbidden watch would delay every
//! other trigger by its backoff.

mod cluster;
mod config_maps;
mod configs;
mod sink;
mod state;
mod supervisor;
mod watch;

pub use self::{
    config_maps::{Cached, ConfigMaps, data_keys},
    state::{Inputs, Shift, Standing, Summary, WatchId},
    supervisor::{Scope, Supervisor},
};

pub use toolset::status::Input;

/// Every kind of input.
pub const INPUTS: [Input; 5] =
    [Input::Service, Input::EndpointSlice, Input::Namespace, Input::ToolsetConfig, Input::ConfigMap];

/// After how many seconds the API server ends a watch. A dead connection is noticed 5 s later; kube's default is 290.
pub const WATCH_TIMEOUT_SECONDS: u32 = 60;

/// After how long without contact an input is stale: three watch timeouts.
pub const STALE_AFTER: std::time::Duration = std::time::Duration::from_secs(3 * WATCH_TIMEOUT_SECONDS as u64);
