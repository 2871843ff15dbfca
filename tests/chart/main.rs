//! The chart: what it renders, what happens when it is installed on a real API server, and what a real Prometheus makes of
//! its alerts and its dashboard.
//!
//! `cargo xtask test chart` brings Helm and Prometheus. Without it, `HELM` names Helm's program and `PROMETHEUS` the folder
//! of Prometheus' programs; tests whose tools are missing are skipped, and fail where `CI` is set.

mod agents;
mod alerts;
mod dashboard;
mod examples;
mod first_steps;
mod install;
mod lifecycle;
mod permissions;
mod rendered;
mod subchart;
mod workload;
