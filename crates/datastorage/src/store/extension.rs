//! pgvector: found, made or missing. Its tables are a step of their own, because it is not a trusted extension: somebody else
//! creates it, perhaps later.

use tokio_postgres::{Client, error::SqlState};

use super::{
    Store,
    connect::{Purpose, identifier},
    error::describe,
    migration::{MigrateError, MigrateMode, MigrateOptions, Vectors},
    roles,
    steps::{Migration, applied, check, lock, step as apply, unlock},
};

/// The oldest pgvector: the first with iterative scans.
const OLDEST_PGVECTOR: [u32; 3] = [0, 8, 0];

const VECTORS: Migration =
    Migration { version: 1, name: "vectors", sql: include_str!("migrations/vectors.sql"), min_program: 1 };

impl Store {
    /// Looks again whether vectors can be used, and makes their tables if the role may. So `preferred` recovers when the
    /// extension appears.
    pub async fn look_for_vectors(&self, options: &MigrateOptions) -> Result<Result<String, String>, MigrateError> {
        let mut client = self.connect(Purpose::Admin).await?;
        lock(&client, self.schema()).await?;
        let found = step(&mut client, self.schema(), options).await;
        unlock(&client, self.schema()).await?;
        let found = found?;
        self.found_vectors(found.is_ok());
        Ok(found)
    }
}

/// The version of pgvector if it can be used and its tables are there, or else the reason.
pub(super) async fn step(
    client: &mut Client,
    schema: &str,
    options: &MigrateOptions,
) -> Result<Result<String, String>, MigrateError> {
    if options.vectors == Vectors::Off {
        return Ok(Err("--vector is off".to_owned()));
    }
    let (version, extension_schema) = match extension(client, options.mode).await? {
        Ok(found) => found,
        Err(reason) => return Ok(Err(reason)),
    };
    if !new_enough(&version) {
        return Ok(Err(format!("pgvector {version} is too old; Data Storage needs version 0.8.0 or newer")));
    }
    if let Err(reason) = dry_run(client, &extension_schema).await? {
        return Ok(Err(reason));
    }
    let done = check(schema, std::slice::from_ref(&VECTORS), &applied(client, schema, "vectors").await?)?;
    if done == 0 {
        let missing =
            "the tables for vectors are missing; run datastorage migrate as the owner of the schema".to_owned();
        if options.mode == MigrateMode::Check {
            return Ok(Err(missing));
        }
        match apply(client, &[schema, &extension_schema], "vectors", &VECTORS).await {
            Ok(()) => tracing::info!(schema, pgvector = version, "created the tables for vectors"),
            Err(MigrateError::Store(error)) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                return Ok(Err(missing));
            }
            // Another replica was faster.
            Err(error) if applied(client, schema, "vectors").await?.is_empty() => return Err(error),
            Err(_) => {}
        }
        if let Some(role) = &options.service_role {
            roles::grant(client, schema, role).await?;
        }
    }
    Ok(Ok(version))
}

/// The version and the schema of the extension. A superuser may create it, and then does.
async fn extension(client: &Client, mode: MigrateMode) -> Result<Result<(String, String), String>, MigrateError> {
    let find = "SELECT extversion, nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace \
                WHERE extname = 'vector'";
    if let Some(row) = client.query_opt(find, &[]).await? {
        return Ok(Ok((row.get(0), row.get(1))));
    }
    let absent = "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'";
    if client.query_one(absent, &[]).await?.get::<_, i64>(0) == 0 {
        return Ok(Err("pgvector is not installed on the database server".to_owned()));
    }
    let superuser: bool =
        client.query_one("SELECT rolsuper FROM pg_roles WHERE rolname = current_user", &[]).await?.get(0);
    if superuser && mode == MigrateMode::Auto {
        client.batch_execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public").await?;
        if let Some(row) = client.query_opt(find, &[]).await? {
            return Ok(Ok((row.get(0), row.get(1))));
        }
    }
    Ok(Err("the extension vector is missing in the database; run CREATE EXTENSION vector as a superuser".to_owned()))
}

fn new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    [(); 3].map(|()| numbers.next().unwrap_or_default()) >= OLDEST_PGVECTOR
}

/// An index of the kind that is needed, on a temporary table: the processor may lack what the library was built for.
async fn dry_run(client: &mut Client, extension_schema: &str) -> Result<Result<(), String>, MigrateError> {
    let transaction = client.transaction().await?;
    let sql = format!(
        "SET LOCAL search_path = {}, pg_temp; SET LOCAL enable_seqscan = off; \
         CREATE TEMPORARY TABLE dry_run (embedding halfvec(3)) ON COMMIT DROP; \
         CREATE INDEX ON dry_run USING hnsw (embedding halfvec_cosine_ops); \
         INSERT INTO dry_run VALUES ('[1,2,3]'), ('[3,2,1]'); \
         SELECT * FROM dry_run ORDER BY embedding <=> '[1,2,2]' LIMIT 1",
        identifier(extension_schema)
    );
    match transaction.batch_execute(&sql).await {
        Ok(()) => Ok(Ok(())),
        // The role may not make temporary tables. The owner has tried it when it made the tables of vectors.
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Ok(Ok(())),
        Err(error) if error.as_db_error().is_some() => {
            Ok(Err(format!("pgvector cannot create an index: {}", describe(&error))))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let verdicts =
            ["0.6.2", "0.7.4", "0.8.0", "0.8", "0.10.1", "1.0.0"].map(|version| (version, new_enough(version)));
        let wanted =
            [("0.6.2", false), ("0.7.4", false), ("0.8.0", true), ("0.8", true), ("0.10.1", true), ("1.0.0", true)];
        assert_eq!(verdicts, wanted);
    }
}
