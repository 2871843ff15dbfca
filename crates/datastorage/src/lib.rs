//! Data Storage keeps audit records in PostgreSQL and finds them by key, by time, by words and by meaning.
//!
//! - [`api`]: the HTTP API.
//! - [`auth`], [`limits`]: who asks, what they may do, and how often.
//! - [`writer`]: the only way in. It writes groups of records in one transaction each.
//! - [`store`]: the only SQL.
//! - [`search`], [`worker`], [`embeddings`]: words and vectors.
//! - [`mcp`]: the tools for an agent.

pub mod api;
pub mod args;
pub mod auth;
pub mod commands;
pub mod embeddings;
pub mod limits;
pub mod logging;
pub mod mcp;
pub mod metrics;
pub mod run;
pub mod search;
pub mod serve;
pub mod server;
pub mod store;
pub mod tls;
pub mod verify;
pub mod worker;
pub mod writer;
