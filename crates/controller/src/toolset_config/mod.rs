//! Reconciles one ToolsetConfig, from a trigger to the ConfigMap and then to the status.
//!
//! ```text
//! controller ── keeps one task per ToolsetConfig ──► worker, reloader, observer, reporter
//!   trigger ──► worker: gate ► plan ► decide ► write          the ConfigMap, at once
//!                 └── snapshot ──► reloader: reload           the agent's restart, when it is due
//!                         ├──────► observer: rounds           what the agent has loaded, after a change
//!                         └──────► reporter: report, events   the status, at most once a second
//! ```
//!
//! Each part keeps its memory as local state, so there are no locks and no flags between them. A slow request of one
//! part or of one ToolsetConfig does not delay the others.

mod brake;
mod controller;
mod decide;
mod events;
mod gate;
mod health_clocks;
mod memory;
mod observation;
mod observer;
mod outcome;
mod plan;
mod pods;
mod record;
mod reload;
mod reloader;
mod reporter;
mod unreadable;
mod worker;
mod write;

pub(crate) use self::{
    controller::{Workers, run as run_controller},
    unreadable::report as report_unreadable,
};
