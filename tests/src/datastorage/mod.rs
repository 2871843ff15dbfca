//! What the tests of Data Storage stand on: a real PostgreSQL, and the service's real program.
//!
//! ```no_run
//! # async fn a_test() -> anyhow::Result<()> {
//! use e2e::datastorage::{Database, Service, events};
//!
//! let database = Database::fresh().await?;
//! let service = Service::start(&database, &[]).await?;
//! let written = service.api().write(&events::sample()).await?;
//! let rows = database.owner().await?.query("SELECT seq FROM audit_event", &[]).await?;
//! assert_eq!(rows[0].get::<_, Option<i64>>(0), written.seq);
//! # Ok(())
//! # }
//! ```
//!
//! - [`Postgres`]: a server of PostgreSQL 16 or 18 in a temporary folder, which a test may stop, kill and start again.
//! - [`Database`]: a database with the current schema for each test, on a server that all tests share.
//! - [`Service`]: the running service, with its [`ApiClient`], its metrics and its log.
//! - [`DatabaseProxy`]: a network between the service and PostgreSQL that breaks.
//! - [`events`]: records to write.
//! - [`provider`]: a provider of vectors whose answers a test decides.

mod client;
pub mod contract;
mod database;
pub mod events;
mod postgres;
mod programs;
pub mod provider;
mod proxy;
mod service;
mod storm;
mod wire;

pub use self::{
    client::{Answer, ApiClient, Page, Written},
    database::{Database, OWNER, SERVICE, migrate},
    events::Event,
    postgres::{Postgres, PostgresOptions, connect},
    programs::{Version, datastorage, run, too_old},
    proxy::{Commit, DatabaseProxy, Network},
    service::{Service, ServiceOptions},
    storm::{Found, Ledger, Progress, Storm},
};
