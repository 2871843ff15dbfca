//! The schema and its versions.
//!
//! This is small code of our own, because refinery has no lock against a second replica, no step that waits for an extension,
//! and no way to let the previous program run on a schema that was only expanded.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio_postgres::{Client, error::SqlState};

use super::{
    Store, StoreError, Vectors,
    connect::{Purpose, identifier, literal},
    extension, roles,
};

/// The oldest PostgreSQL.
const OLDEST_POSTGRES: i32 = 160_000;

/// How long a replica waits for the one that migrates.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(300);

/// A step of the schema.
#[derive(Debug)]
pub(super) struct Migration {
    pub(super) version: i32,
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    /// The oldest program that runs on the schema after this step, by the newest step that it knows. A step that only expands
    /// the schema names the step before, so that the previous program runs on, and an upgrade can be undone.
    pub(super) min_program: i32,
}

/// All steps, in their order. A step that was released never changes: a database has its checksum.
const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "records", sql: include_str!("migrations/0001_records.sql"), min_program: 1 }];

/// Whether the program changes the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum MigrateMode {
    /// Create the schema or bring it up to date. The role must own the schema.
    Auto,
    /// Only check that the schema is the one that the program needs.
    Check,
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
        "migration {version} of schema {schema} is not the one of this program; use the program that belongs to the schema"
    )]
    Changed {
        /// The schema.
        schema: String,
        /// The step.
        version: i32,
    },
    /// The schema is older than the program, and the program may not change it.
    #[error(
        "schema {schema} has version {found}, and this program needs {needed}; run datastorage migrate as its owner"
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
    #[error("the role may not change schema {schema} ({reason}); run datastorage migrate as its owner")]
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
        "role {0} owns the schema or is a superuser, so its rights cannot be restricted; name another --service-role"
    )]
    SameRole(String),
    /// `--vector=required`, and vectors cannot be used.
    #[error("vectors are required and cannot be used: {0}")]
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

/// Brings the schema up to date, or checks it, and says what it found.
pub async fn migrate(store: &Store, options: &MigrateOptions) -> Result<Found, MigrateError> {
    let mut client = store.connect(Purpose::Admin).await?;
    let postgres: String = client.query_one("SHOW server_version_num", &[]).await?.get(0);
    let postgres = postgres.parse().unwrap_or_default();
    if postgres < OLDEST_POSTGRES {
        return Err(MigrateError::OldPostgres(postgres));
    }
    let schema = store.schema();
    if options.mode == MigrateMode::Check {
        return migrate_alone(store, &mut client, postgres, options).await;
    }
    lock(&client, schema).await?;
    let result = migrate_alone(store, &mut client, postgres, options).await;
    unlock(&client, schema).await?;
    result
}

/// Lets one program at a time change a schema, also its permissions. The lock ends with the session at the latest.
pub(super) async fn lock(client: &Client, schema: &str) -> Result<(), StoreError> {
    let (wait, key) = (WAIT_FOR_OTHERS.as_millis(), lock_key(schema));
    let sql = format!("SET lock_timeout = {wait}; SELECT pg_advisory_lock({key}); SET lock_timeout = '10s'");
    Ok(client.batch_execute(&sql).await?)
}

pub(super) async fn unlock(client: &Client, schema: &str) -> Result<(), StoreError> {
    Ok(client.batch_execute(&format!("SELECT pg_advisory_unlock({})", lock_key(schema))).await?)
}

fn lock_key(schema: &str) -> String {
    format!("hashtextextended({}, 0)", literal(&format!("datastorage.{schema}.migrate")))
}

async fn migrate_alone(
    store: &Store,
    client: &mut Client,
    postgres: i32,
    options: &MigrateOptions,
) -> Result<Found, MigrateError> {
    let schema = store.schema();
    let needed = MIGRATIONS.last().map_or(0, |migration| migration.version);
    let mut found = check(schema, MIGRATIONS, &applied(client, schema, "records").await?)?;
    if found < needed {
        if options.mode == MigrateMode::Check {
            return Err(MigrateError::Pending { schema: schema.to_owned(), found, needed });
        }
        found = apply(client, schema).await.map_err(|error| not_owner(schema, error))?;
    }
    let vectors = extension::step(client, schema, options).await.map_err(|error| not_owner(schema, error))?;
    store.found_vectors(vectors.is_ok());
    if let (Vectors::Required, Err(reason)) = (options.vectors, &vectors) {
        return Err(MigrateError::NoVectors(reason.clone()));
    }
    if options.mode == MigrateMode::Auto {
        settle(client, schema, options).await.map_err(|error| not_owner(schema, error))?;
    }
    Ok(Found { postgres, schema_version: found, vectors })
}

