//! What the rules find in Services that charts, operators and people write, and in Services that only look like them.
//!
//! The fixtures follow the products' documented labels and ports.

#![allow(clippy::expect_used, reason = "a fixture that does not parse fails its test")]

mod by_hand;
mod dashboards;
mod explaining;
mod fixture;
mod logs;
mod look_alikes;
mod mcp;
mod metrics;
mod namespaces;
mod only_port;
mod pieces;
mod programs_beside;
mod properties;
mod scheme;
mod search;
mod stated_type;
mod traces;
