//! Everything that talks to the API server.
//!
//! ```text
//! cluster/, lease/ ◄── watching ── observed, pace ── client ◄───┐
//! toolset_config/ ──► config_map, status, deployment, events ──► writer ── permit, fence, timeout ──► client
//! agent/ ──► backends ──► client
//! ```

pub(crate) mod backends;
pub(crate) mod client;
pub(crate) mod config_map;
pub(crate) mod deployment;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod fence;
mod managed_fields;
pub(crate) mod name;
mod observed;
mod pace;
mod request;
pub(crate) mod restores;
pub(crate) mod status;
pub(crate) mod thin;
pub(crate) mod watching;
pub(crate) mod writer;

pub(crate) use self::{
    error::{Cause, Error},
    name::NamespacedName,
    observed::Observer,
    writer::Writer,
};
