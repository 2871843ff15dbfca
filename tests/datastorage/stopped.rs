//! A replica that is stopped with SIGSTOP blocks nobody for long.

#![allow(clippy::print_stdout, reason = "libtest shows it with a failed test, and with --nocapture")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::{
    datastorage::{Commit, Database, DatabaseProxy, Progress, SERVICE, Service, ServiceOptions, Storm, events},
    harness::eventually,
};
use rustix::process::Signal;

/// How long a stopped replica can block the others: the limit is 5 s, and this machine may be busy.
const LIMIT: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_replica_that_is_stopped_in_a_transaction_blocks_the_others_for_five_seconds_at_most() -> Result<()> {
    let database = Database::fresh().await?;
    let proxy = DatabaseProxy::start(database.port()).await?;
    let options =
        ServiceOptions { database_url: Some(database.url_at(SERVICE, proxy.port())), ..ServiceOptions::default() };
    let mut stopped = Service::start_with(&database, options).await?;
    let other = Service::start(&database, &[]).await?;

    // It holds the lock on the head of the chain, and its commit has not arrived.
    proxy.set_commit(Commit::Held);
    let lost = events::sample();
    let api = stopped.api().clone();
    let unanswered = tokio::spawn({
        let lost = lost.clone();
        async move { api.post_event(&lost).await }
    });
    proxy.wait_struck(1).await?;
    stopped.process().signal(Signal::STOP)?;

    let started = Instant::now();
    let written = other.api().write(&events::sample()).await?;
    let waited = started.elapsed();
    println!("the other replica was blocked for {waited:?}");
    ensure!(waited < LIMIT, "the other replica was blocked for {waited:?}");
    ensure!(written.seq == Some(1), "the transaction of the stopped replica is rolled back");

    // It goes on, and its client writes the record again.
    proxy.set_commit(Commit::Arrives);
    stopped.process().signal(Signal::CONT)?;
    if let Ok(answer) = unanswered.await? {
        ensure!([200, 201, 503, 504].contains(&answer.status), "{answer}");
    }
    let again = eventually("the record is written", async || stopped.api().write(&lost).await).await?;
    ensure!(again.seq == Some(2), "{again:?}");
    let rows = database.owner().await?.query("SELECT seq FROM audit_event ORDER BY seq", &[]).await?;
    ensure!(rows.len() == 2, "{} records", rows.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_the_other_replica_wait_for_five_seconds_at_most_while_one_is_stopped_again_and_again() -> Result<()>
{
    let database = Database::fresh().await?;
    let arguments = ["--rate-limit-writes=100000", "--rate-limit-burst=100000"];
    let mut stopped = Service::start(&database, &arguments).await?;
    let other = Service::start(&database, &arguments).await?;

    let (background, foreground) = (Progress::default(), Progress::default());
    let of_the_stopped = Storm { clients: 4, records: 1_000, seed: 1 };
    let (api, progress) = (stopped.api().clone(), background.clone());
    let in_the_background = tokio::spawn(async move { of_the_stopped.run(&[api], &progress).await });
    let of_the_other = Storm { clients: 8, records: 2_000, seed: 2 };
    let (api, progress) = (other.api().clone(), foreground.clone());
    let running = tokio::spawn(async move { of_the_other.run(&[api], &progress).await });
    while !running.is_finished() {
        stopped.process().signal(Signal::STOP)?;
        let next = foreground.done() + 300;
        while foreground.done() < next && !running.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stopped.process().signal(Signal::CONT)?;
        let next = background.done() + 50;
        while background.done() < next && !running.is_finished() && !in_the_background.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let ledger = running.await??;
    println!("the slowest write took {:?}, {} retries", ledger.slowest, ledger.retries);
    ensure!(ledger.slowest < LIMIT, "a write took {:?}", ledger.slowest);
    in_the_background.await??;
    Ok(())
}
