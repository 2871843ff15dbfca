//! The operator: watches, reconciles, applies, reports.
//!
//! ```text
//!  API server                                                                                        API server
//!   Service ───────┐                                                                              ┌──► ConfigMap
//!   EndpointSlice ─┤  inputs/          World             reconcile                                │    (apply.rs)
//!   Namespace ─────┼─ one task per ──► index, configs, ─► gate ► planning ► decision ► writer ────┼──► status
//!   ToolsetConfig ─┤  watch, errors    config maps,       inputs  pure       drift,    lease      │    (status.rs)
//!   ConfigMap ─────┘  kept apart       input states       known?  middle     brake     asked ─────┼──► Events
//!                          └── wake ───────────────────────►                                      └──► one Deployment
//!  admin: /health /ready /metrics          lease: who writes          shutdown: how it ends            (restart.rs)
//! ```
//! Each arrow carries "look again", never a change: the output is recomputed from the whole state. One thread runs it all.

#![allow(clippy::doc_markdown, reason = "Kubernetes kinds are written as the API spells them")]

mod admin;
mod apply;
mod args;
mod brake;
mod client;
mod coalesce;
mod configs;
mod decision;
mod error;
mod events;
mod gate;
mod inputs;
mod lease;
mod logging;
mod metrics;
mod object;
mod output;
mod planning;
mod process;
mod reconcile;
mod reload;
mod report;
mod restart;
mod run;
mod shutdown;
mod status;
mod unreadable;
mod wake;
mod work;
mod world;
mod writer;

pub use self::{args::Args, logging::install as install_log, run::run};
