//! The worker: every text gets its vector once, whatever fails on the way.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    datastorage::{
        Database, Event, Service, ServiceOptions, events,
        provider::{Behaviour, Provider, meaning},
    },
    harness::{eventually, within},
};
use rustix::process::Signal;
use serde_json::json;
use tokio_postgres::{Client, error::SqlState};

fn saying(summary: &str) -> Event {
    events::sample().with("summary", summary).without("error_message")
}

async fn start(database: &Database, provider: &Provider) -> Result<Service> {
    let options = ServiceOptions { arguments: provider.flags(), ..ServiceOptions::default() };
    Service::start_with(database, options).await
}

async fn count(client: &Client, sql: &str) -> Result<i64> {
    Ok(client.query_one(&format!("SELECT count(*) FROM {sql}"), &[]).await?.get(0))
}

/// Waits until so many texts have a vector, and no job is left.
async fn vectors(owner: &Client, expected: i64) -> Result<()> {
    eventually("the texts have their vectors", async || {
        let (vectors, jobs) = (count(owner, "embedding_1").await?, count(owner, "embedding_job").await?);
        ensure!(vectors == expected && jobs == 0, "{vectors} vectors, {jobs} jobs");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn records_with_one_text_cost_one_vector() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    let service = start(&database, &provider).await?;
    let owner = database.owner().await?;
    let storm: Vec<_> = (0..100).map(|n| saying(&format!("Restarted {n} times after OOMKilled"))).collect();
    service.api().write_batch(&storm).await?;
    vectors(&owner, 1).await?;
    service.api().write(&saying("Restarted 100 times after OOMKilled")).await?;
    vectors(&owner, 1).await?;
    ensure!(provider.texts().len() == 1, "{:?}", provider.texts());
    eventually("both are durable", async || {
        let success = service.metric("datastorage_dualwrite_success_total").await?;
        ensure!(success == Some(101.0), "{success:?}");
        Ok(())
    })
    .await?;
    let hits = service.metric("datastorage_cache_hits_total").await?;
    let misses = service.metric("datastorage_cache_misses_total").await?;
    ensure!(misses == Some(1.0) && hits >= Some(1.0), "{hits:?} hits, {misses:?} misses");
    Ok(())
}

#[tokio::test]
async fn a_text_waits_until_the_provider_answers_again() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    provider.behave(Behaviour::Status(500));
    let service = start(&database, &provider).await?;
    service.api().write(&saying("Restarted after OOMKilled")).await?;
    let owner = database.owner().await?;
    eventually("the failure is noted down", async || {
        let row = owner.query_one("SELECT attempts, last_error FROM embedding_job", &[]).await?;
        let (attempts, error): (i32, Option<String>) = (row.get(0), row.get(1));
        let error = error.context("no error yet")?;
        ensure!(attempts >= 1 && error.contains("500"), "{attempts}: {error}");
        Ok(())
    })
    .await?;
    provider.behave(Behaviour::AtMost(usize::MAX));
    vectors(&owner, 1).await?;
    let failures = service.metric("datastorage_dualwrite_failure_total{reason=\"embedding_failure\"}").await?;
    ensure!(failures.is_some_and(|failures| failures >= 1.0), "{failures:?}");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_dies_between_taking_a_text_and_its_vector_loses_nothing() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    provider.behave(Behaviour::Hang);
    let mut service = start(&database, &provider).await?;
    service.api().write(&saying("Restarted after OOMKilled")).await?;
    eventually("the provider is asked", async || {
        ensure!(!provider.requests().is_empty());
        Ok(())
    })
    .await?;
    service.process().signal(Signal::KILL)?;
    service.process().wait(Duration::from_secs(10)).await?;

    let owner = database.owner().await?;
    ensure!(count(&owner, "embedding_job WHERE due_at > now()").await? == 1, "the text is taken");
    ensure!(count(&owner, "embedding_1").await? == 0);
    provider.behave(Behaviour::AtMost(usize::MAX));
    let _service = start(&database, &provider).await?;
    // The lease ends.
    owner.execute("UPDATE embedding_job SET due_at = now()", &[]).await?;
    vectors(&owner, 1).await
}

#[tokio::test]
async fn a_text_that_is_too_long_for_the_provider_is_cut_and_delays_no_other() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    provider.behave(Behaviour::AtMost(300));
    let service = start(&database, &provider).await?;
    let long = format!("OOMKilled {}", "again and ".repeat(150));
    let events = [saying("one"), saying(&long), saying("two"), saying("three")];
    service.api().write_batch(&events).await?;
    let owner = database.owner().await?;
    vectors(&owner, 4).await?;
    let answer = service.api().search(&json!({"query": "heap", "mode": "vector", "limit": 1})).await?;
    ensure!(answer["results"][0]["event"]["summary"] == long.as_str(), "{answer}");
    Ok(())
}

#[tokio::test]
async fn two_replicas_share_the_work() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    let (one, _two) = (start(&database, &provider).await?, start(&database, &provider).await?);
    let words = |n: usize| ["red", "green", "blue", "black", "white"][n % 5].repeat(1 + n / 5);
    let events: Vec<_> = (0..200).map(|n| saying(&format!("OOMKilled in {}", words(n)))).collect();
    one.api().write_batch(&events).await?;
    let owner = database.owner().await?;
    vectors(&owner, 200).await?;
    ensure!(provider.texts().len() == 200, "{} texts were sent", provider.texts().len());
    Ok(())
}

#[tokio::test]
async fn there_is_no_vector_without_a_text() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    let service = start(&database, &provider).await?;
    service.api().write(&saying("Restarted after OOMKilled")).await?;
    let owner = database.owner().await?;
    vectors(&owner, 1).await?;
    let vector = format!("{:?}", meaning("x"));
    let foreign = format!("INSERT INTO embedding_1 VALUES (99, '{vector}')");
    let error = database.service().await?.batch_execute(&foreign).await.err().context("a vector without a text")?;
    ensure!(error.code().map(SqlState::code) == Some("23503"), "{error:?}");
    // And a text that goes takes its vector along.
    owner
        .batch_execute(
            "ALTER TABLE audit_event DISABLE TRIGGER append_only; DELETE FROM audit_event; DELETE FROM search_text",
        )
        .await?;
    ensure!(count(&owner, "embedding_1").await? == 0);
    Ok(())
}

#[tokio::test]
async fn texts_from_before_get_their_vectors_by_the_subcommand_embed() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    let before = Service::start(&database, &[]).await?;
    before.api().write(&saying("Restarted after OOMKilled")).await?;
    before.stop().await?;

    let service = start(&database, &provider).await?;
    service.api().write(&saying("No space left on device")).await?;
    let owner = database.owner().await?;
    vectors(&owner, 1).await?;
    let url_file = service.file("embed-url", database.url(e2e::datastorage::SERVICE))?;
    let mut embed = e2e::datastorage::datastorage().await?;
    embed.arg("embed").arg("--database-url-file").arg(&url_file);
    let output = e2e::datastorage::run(embed).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.contains("Queued texts: 1."), "{text}");
    // The service looks for texts that others have queued.
    within(Duration::from_secs(10), "the old text has its vector", async || {
        ensure!(count(&owner, "embedding_1").await? == 2);
        Ok(())
    })
    .await
}
