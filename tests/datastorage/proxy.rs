//! The proxy that the tests of faults put before PostgreSQL.

use anyhow::Result;
use e2e::{
    datastorage::{Commit, Database, DatabaseProxy, Network, OWNER, connect},
    harness::eventually,
};
use tokio_postgres::{Client, error::SqlState};

async fn table(database: &Database) -> Result<Client> {
    let owner = database.owner().await?;
    owner.batch_execute("CREATE SCHEMA datastorage; CREATE TABLE datastorage.kept (n int)").await?;
    Ok(owner)
}

async fn count(owner: &Client) -> Result<i64> {
    Ok(owner.query_one("SELECT count(*) FROM datastorage.kept", &[]).await?.get(0))
}

const INSERT: &str = "BEGIN; INSERT INTO datastorage.kept VALUES (1)";

#[tokio::test]
async fn a_commit_that_is_cut_before_it_arrives_is_rolled_back_and_one_whose_answer_is_cut_is_there() -> Result<()> {
    let database = Database::empty().await?;
    let owner = table(&database).await?;
    let proxy = DatabaseProxy::start(database.port()).await?;
    for (commit, expected) in [(Commit::CutBefore, 0), (Commit::CutAfter, 1), (Commit::Arrives, 2)] {
        proxy.set_commit(commit);
        let client = connect(&database.url_at(OWNER, proxy.port())).await?;
        client.batch_execute(INSERT).await?;
        let answered = client.batch_execute("COMMIT").await.is_ok();
        assert_eq!(answered, commit == Commit::Arrives, "{commit:?}");
        assert_eq!(count(&owner).await?, expected, "{commit:?}");
    }
    assert_eq!(proxy.struck(), 2);
    assert_eq!(proxy.connections(), 3);
    Ok(())
}

#[tokio::test]
async fn a_held_commit_keeps_its_locks_and_arrives_when_it_is_let_go() -> Result<()> {
    let database = Database::empty().await?;
    let owner = table(&database).await?;
    let proxy = DatabaseProxy::start(database.port()).await?;
    proxy.set_commit(Commit::Held);
    let client = connect(&database.url_at(OWNER, proxy.port())).await?;
    client.batch_execute(INSERT).await?;
    let commit = tokio::spawn(async move { client.batch_execute("COMMIT").await });
    proxy.wait_struck(1).await?;
    assert_eq!(count(&owner).await?, 0);
    let lock = "SET lock_timeout = '50ms'; BEGIN; LOCK TABLE datastorage.kept";
    let refused = owner.batch_execute(lock).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::LOCK_NOT_AVAILABLE));
    owner.batch_execute("ROLLBACK").await?;

    proxy.set_commit(Commit::Arrives);
    commit.await??;
    assert_eq!(count(&owner).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_network_can_be_silent_refuse_and_be_cut() -> Result<()> {
    let database = Database::empty().await?;
    let proxy = DatabaseProxy::start(database.port()).await?;
    let url = database.url_at(OWNER, proxy.port());
    let client = connect(&url).await?;

    proxy.set(Network::Silent);
    let mut asked = tokio::spawn(async move { client.query_one("SELECT 1", &[]).await.map(|_| client) });
    // Another connection asks and is answered in the meantime.
    database.owner().await?.batch_execute("SELECT pg_sleep(0.1)").await?;
    assert!(!asked.is_finished());
    proxy.set(Network::Works);
    let client = (&mut asked).await??;

    proxy.set(Network::Refuses);
    assert!(connect(&url).await.is_err());
    client.batch_execute("SELECT 1").await?;
    proxy.cut();
    eventually("the connection is closed", async || {
        anyhow::ensure!(client.is_closed(), "it is open");
        Ok(())
    })
    .await?;
    proxy.set(Network::Works);
    connect(&url).await.map(drop)
}
