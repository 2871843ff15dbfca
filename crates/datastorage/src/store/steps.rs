//! The steps of a schema: which ones a database has, and how one is applied.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio_postgres::Client;

use super::{
    StoreError,
    connect::{identifier, literal},
    migration::MigrateError,
};

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
