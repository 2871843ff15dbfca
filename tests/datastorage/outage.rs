//! While the database is away, requests are refused at once, few connections are tried, and the log says it once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    datastorage::{Answer, Database, DatabaseProxy, Network, Service, events},
    harness::eventually,
};
use futures::{StreamExt as _, stream};
use serde_json::Value;

use crate::faults::{LIST, behind_a_proxy, come_back};

/// What clients send in an outage.
const REQUESTS: usize = 200;

/// How many clients there are.
const CLIENTS: usize = 16;

/// The message of the line that begins an outage, and of the one that ends it.
const BEGINS: &str = "cannot connect to the database";
const ENDS: &str = "connected to the database again";

/// Sends writes and reads by turns, and fails unless all are told to come back.
async fn send(service: &Service) -> Result<Vec<Answer>> {
    let answers = stream::iter(0..REQUESTS).map(async |number| {
        let api = service.api();
        if number % 2 == 0 { api.post_event(&events::sample()).await } else { api.get(LIST).await }
    });
    let answers: Vec<Result<Answer>> = answers.buffer_unordered(CLIENTS).collect().await;
    let answers: Vec<Answer> = answers.into_iter().collect::<Result<_>>()?;
    for answer in &answers {
        ensure!(answer.status == 503, "{answer}");
        come_back(answer)?;
    }
    Ok(answers)
}

/// Ends all connections, and waits until the service knows that there are no others.
async fn begin(service: &Service, proxy: &DatabaseProxy, network: Network) -> Result<()> {
    proxy.set(network);
    proxy.cut();
    eventually("the outage begins", async || {
        service.api().post_event(&events::sample()).await?.problem(503, "database-unavailable").map(drop)
    })
    .await
}

/// The lines of the log with a level.
fn lines(service: &Service, level: &str) -> Result<Vec<Value>> {
    let lines = service.log()?.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    Ok(lines.into_iter().filter(|line| line["level"] == level).collect())
}

fn with<'a>(lines: &'a [Value], message: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["message"].as_str().is_some_and(|said| said.starts_with(message))).collect()
}

#[tokio::test]
async fn two_hundred_requests_cost_few_connections_and_few_lines_and_the_first_write_afterwards_is_fast() -> Result<()>
{
    let database = Database::fresh().await?;
    let (mut service, proxy) = behind_a_proxy(&database, &[]).await?;
    service.api().write(&events::sample()).await?;
    begin(&service, &proxy, Network::Refuses).await?;

    let (before, started) = (proxy.attempts(), Instant::now());
    send(&service).await?;
    let (attempts, seconds) = (proxy.attempts() - before, started.elapsed().as_secs());
    // The shortest pause is a second.
    ensure!(attempts as u64 <= 2 + seconds, "{attempts} attempts to connect in {seconds} s");
    let warnings = lines(&service, "WARN")?;
    ensure!(warnings.len() <= 5, "{} lines: {warnings:?}", warnings.len());
    let begins = with(&warnings, BEGINS);
    ensure!(begins.len() == 1, "{begins:?}");
    let reason = begins[0]["reason"].as_str().context("a reason")?;
    ensure!(reason.contains(&format!("127.0.0.1:{}", proxy.port())), "it names the host: {reason}");

    // An answer of `/ready` from before is kept for a second.
    eventually("it is not ready", async || service.health().get("/ready").await?.require(503).map(drop)).await?;
    proxy.set(Network::Works);
    let back = Instant::now();
    service.ready().await?;
    service.api().write(&events::sample()).await?;
    let recovered = back.elapsed();
    ensure!(recovered < Duration::from_secs(5), "the first write took {recovered:?}");
    let news = lines(&service, "INFO")?;
    let ends = with(&news, ENDS);
    ensure!(ends.len() == 1, "{ends:?}");
    let refused = ends[0]["refused"].as_u64().context("how many requests were refused")?;
    ensure!((REQUESTS as u64 / 2..=REQUESTS as u64 + 100).contains(&refused), "{refused} requests were refused");
    ensure!(ends[0]["seconds"].is_number(), "how long it lasted: {:?}", ends[0]);
    Ok(())
}

#[tokio::test]
async fn nobody_waits_for_an_attempt_that_hangs_and_there_is_one_at_a_time() -> Result<()> {
    let database = Database::fresh().await?;
    let (mut service, proxy) = behind_a_proxy(&database, &[]).await?;
    service.api().write(&events::sample()).await?;
    begin(&service, &proxy, Network::Silent).await?;

    let before = proxy.attempts();
    let knocking = tokio::spawn({
        let api = service.api().clone();
        async move {
            loop {
                let answer = api.post_event(&events::sample()).await;
                drop(answer.and_then(|answer| answer.require(503)));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    eventually("an attempt is due", async || {
        ensure!(proxy.attempts() > before, "no attempt");
        Ok(())
    })
    .await?;
    let started = Instant::now();
    send(&service).await?;
    let took = started.elapsed();
    ensure!(took < Duration::from_secs(3), "{REQUESTS} requests were answered in {took:?}");
    let attempts = proxy.attempts() - before;
    ensure!(attempts == 1, "{attempts} attempts to connect");
    knocking.abort();

    proxy.set(Network::Works);
    service.ready().await?;
    eventually("records are written again", async || service.api().write(&events::sample()).await.map(drop)).await
}

#[tokio::test]
async fn a_retry_after_is_when_the_next_attempt_is_due() -> Result<()> {
    let database = Database::fresh().await?;
    let (service, proxy) = behind_a_proxy(&database, &[]).await?;
    begin(&service, &proxy, Network::Refuses).await?;
    let seconds = |answer: &Answer| -> Result<u64> { Ok(answer.header("retry-after").context("a time")?.parse()?) };
    // Nobody asks `/ready`, so the pauses grow.
    let grown = eventually("the pause has grown", async || {
        let answer = service.api().post_event(&events::sample()).await?;
        ensure!(seconds(&answer)? >= 3, "{answer}");
        Ok(answer)
    })
    .await?;
    let (before, asked) = (proxy.attempts(), Instant::now());
    let pause = Duration::from_secs(seconds(&grown)?);
    while asked.elapsed() + Duration::from_millis(1_500) < pause {
        let answer = service.api().get(LIST).await?;
        let rest = pause.saturating_sub(asked.elapsed()).as_secs();
        ensure!((rest..=rest + 2).contains(&seconds(&answer)?), "{answer} with {rest} s left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(proxy.attempts() == before, "{} attempts before it was due", proxy.attempts() - before);
    proxy.set(Network::Works);
    tokio::time::sleep(pause.saturating_sub(asked.elapsed())).await;
    service.api().write(&events::sample()).await?;
    Ok(())
}