/// What the owner sets besides the tables.
async fn settle(client: &mut Client, schema: &str, options: &MigrateOptions) -> Result<(), MigrateError> {
    if let Some((keep, floor)) = options.retention {
        let seconds = [keep, floor].map(|time| time.as_secs_f64());
        // The role of the service may not update it. It starts with what the owner has set.
        let owner: bool = client.query_one("SELECT has_table_privilege('retention', 'UPDATE')", &[]).await?.get(0);
        if owner {
            let sql = "UPDATE retention SET keep = make_interval(secs => $1), floor = make_interval(secs => $2) \
                       WHERE (keep, floor) IS DISTINCT FROM (make_interval(secs => $1), make_interval(secs => $2))";
            client.execute(sql, &[&seconds[0], &seconds[1]]).await?;
        }
    }
    if let Some(role) = &options.service_role {
        roles::grant(client, schema, role).await?;
    }
    Ok(())
}

/// Whether a role lacks the rights of the owner.
fn not_owner(schema: &str, error: MigrateError) -> MigrateError {
    match error {
        MigrateError::Store(StoreError::Database(error)) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            MigrateError::NotOwner { schema: schema.to_owned(), reason: super::error::describe(&error) }
        }
        other => other,
    }
}

/// A step that was applied.
pub(super) struct Applied {
    pub(super) version: i32,
    checksum: Vec<u8>,
    min_program: i32,
}

/// The steps of a part of the schema that the database has.
pub(super) async fn applied(client: &Client, schema: &str, part: &str) -> Result<Vec<Applied>, StoreError> {
    let table = format!("{}.migration", identifier(schema));
    let exists: bool = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await?.get(0);
    if !exists {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT version, checksum, min_program FROM {table} WHERE part = $1 ORDER BY version");
    let rows = client.query(&sql, &[&part]).await?;
    Ok(rows.iter().map(|row| Applied { version: row.get(0), checksum: row.get(1), min_program: row.get(2) }).collect())
}

/// The version of a part of the schema, if the program can run on it or migrate it.
pub(super) fn check(schema: &str, migrations: &[Migration], applied: &[Applied]) -> Result<i32, MigrateError> {
    let known = migrations.last().map_or(0, |migration| migration.version);
    for step in applied {
        match migrations.iter().find(|migration| migration.version == step.version) {
            Some(migration) if step.checksum == checksum(migration.sql) => {}
            Some(_) => return Err(MigrateError::Changed { schema: schema.to_owned(), version: step.version }),
            None if step.min_program <= known => {}
            None => {
                let found = applied.iter().map(|step| step.version).max().unwrap_or_default();
                return Err(MigrateError::Newer { schema: schema.to_owned(), found, known });
            }
        }
    }
    Ok(applied.iter().map(|step| step.version).max().unwrap_or_default())
}

async fn apply(client: &mut Client, schema: &str) -> Result<i32, MigrateError> {
    let done = check(schema, MIGRATIONS, &applied(client, schema, "records").await?)?;
    let exists: bool =
        client.query_one("SELECT to_regnamespace(quote_ident($1)) IS NOT NULL", &[&schema]).await?.get(0);
    if !exists {
        client.batch_execute(&format!("CREATE SCHEMA {}", identifier(schema))).await?;
    }
    let mut version = done;
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > done) {
        step(client, &[schema], "records", migration).await?;
        tracing::info!(schema, version = migration.version, name = migration.name, "the schema was migrated");
        version = migration.version;
    }
    Ok(version)
}

/// Applies one step in a transaction of its own and notes it down. Its tables are made in the first of the schemas.
pub(super) async fn step(
    client: &mut Client,
    schemas: &[&str],
    part: &str,
    migration: &Migration,
) -> Result<(), MigrateError> {
    let transaction = client.transaction().await?;
    // `SET search_path FROM CURRENT` of the functions takes over exactly this.
    let path: Vec<_> = schemas.iter().map(|schema| identifier(schema)).collect();
    transaction.batch_execute(&format!("SET LOCAL search_path = {}, pg_temp", path.join(", "))).await?;
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS migration (part text NOT NULL, version int NOT NULL, name text NOT NULL, \
             checksum bytea NOT NULL, min_program int NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), \
             PRIMARY KEY (part, version))",
        )
        .await?;
    transaction.batch_execute(migration.sql).await?;
    let note = "INSERT INTO migration (part, version, name, checksum, min_program) VALUES ($1, $2, $3, $4, $5)";
    let Migration { version, name, sql, min_program } = migration;
    transaction.execute(note, &[&part, version, name, &checksum(sql).as_slice(), min_program]).await?;
    Ok(transaction.commit().await?)
}

fn checksum(sql: &str) -> [u8; 32] {
    Sha256::digest(sql).into()
}
