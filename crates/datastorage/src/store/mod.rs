//! The database. This module has the only SQL of the program.

pub(crate) mod chain;
pub(crate) mod connect;
mod drop_month;
mod error;
mod events;
mod export;
mod extension;
mod gate;
mod health;
mod history;
mod jobs;
pub(crate) mod links;
mod migrate;
mod migration;
pub(crate) mod partitions;
mod pool;
mod roles;
mod search;
mod select;
mod state;
mod steps;
mod tls;
mod vectors;
mod walk;
pub(crate) mod write;

pub use self::{
    chain::Checkpoint,
    drop_month::{DropError, Dropped},
    error::StoreError,
    events::{Correlation, Filters, Namespaces, Page, Start, id_at},
    history::{ActionCount, Attempt, History, HistoryQuery},
    jobs::{Job, Model, ModelState},
    migrate::migrate,
    migration::{Found, MigrateError, MigrateMode, MigrateOptions, Vectors},
    pool::{Reading, Settings, Store, Tls},
    search::{Hit, Hits, Matching},
    state::State,
    vectors::{Near, Nearest, Plan},
};
pub(crate) use select::hex;

/// Which namespaces a reader sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All namespaces of all clusters, also records without a namespace. Only such readers see sequence numbers.
    Cluster,
    /// Only the records of these namespaces in this cluster.
    Namespaces(Vec<String>),
}

/// Who reads.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// Which namespaces the reader sees.
    pub scope: &'a Scope,
    /// This cluster, in which the namespaces of the scope are.
    pub cluster: &'a str,
}

/// The names that records of a cluster have: that of the cluster, and none from before it was given one. Those of another cluster
/// have only its name.
pub(crate) fn names_of(cluster: &str, this: &str) -> Vec<String> {
    let unnamed = (cluster == this && !this.is_empty()).then(String::new);
    std::iter::once(cluster.to_owned()).chain(unnamed).collect()
}
