//! Everything that talks to the API server.
//!
//! ```text
//! cluster/ ◄── watches ── client ◄──────────────────────────────┐
//! toolset_config/ ──► config_map, status, deployment, events ──► writer ── permit, fence, timeout ──► client
//! ```

pub(crate) mod client;
pub(crate) mod config_map;
pub(crate) mod deployment;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod fence;
mod managed_fields;
pub(crate) mod name;
mod request;
pub(crate) mod status;
pub(crate) mod thin;
pub(crate) mod writer;

pub(crate) use self::{
    error::{Cause, Error},
    name::NamespacedName,
    writer::Writer,
};
