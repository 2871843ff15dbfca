//! What is known of the cluster: one task per watch, the health of each watch, and the state that they keep.
//!
//! ```text
//! supervisor ── starts and stops, as the ToolsetConfigs need ──► watch ── one task each
//!   watch ── events ──► feed/ ──► state (index, ToolsetConfigs, ConfigMaps) ── whom it concerns ──► triggers ──► workers
//!     └──── errors, contact, lists ──► watch_health ── whom it concerns ──► triggers
//! ```
//!
//! An error never enters a stream that triggers anything. With kube's `Controller` one forbidden watch would delay every
//! other trigger by its backoff.

mod config_maps;
mod feed;
mod needs;
mod state;
mod supervisor;
mod toolset_configs;
mod triggers;
mod watch;
mod watch_health;

pub(crate) use self::{
    config_maps::ConfigMapState,
    needs::{Scope, config_maps as config_map_watches},
    state::Cluster,
    supervisor::Supervisor,
    toolset_configs::{Root, ToolsetConfigs, Unreadable, Written, same_status},
    triggers::{Trigger, Triggers},
    watch_health::{InputHealth, WATCH_TIMEOUT_SECONDS, WatchHealth, WatchId, Watches},
};

#[cfg(test)]
pub(crate) use self::watch_health::STALE_AFTER;
