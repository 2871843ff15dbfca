//! The charts: what they render, what happens when they are installed on a real API server, and what a real Prometheus makes of
//! their alerts and their dashboards.
//!
//! `cargo xtask test chart` brings Helm and Prometheus. Without it, `HELM` names Helm's program and `PROMETHEUS` the folder
//! of Prometheus' programs; tests whose tools are missing are skipped, and fail where `CI` is set.

mod agents;
mod alerts;
mod asked_rights;
mod dashboard;
mod data_storage;
mod examples;
mod first_steps;
mod grafana;
mod lifecycle;
mod permissions;
mod probing;
mod prometheus;
mod rendered;
mod rights;
mod subchart;
mod workload;
