//! The agent's own view: which revision of the ConfigMap its replicas have loaded, and whether our entries are enabled.
//!
//! ```text
//! installed: whom, which key ─┐
//! Service, slices, Pods ──────┴► replicas ─► version ─► client ─► answer ─┐
//!                                   (dial: address filter, connector)     ├─► view: condition, status, metrics
//!         history: what the ConfigMap has held, and since when ───────────┘
//!
//! schedule: when the next round is        watched: a new Pod        round: one round
//! ```
//! `toolset_config/observer.rs` runs the rounds for one ToolsetConfig.

pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod history;
pub(crate) mod installed;
mod replicas;
pub(crate) mod round;
pub(crate) mod schedule;
pub(crate) mod version;
pub(crate) mod view;
pub(crate) mod watched;
