//! The schema: made, checked, and refused.

use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use datastorage::store::{self, MigrateError, MigrateMode, MigrateOptions, Vectors};
use e2e::{
    datastorage::{Database, OWNER, Postgres, PostgresOptions, SERVICE, Service, ServiceOptions, Version},
    harness::{DEADLINE, within},
};
use futures::future::try_join_all;

use crate::writer::Library;

/// The one line that a refused start ends with. The exit code must be 1.
fn refusal(output: &Output) -> Result<String> {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "{}: {error}", output.status);
    let line = error.lines().find_map(|line| line.strip_prefix("datastorage: "));
    line.map(str::to_owned).with_context(|| format!("no line: {error}"))
}

/// The line that a service ends with which refuses to start.
async fn refuses_to_start(database: &Database, arguments: &[&str]) -> Result<String> {
    let options = ServiceOptions { do_not_wait: true, ..ServiceOptions::arguments(arguments) };
    let mut service = Service::start_with(database, options).await?;
    let status = service.process().wait(DEADLINE).await?;
    ensure!(status.code() == Some(1), "{status}");
    let log = service.log()?;
    let line = log.lines().find_map(|line| line.strip_prefix("datastorage: "));
    line.map(str::to_owned).with_context(|| format!("no line: {log}"))
}

