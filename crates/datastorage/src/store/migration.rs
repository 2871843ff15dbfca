//! What is migrated and how, what was found, and why the program cannot use the database.

use std::time::Duration;

use super::StoreError;

/// Whether the program changes the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum MigrateMode {
    /// Create or upgrade the tables. The role must own the schema.
    Auto,
    /// Only check whether the tables have the right version.
    Check,
}

/// Whether pgvector is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Vectors {
    /// Use pgvector if the database has it.
    Preferred,
    /// Fail if the database does not have pgvector.
    Required,
    /// Do not use pgvector.
    Off,
}

/// What is migrated and how.
#[derive(Clone, Debug)]
pub struct MigrateOptions {
    /// Whether the schema is changed.
    pub mode: MigrateMode,
    /// Whether pgvector is used.
    pub vectors: Vectors,
    /// A role that gets the rights of the service.
    pub service_role: Option<String>,
    /// How long records are kept, and how old a month must be to be dropped. None leaves what is set.
    pub retention: Option<(Duration, Duration)>,
}

impl Default for MigrateOptions {
    fn default() -> Self {
        Self { mode: MigrateMode::Auto, vectors: Vectors::Preferred, service_role: None, retention: None }
    }
}

/// What the program found in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The version of PostgreSQL, for example 160014.
    pub postgres: i32,
    /// The version of the schema; 0 without a schema.
    pub schema_version: i32,
    /// The version of pgvector, or why vectors cannot be used.
    pub vectors: Result<String, String>,
}

/// Why the program cannot use the database.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// PostgreSQL is too old.
    #[error("PostgreSQL {} is too old; Data Storage needs PostgreSQL 16 or newer", .0 / 10_000)]
    OldPostgres(i32),
    /// A newer program has changed the schema.
    #[error("schema {schema} has version {found}, and this program knows versions up to {known}; use a newer program")]
    Newer {
        /// The schema.
        schema: String,
        /// Its version.
        found: i32,
        /// The newest version that this program knows.
        known: i32,
    },
    /// A step is not the one that was applied.
    #[error(
        "migration {version} of schema {schema} differs from the migration in this program; use the program that \
         created the schema"
    )]
    Changed {
        /// The schema.
        schema: String,
        /// The step.
        version: i32,
    },
    /// The schema is older than the program, and the program may not change it.
    #[error(
        "schema {schema} has version {found}, and this program needs version {needed}; run datastorage migrate as the \
         owner of the schema"
    )]
    Pending {
        /// The schema.
        schema: String,
        /// Its version; 0 without a schema.
        found: i32,
        /// The version that the program needs.
        needed: i32,
    },
    /// The role may not change the schema.
    #[error(
        "the role is not allowed to change schema {schema} ({reason}); run datastorage migrate as the owner of the \
         schema"
    )]
    NotOwner {
        /// The schema.
        schema: String,
        /// What the database said.
        reason: String,
    },
    /// The role of the service does not exist.
    #[error("role {0} does not exist; create it with CREATE ROLE, or correct --service-role")]
    NoRole(String),
    /// The role of the service would be the owner itself.
    #[error(
        "role {0} owns the schema or is a superuser, so its permissions cannot be restricted; use another \
         --service-role"
    )]
    SameRole(String),
    /// `--vector=required`, and vectors cannot be used.
    #[error("--vector=required, but vectors are not available: {0}")]
    NoVectors(String),
    /// The database gave no answer, or refused a statement.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<tokio_postgres::Error> for MigrateError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}
