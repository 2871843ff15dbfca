//! The known state of the cluster, and the watches that keep it up to date. Each watch has a task and a health.
//!
//! ```text
//! supervisor ── starts and stops, as the ToolsetConfigs need ──► watch, one task each
//!   watch ── events ──► feed/ ──► state (index, ToolsetConfigs, ConfigMaps) ── if affected ──► triggers ──► workers
//!     └──── errors, contact, lists ──► watch_health ── if affected ──► triggers
//! feed/ ── what changed ──► pods/ ── the Pods behind Services ──► state ── if affected ──► triggers
//! workers ── which tools are probed ──► probes/ ── if the health of one changed ──► triggers
//! ```
//!
//! Errors never enter a stream that triggers reconciles. In kube's `Controller`, the backoff of one forbidden watch
//! would delay every other trigger.

mod config_maps;
mod feed;
mod flapping;
mod needs;
mod pods;
mod probes;
mod rounds;
mod state;
mod supervisor;
mod toolset_configs;
mod triggers;
mod watch;
mod watch_health;

pub(crate) use self::{
    config_maps::{ConfigMapState, Expected},
    needs::{Scope, config_maps as config_map_watches},
    pods::PodReader,
    probes::{Prober, Wait},
    rounds::moment,
    state::Cluster,
    supervisor::Supervisor,
    toolset_configs::{Root, ToolsetConfigs, Unreadable, Written, same_status},
    triggers::{Trigger, Triggers},
    watch_health::{InputHealth, WatchHealth, WatchId, Watches},
};

#[cfg(test)]
pub(crate) use self::watch_health::STALE_AFTER;