async fn steps(database: &Database) -> Result<Vec<(String, i32)>> {
    let rows = database.owner().await?.query("SELECT part, version FROM migration ORDER BY part, version", &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

#[tokio::test]
async fn an_empty_database_gets_the_schema_and_a_second_run_changes_nothing() -> Result<()> {
    let database = Database::empty().await?;
    for _ in 0..2 {
        let output = database.run(OWNER, &["migrate"]).await?;
        ensure!(output.status.success(), "{output:?}");
        assert_eq!(steps(&database).await?, [("records".to_owned(), 1), ("vectors".to_owned(), 1)]);
    }
    Ok(())
}

#[tokio::test]
async fn replicas_that_start_at_once_migrate_once() -> Result<()> {
    let database = Database::empty().await?;
    let services = (0..3).map(|_| async {
        let options = ServiceOptions { database_url: Some(database.url(OWNER)), ..ServiceOptions::default() };
        Service::start_with(&database, options).await
    });
    for service in try_join_all(services).await? {
        service.stop().await?;
    }
    assert_eq!(steps(&database).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn the_owner_may_migrate_many_times_at_once() -> Result<()> {
    let database = Database::empty().await?;
    let role = format!("--service-role={SERVICE}");
    let runs = (0..4).map(|_| async { database.run(OWNER, &["migrate", &role]).await });
    for output in try_join_all(runs).await? {
        ensure!(output.status.success(), "{output:?}");
    }
    assert_eq!(steps(&database).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_step_of_the_vectors_that_is_not_the_one_that_was_applied_is_refused() -> Result<()> {
    let database = Database::fresh().await?;
    database.owner().await?.batch_execute("UPDATE migration SET checksum = '\\x00' WHERE part = 'vectors'").await?;
    let line = refuses_to_start(&database, &[]).await?;
    assert!(line.starts_with("migration 1 of schema datastorage differs from the migration in this program"), "{line}");
    Ok(())
}

#[tokio::test]
async fn a_schema_that_is_missing_or_old_is_named_with_the_remedy() -> Result<()> {
    let database = Database::empty().await?;
    for arguments in [&["--migrate=check"][..], &[]] {
        let line = refuses_to_start(&database, arguments).await?;
        assert!(
            line.contains("schema datastorage") && line.contains("run datastorage migrate as the owner of the schema"),
            "{line}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_schema_that_a_newer_program_changed_is_refused_unless_it_was_only_expanded() -> Result<()> {
    let database = Database::fresh().await?;
    let owner = database.owner().await?;
    let expanded =
        "INSERT INTO migration (part, version, name, checksum, min_program) VALUES ('records', 2, 'later', '', 1)";
    owner.batch_execute(expanded).await?;
    Service::start(&database, &[]).await?.stop().await?;

    owner.batch_execute("UPDATE migration SET min_program = 2 WHERE version = 2").await?;
    let line = refuses_to_start(&database, &[]).await?;
    assert_eq!(line, "schema datastorage has version 2, and this program knows versions up to 1; use a newer program");
    let output = database.run(OWNER, &["migrate"]).await?;
    assert_eq!(refusal(&output)?, line);
    Ok(())
}

#[tokio::test]
async fn a_step_that_is_not_the_one_that_was_applied_is_refused() -> Result<()> {
    let database = Database::fresh().await?;
    database.owner().await?.batch_execute("UPDATE migration SET checksum = '\\x00' WHERE part = 'records'").await?;
    let line = refuses_to_start(&database, &[]).await?;
    assert!(line.starts_with("migration 1 of schema datastorage differs from the migration in this program"), "{line}");
    Ok(())
}

#[tokio::test]
async fn a_step_that_fails_leaves_nothing_behind() -> Result<()> {
    let database = Database::empty().await?;
    let owner = database.owner().await?;
    owner.batch_execute("CREATE SCHEMA datastorage; CREATE TABLE chain_head (mine int)").await?;
    let output = database.run(OWNER, &["migrate"]).await?;
    let line = refusal(&output)?;
    assert!(line.contains("relation \"chain_head\" already exists"), "{line}");
    let tables =
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'datastorage'::regnamespace AND relkind IN ('r', 'p')";
    let tables: Vec<String> = owner.query(tables, &[]).await?.iter().map(|row| row.get(0)).collect();
    assert_eq!(tables, ["chain_head"]);
    Ok(())
}

#[tokio::test]
async fn another_schema_holds_another_memory() -> Result<()> {
    let database = Database::fresh().await?;
    let output = database.run(OWNER, &["migrate", "--schema=team_b"]).await?;
    ensure!(output.status.success(), "{output:?}");
    let service = Service::start(&database, &["--schema=team_b"]).await?;
    service.api().write(&e2e::datastorage::events::sample()).await?;
    let counts = "SELECT (SELECT count(*) FROM team_b.audit_event), (SELECT count(*) FROM datastorage.audit_event)";
    let row = database.owner().await?.query_one(counts, &[]).await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 0));
    Ok(())
}

#[tokio::test]
async fn without_pgvector_the_service_runs_unless_vectors_are_required() -> Result<()> {
    let postgres = Postgres::start(
        Version::of_the_run()?,
        PostgresOptions { without_pgvector: true, ..PostgresOptions::default() },
    )
    .await?;
    let database = Database::bare_in(&postgres).await?;
    let output = database.run(OWNER, &["migrate"]).await?;
    ensure!(output.status.success(), "{output:?}");
    assert_eq!(steps(&database).await?, [("records".to_owned(), 1)]);
    let service = Service::start(&database, &[]).await?;
    service.api().write(&e2e::datastorage::events::sample()).await?;

    let line = refuses_to_start(&database, &["--vector=required"]).await?;
    assert_eq!(
        line,
        "--vector=required, but vectors are not available: pgvector is not installed on the database server"
    );
    let check = database.run(SERVICE, &["check"]).await?;
    let text = String::from_utf8(check.stdout)?;
    assert!(text.contains("pgvector      not used: pgvector is not installed"), "{text}");
    Ok(())
}

#[tokio::test]
async fn vectors_appear_without_a_restart_when_somebody_creates_the_extension() -> Result<()> {
    let postgres = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
    let database = Database::bare_in(&postgres).await?;
    let library = Library::start_with(database.url(OWNER), true)?;
    let options = MigrateOptions::default();
    let found = store::migrate(&library.store, &options).await?;
    let reason = found.vectors.err().context("there is no extension")?;
    assert!(reason.contains("run CREATE EXTENSION vector as a superuser"), "{reason}");
    library.store.ensure_months().await?;
    // A job waits although nobody can make the vector.
    library.write(&[e2e::datastorage::events::sample()]).await?;
    assert!(!library.store.has_vectors());

    database.superuser().await?.batch_execute("CREATE EXTENSION vector").await?;
    let version = library.store.look_for_vectors(&options).await?;
    assert!(version.is_ok(), "{version:?}");
    assert!(library.store.has_vectors());
    library.write(&[e2e::datastorage::events::sample().renewed()]).await?;
    let client = library.store.read().await?;
    let row = client.query_one("SELECT count(*) FROM embedding_job LEFT JOIN embedding_1 USING (text_id)", &[]).await?;
    assert_eq!(row.get::<_, i64>(0), 1);
    client.query_one("SELECT '[1]'::halfvec <=> '[1]'::halfvec", &[]).await?;
    client.done();
    Ok(())
}

#[tokio::test]
async fn the_role_of_the_service_finds_vectors_after_the_owner_has_made_their_tables() -> Result<()> {
    let postgres = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
    let database = Database::bare_in(&postgres).await?;
    database.run(OWNER, &["migrate"]).await?;
    let library = Library::start(&database)?;
    let options = MigrateOptions { mode: MigrateMode::Auto, ..MigrateOptions::default() };
    store::migrate(&library.store, &options).await?;
    database.superuser().await?.batch_execute("CREATE EXTENSION vector").await?;
    let reason = library.store.look_for_vectors(&options).await?.err().context("its tables are missing")?;
    assert!(reason.contains("run datastorage migrate as the owner"), "{reason}");
    database.run(OWNER, &["migrate"]).await?;
    within(DEADLINE, "vectors are found", async || {
        library.store.look_for_vectors(&options).await?.map_err(anyhow::Error::msg).map(drop)
    })
    .await
}

#[tokio::test]
async fn vectors_that_are_off_are_not_looked_for() -> Result<()> {
    let database = Database::empty().await?;
    let output = database.run(OWNER, &["migrate", "--vector=off"]).await?;
    ensure!(output.status.success(), "{output:?}");
    assert_eq!(steps(&database).await?, [("records".to_owned(), 1)]);
    let library = Library::start(&database)?;
    let options = MigrateOptions { vectors: Vectors::Off, mode: MigrateMode::Check, ..MigrateOptions::default() };
    assert!(store::migrate(&library.store, &options).await?.vectors.is_err());
    let required = MigrateOptions { vectors: Vectors::Required, ..options };
    let refused = store::migrate(&library.store, &required).await;
    assert!(matches!(refused, Err(MigrateError::NoVectors(_))), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_superuser_gets_the_extension_made() -> Result<()> {
    let postgres = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
    let database = Database::bare_in(&postgres).await?;
    let output = database.run("postgres", &["migrate"]).await?;
    ensure!(output.status.success(), "{output:?}");
    let steps = database.superuser().await?.query("SELECT FROM migration", &[]).await?;
    assert_eq!(steps.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_away_is_waited_for_by_serve_and_refused_by_migrate() -> Result<()> {
    let mut postgres = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
    let database = Database::fresh_in(&postgres).await?;
    postgres.stop().await?;
    let output = database.run(OWNER, &["migrate"]).await?;
    let line = refusal(&output)?;
    assert!(line.contains("cannot connect to 127.0.0.1"), "{line}");

    let options = ServiceOptions { do_not_wait: true, ..ServiceOptions::default() };
    let mut service = Service::start_with(&database, options).await?;
    within(DEADLINE, "the service says that it waits", async || {
        let log = service.log()?;
        ensure!(log.contains("cannot connect to the database"), "{log}");
        Ok(())
    })
    .await?;
    postgres.start_again().await?;
    service.ready().await
}
