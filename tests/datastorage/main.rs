//! Data Storage on a real PostgreSQL, with one module per subject. See `tests/README.md`.
//!
//! The modules are in alphabetical order.

mod access;
mod auth;
mod canonical;
mod chain;
mod claims;
mod correlations;
mod discovery;
mod embeddings;
mod export;
mod failover;
mod faults;
mod health;
mod history;
mod kill;
mod limits;
mod mcp;
mod migrations;
mod openapi;
mod outage;
mod partitions;
mod postgres;
mod problems;
mod proxy;
mod reading;
mod recall;
mod roles;
mod search;
mod security;
mod shares;
mod stopped;
mod tenants;
mod tls;
mod worker;
mod writer;
mod writing;
