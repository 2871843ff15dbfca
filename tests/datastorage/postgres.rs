//! The servers that the other tests use.

use anyhow::Result;
use e2e::datastorage::{Database, Postgres, PostgresOptions, Version};

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
    assert!(client.query_one("SELECT n FROM kept", &[]).await.is_err(), "the connection is gone");
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
