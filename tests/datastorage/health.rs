//! Start, readiness, metrics and end of the service.

use std::time::Duration;

use crate::chain::KeyFiles;
use anyhow::{Context as _, Result, ensure};
use e2e::{
    datastorage::{Database, Postgres, PostgresOptions, Service, ServiceOptions, Version, events},
    harness::{DEADLINE, prelude::*},
};
use rustix::process::Signal;
use serde_json::{Value, json};

#[tokio::test]
async fn health_and_ready_are_on_both_ports() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    for api in [service.api().clone(), service.health()] {
        let status = async |path: &str| -> Result<Value> { api.get(path).await?.require(200)?.json() };
        assert_eq!(status("/health").await?, json!({"status": "ok"}));
        assert_eq!(status("/ready").await?, json!({"status": "ready"}));
    }
    // The API is only on its own port.
    service.health().get("/mcp").await?.require(404)?;
    service.api().get("/mcp").await?.require(405)?;
    Ok(())
}

#[tokio::test]
async fn a_service_whose_database_is_away_lives_but_is_not_ready_and_recovers() -> Result<()> {
    let mut postgres = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
    let database = Database::fresh_in(&postgres).await?;
    let mut service = Service::start(&database, &[]).await?;
    let event = events::sample();
    postgres.kill()?;
    let health = service.health();
    eventually("it is not ready", async || health.get("/ready").await?.problem(503, "database-unavailable").map(drop))
        .await?;
    health.get("/health").await?.require(200)?;
    for answer in [service.api().post_event(&event).await?, service.api().get("/api/v1/audit/events").await?] {
        assert!(answer.header("retry-after").is_some(), "{answer}");
        answer.problem(503, "database-unavailable")?;
    }
    assert_eq!(service.metric("datastorage_database_up").await?, Some(0.0));
    postgres.start_again().await?;
    service.ready().await?;
    eventually("the record is written", async || service.api().write(&event).await).await?;
    assert_eq!(service.metric("datastorage_database_up").await?, Some(1.0));
    Ok(())
}

#[tokio::test]
async fn a_replica_without_the_key_that_another_one_has_begun_to_use_is_not_ready_and_says_why() -> Result<()> {
    let (database, keys) = (Database::fresh().await?, KeyFiles::new()?);
    let old = Service::start(&database, &[]).await?;
    old.api().write(&events::sample()).await?;
    let new = Service::start(&database, &[&keys.flag(1)]).await?;
    old.health().get("/ready").await?.require(200)?;
    new.api().write(&events::sample().renewed()).await?;
    let health = old.health();
    let problem =
        eventually("it is not ready", async || health.get("/ready").await?.problem(503, "database-unavailable"))
            .await?;
    let detail = problem["detail"].as_str().context("a detail")?;
    assert!(
        detail.contains(
            "the newest record has the chain key 1, which is missing; start the service with --chain-key-file"
        ),
        "{detail}"
    );
    old.api().post_event(&events::sample().renewed()).await?.problem(503, "database-unavailable")?;
    assert_eq!(old.metric("datastorage_database_up").await?, Some(1.0));
    new.health().get("/ready").await?.require(200).map(drop)
}

#[tokio::test]
async fn a_service_that_starts_before_its_database_waits_for_it() -> Result<()> {
    let mut postgres = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
    let database = Database::fresh_in(&postgres).await?;
    postgres.stop().await?;
    let options = ServiceOptions { do_not_wait: true, ..ServiceOptions::default() };
    let mut service = Service::start_with(&database, options).await?;
    let health = service.health();
    eventually("it lives", async || health.get("/health").await?.require(200)).await?;
    health.get("/ready").await?.problem(503, "database-unavailable")?;
    postgres.start_again().await?;
    service.ready().await?;
    service.api().write(&events::sample()).await?;
    Ok(())
}

