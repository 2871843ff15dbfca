//! The operator. It watches, reconciles, applies and reports.
//!
//! ```text
//!                cluster/                          toolset_config/  (per ToolsetConfig)         api/
//!  Service ──────┐                                                                             ┌──► ConfigMap
//!  EndpointSlice ┤ one task  ──► index ──trigger──► worker: gate ► plan ► decide ► write ──────┼──► writer: permit,
//!  Namespace ────┤ per watch     ToolsetConfigs       │                                         │    fence, timeout
//!  ToolsetConfig ┤               ConfigMaps           ├─ snapshot ► reporter: status, Events ───┤
//!  ConfigMap ────┘               watch health         ├─ snapshot ► reloader: agent restart ────┘
//!                                                     └─ snapshot ► observer: agent/ ► dial/ ──► the agent's Pods
//!
//!  lease/: which replica writes        metrics/, admin: /health /ready /metrics        run: start and end
//!  audit/: records of what became of the outputs, for Data Storage, if it is configured
//! ```
//! A trigger does not contain what changed, because the output is recomputed from the whole state. Everything runs on
//! one thread.

#![allow(clippy::doc_markdown, reason = "Kubernetes kinds are written as the API spells them")]

mod admin;
mod agent;
mod api;
mod args;
mod audit;
mod cluster;
mod dial;
mod lease;
mod logging;
mod metrics;
mod probe;
mod run;
mod toolset_config;

pub use self::{args::Args, logging::install as install_log, probe::probe, run::run};
