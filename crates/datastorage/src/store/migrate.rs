//! The schema and its versions.
//!
//! This is small code of our own, because refinery has no lock against a second replica, no step that waits for an extension,
//! and no way to let the previous program run on a schema that was only expanded.

use tokio_postgres::{Client, error::SqlState};

use super::{
    Store, StoreError,
    connect::{Purpose, identifier},
    extension,
    migration::{Found, MigrateError, MigrateMode, MigrateOptions, Vectors},
    roles,
    steps::{Migration, applied, check, lock, step, unlock},
};

/// The oldest PostgreSQL.
const OLDEST_POSTGRES: i32 = 160_000;

/// All steps, in their order. A step that was released never changes: a database has its checksum.
const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "records", sql: include_str!("migrations/0001_records.sql"), min_program: 1 }];

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
        tracing::info!(schema, version = migration.version, name = migration.name, "migrated the schema");
        version = migration.version;
    }
    Ok(version)
}