#[tokio::test]
async fn after_sigterm_it_is_not_ready_still_answers_for_a_while_and_then_ends_well() -> Result<()> {
    let database = Database::fresh().await?;
    let mut service = Service::start(&database, &["--shutdown-delay=3s"]).await?;
    let health = service.health();
    service.process().signal(Signal::TERM)?;
    eventually("it is not ready", async || health.get("/ready").await?.require(503)).await?;
    // Endpoints are not gone at once.
    service.api().write(&events::sample()).await?;
    let status = service.process().wait(DEADLINE).await?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[tokio::test]
async fn it_ends_at_once_when_somebody_interrupts_it() -> Result<()> {
    let database = Database::fresh().await?;
    let mut service = Service::start(&database, &["--shutdown-delay=25s"]).await?;
    service.process().signal(Signal::INT)?;
    let status = service.process().wait(Duration::from_secs(20)).await?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_the_flags_is_one_line_and_exit_status_1() -> Result<()> {
    let database = Database::fresh().await?;
    for (flag, expected) in [
        (
            "--listen=0.0.0.0:0",
            "--auth=none lets everybody read and write, so --listen 0.0.0.0:0 must be a loopback address",
        ),
        ("--shutdown-delay=60s", "--shutdown-delay must be shorter than --shutdown-timeout"),
        ("--chain-key-file=1:/nowhere", "/nowhere"),
        ("--schema=absent", "the role is not allowed to change schema absent"),
    ] {
        let options = ServiceOptions { do_not_wait: true, ..ServiceOptions::arguments(&[flag]) };
        let mut service = Service::start_with(&database, options).await?;
        let status = service.process().wait(DEADLINE).await?;
        assert_eq!(status.code(), Some(1), "{flag}");
        let log = service.log()?;
        let last = log.lines().last().context("a line")?;
        assert!(last.starts_with("datastorage: ") && last.contains(expected), "{flag}: {last}");
    }
    Ok(())
}

#[tokio::test]
async fn the_metrics_have_their_names_from_the_start() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let metrics = service.metrics().await?;
    for name in [
        "datastorage_write_total{table=\"remediation_audit\",status=\"success\"}",
        "datastorage_write_duration_seconds_bucket{",
        "datastorage_dualwrite_success_total ",
        "datastorage_dualwrite_failure_total{reason=\"postgresql_failure\"}",
        "datastorage_fallback_mode_total ",
        "datastorage_cache_hits_total ",
        "datastorage_cache_misses_total ",
        "datastorage_embedding_generation_duration_seconds_bucket{",
        "datastorage_validation_failures_total{field=\"name\",reason=\"required\"}",
        "datastorage_query_total{operation=\"list\",status=\"success\"}",
        "datastorage_query_duration_seconds_bucket{",
        "datastorage_database_up 1",
        "datastorage_pool_connections{state=\"used\"}",
        "datastorage_write_queue_depth ",
        "datastorage_write_batch_size_bucket{",
        "datastorage_embedding_backlog ",
        "datastorage_auth_total{result=\"authenticated\"}",
        "datastorage_redactions_total{class=\"jwt\"}",
        "datastorage_chain_seq ",
        "datastorage_retention_dropped_total ",
        "datastorage_search_path_total{path=\"text\"}",
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name} is missing:\n{metrics}");
    }
    Ok(())
}

#[tokio::test]
async fn queries_count_by_their_kind() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let api = service.api();
    let event = events::sample();
    api.write(&event).await?;
    api.list("").await?;
    api.record(event.id()).await?;
    api.get("/api/v1/audit/history?target=a").await?.require(200)?;
    api.get("/api/v1/audit/checkpoint").await?.require(200)?;
    // What the client did wrong is not a failure of the service.
    api.get("/api/v1/audit/events/01a214d0-91e8-7879-817e-770341496902").await?.require(404)?;
    for (operation, count) in [("list", 1.0), ("get", 2.0), ("history", 1.0), ("verify", 1.0), ("export", 0.0)] {
        let series = format!("datastorage_query_total{{operation=\"{operation}\",status=\"success\"}}");
        assert_eq!(service.metric(&series).await?, Some(count), "{operation}");
        let series = format!("datastorage_query_total{{operation=\"{operation}\",status=\"failure\"}}");
        assert_eq!(service.metric(&series).await?, Some(0.0), "{operation}");
    }
    Ok(())
}
