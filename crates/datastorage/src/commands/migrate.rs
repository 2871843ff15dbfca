//! `datastorage migrate`

use anyhow::Result;

use crate::{
    args::{Database, Migrate},
    store::{self, MigrateMode, MigrateOptions, Store},
};

/// Creates or upgrades the tables, creates the partitions of the next months, and grants the permissions to the role of
/// the service.
pub async fn migrate(database: &Database, flags: &Migrate) -> Result<()> {
    anyhow::ensure!(flags.retention >= flags.retention_floor, "--retention must not be shorter than --retention-floor");
    let store = Store::new(&database.settings()?)?;
    let options = MigrateOptions {
        mode: MigrateMode::Auto,
        vectors: flags.vector,
        service_role: flags.service_role.clone(),
        retention: Some((flags.retention, flags.retention_floor)),
    };
    let found = store::migrate(&store, &options).await?;
    store.ensure_months().await?;
    let vectors = found.vectors.as_ref();
    tracing::info!(
        schema = store.schema(),
        version = found.schema_version,
        postgres = found.postgres,
        pgvector = vectors.ok(),
        without_vectors = vectors.err(),
        "the schema is up to date"
    );
    Ok(())
}
