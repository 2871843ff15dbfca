//! The servers that the other tests use.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    datastorage::{Database, DatabaseProxy, OWNER, Postgres, PostgresOptions, SERVICE, Version, too_old},
    harness::prelude::*,
};

async fn version(postgres: &Postgres) -> Result<String> {
    let client = postgres.connect("postgres", "postgres").await?;
    Ok(client.query_one("SELECT version()", &[]).await?.get(0))
}

#[tokio::test]
async fn both_versions_of_postgresql_start_and_have_pgvector() -> Result<()> {
    for (wanted, text) in [(Version::V16, "PostgreSQL 16."), (Version::V18, "PostgreSQL 18.")] {
        let postgres = Postgres::start(wanted, PostgresOptions::default()).await?;
        let version = version(&postgres).await?;
        assert!(version.starts_with(text), "{version}");
        let client = postgres.connect("postgres", "postgres").await?;
        client.batch_execute("CREATE EXTENSION vector").await?;
        let distance: f64 = client.query_one("SELECT '[1,2,3]'::halfvec <=> '[1,2,3]'::halfvec", &[]).await?.get(0);
        assert!(distance.abs() < 1e-9, "{distance}");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_committed_survives_a_killed_server() -> Result<()> {
    let mut postgres = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
    let client = postgres.connect("postgres", "postgres").await?;
    client.batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").await?;

    postgres.kill()?;
    // The process of a connection ends a moment after the server.
    eventually("the connection is gone", async || {
        ensure!(client.query_one("SELECT n FROM kept", &[]).await.is_err(), "the connection still answers");
        Ok(())
    })
    .await?;
    postgres.start_again().await?;

    let client = postgres.connect("postgres", "postgres").await?;
    let n: i32 = client.query_one("SELECT n FROM kept", &[]).await?.get(0);
    assert_eq!(n, 7);
    Ok(())
}

#[tokio::test]
async fn a_server_can_lack_pgvector_and_have_other_settings() -> Result<()> {
    let options = PostgresOptions { without_pgvector: true, ..PostgresOptions::default() }.with("max_connections", "7");
    let postgres = Postgres::start(Version::of_the_run()?, options).await?;
    let client = postgres.connect("postgres", "postgres").await?;
    let error = client.batch_execute("CREATE EXTENSION vector").await.unwrap_err();
    let message = error.as_db_error().map(tokio_postgres::error::DbError::message);
    assert_eq!(message, Some("extension \"vector\" is not available"));
    let connections: String = client.query_one("SHOW max_connections", &[]).await?.get(0);
    assert_eq!(connections, "7");
    Ok(())
}

#[tokio::test]
async fn every_test_has_a_database_of_its_own() -> Result<()> {
    let (one, other) = (Database::empty().await?, Database::empty().await?);
    one.owner().await?.batch_execute("CREATE SCHEMA datastorage; CREATE TABLE mine (n int)").await?;
    other.owner().await?.batch_execute("CREATE SCHEMA datastorage; CREATE TABLE mine (n int)").await?;
    let name = one.name().to_owned();
    drop(one);

    let admin = other.superuser().await?;
    let left = admin.query("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).await?;
    assert!(left.is_empty(), "{name} is removed");
    let created = other.service().await?.batch_execute("CREATE TABLE not_mine (n int)").await;
    assert!(created.is_err(), "the role of the service cannot create tables");
    Ok(())
}

#[tokio::test]
async fn a_postgresql_that_is_too_old_is_refused_with_one_line() -> Result<()> {
    if let Some(programs) = too_old()? {
        let postgres = Postgres::start_from(programs, PostgresOptions::default()).await?;
        ensure!(version(&postgres).await?.starts_with("PostgreSQL 15."));
        let database = Database::bare_in(&postgres).await?;
        return is_too_old(&database, database.port()).await;
    }
    // Past libtest's capture, so that everybody sees it.
    writeln!(
        std::io::stderr(),
        "NOT ON A REAL POSTGRESQL 15: DATASTORAGE_POSTGRES_15 names none, so a proxy changes the version that \
         PostgreSQL 16 says"
    )?;
    let database = Database::fresh_on(Version::V16).await?;
    let version: String = database.owner().await?.query_one("SHOW server_version_num", &[]).await?.get(0);
    let proxy = DatabaseProxy::start(database.port()).await?;
    proxy.rewrite(&version, "150008");
    is_too_old(&database, proxy.port()).await
}

/// Fails unless all subcommands that use the schema end at once with status 1 and say in one line why.
async fn is_too_old(database: &Database, port: u16) -> Result<()> {
    let serve =
        ["serve", "--auth=none", "--listen=127.0.0.1:0", "--health-addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0"];
    for (role, arguments) in [(OWNER, &["migrate"][..]), (SERVICE, &["check"]), (SERVICE, &serve)] {
        let output = database.run_at(&database.url_at(role, port), arguments).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(1), "{arguments:?}: {}: {said}", output.status);
        // Before it, the service says where it listens.
        let mut errors =
            said.lines().filter(|line| !line.contains(r#""level":"INFO""#) && !line.contains("--auth=none"));
        let error = errors.next().context("no line")?;
        let expected = "datastorage: PostgreSQL 15 is too old; Data Storage needs PostgreSQL 16 or newer";
        ensure!(error == expected && errors.next().is_none(), "{arguments:?}: {said}");
    }
    Ok(())
}
