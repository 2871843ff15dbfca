//! How much one identity may ask, and how often one address may fail to say who it is.

use std::{io::ErrorKind, time::Duration};

use anyhow::{Result, ensure};
use e2e::{
    datastorage::{Answer, Database, Service, events},
    harness::prelude::*,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::access::{Access, READ, WRITE};

/// A 429 that says when to come back. Returns how many seconds that is.
fn too_many(answer: Answer) -> Result<u64> {
    let after = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
    answer.problem(429, "too-many-requests")?;
    ensure!(after.is_some_and(|seconds| seconds >= 1), "Retry-After is {after:?}");
    Ok(after.unwrap_or_default())
}

#[tokio::test]
async fn more_writes_than_the_rate_are_refused_and_pass_later_with_the_same_ids() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &["--rate-limit-writes=5", "--rate-limit-burst=10"]).await?;
    let events: Vec<_> = (0..10).map(|_| events::sample()).collect();
    assert_eq!(service.api().write_batch(&events).await?["created"], 10);
    let next = events::sample();
    let mut refused = 0;
    // A record passes every 200 ms, so the first tries are refused on any machine that is not much slower.
    eventually("the record is written", async || {
        let answer = service.api().post_event(&next).await?;
        if answer.status == 429 {
            refused += 1;
            too_many(answer)?;
            anyhow::bail!("too early");
        }
        answer.require(201).map(drop)
    })
    .await?;
    let again = service.api().post_event(&next).await?;
    ensure!([200, 429].contains(&again.status), "{again}");
    let rows = database.owner().await?.query("SELECT 1 FROM audit_event", &[]).await?;
    assert_eq!(rows.len(), 11, "{refused} refused tries have written nothing");
    Ok(())
}

#[tokio::test]
async fn a_batch_counts_as_many_as_it_has_records() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &["--rate-limit-writes=1", "--rate-limit-burst=100"]).await?;
    let batch = |size| json!({"events": (0..size).map(|_| events::sample()).collect::<Vec<_>>()});
    let path = "/api/v1/audit/events/batch";
    service.api().post(path, &batch(90)).await?.require(200)?;
    let seconds = too_many(service.api().post(path, &batch(90)).await?)?;
    assert!((60..=90).contains(&seconds), "80 records at one per second, but Retry-After is {seconds}");
    service.api().post(path, &batch(5)).await?.require(200)?;
    Ok(())
}

#[tokio::test]
async fn an_identity_that_writes_too_much_does_not_hinder_another() -> Result<()> {
    scenario("ds-rate", async |world| {
        let prod = world.namespace("prod").await?;
        let access = Access::start(world, &["--rate-limit-writes=1", "--rate-limit-burst=3"]).await?;
        let loud = access.caller_in(world, &prod, "loud", WRITE).await?;
        let quiet = access.caller_in(world, &prod, "quiet", WRITE).await?;
        let event = events::sample_in(&prod);
        eventually("the loud one is refused", async || {
            too_many(loud.api.post_event(&event.renewed()).await?).map(drop)
        })
        .await?;
        quiet.api.write(&event).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn requests_that_are_not_answered_yet_are_limited_per_identity() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &["--rate-limit-in-flight=2"]).await?;
    let mut slow = Vec::new();
    eventually("a request is refused", async || {
        // The request below counts too, so it can be what makes one of these too many.
        slow.push(half_a_request(service.port()).await?);
        too_many(service.api().get("/api/v1/audit/events").await?).map(drop)
    })
    .await?;
    service.api().get("/ready").await?.require(200)?;
    drop(slow);
    eventually("there is room again", async || service.api().get("/api/v1/audit/events").await?.require(200).map(drop))
        .await
}

/// A request whose body does not end.
async fn half_a_request(port: u16) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let head = "POST /api/v1/audit/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{\"kind\":";
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

#[tokio::test]
async fn an_address_that_fails_to_authenticate_too_often_is_refused_and_known_tokens_are_not() -> Result<()> {
    scenario("ds-failures", async |world| {
        let prod = world.namespace("prod").await?;
        let access = Access::start(world, &[]).await?;
        let reader = access.caller_in(world, &prod, "reader", READ).await?;
        let path = format!("/api/v1/audit/events?namespace={prod}");
        reader.api.get(&path).await?.require(200)?;
        let mut number = 0;
        eventually("too many failures", async || {
            for _ in 0..20 {
                number += 1;
                let answer = access.service.api().with_token(format!("nonsense-{number}")).get(&path).await?;
                if answer.status == 429 {
                    return too_many(answer).map(drop);
                }
                answer.require(401)?;
            }
            anyhow::bail!("{number} failures are not too many")
        })
        .await?;
        reader.api.get(&path).await?.require(200)?;
        let refused =
            access.service.metric("datastorage_auth_total{result=\"unauthorized\"}").await?.unwrap_or_default();
        assert!((1.0..=100.0).contains(&refused), "{refused} failures were reviewed");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_header_of_more_than_16_kib_is_always_refused() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    for round in 0..50 {
        // hyper's buffer decides by how much has arrived, so the size of the parts must not matter.
        let (bytes, parts) = (17 * 1024 + 512 * round, 1 + round % 7);
        let header =
            format!("GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {}\r\n\r\n", "y".repeat(bytes));
        let mut stream = TcpStream::connect(("127.0.0.1", service.port())).await?;
        for part in header.as_bytes().chunks(header.len().div_ceil(parts)) {
            // The service may have refused it already.
            let _ = stream.write_all(part).await;
            tokio::task::yield_now().await;
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        ensure!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{bytes} bytes in {parts} parts: {answer}");
    }
    let fits = service.api().send(http::Method::GET, "/health", &[("x", &"y".repeat(15 * 1024))], Vec::new()).await?;
    fits.require(200)?;
    Ok(())
}

#[tokio::test]
async fn a_client_that_sends_its_header_or_body_slowly_loses_its_connection() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let mut body = half_a_request(service.port()).await?;
    let mut header = TcpStream::connect(("127.0.0.1", service.port())).await?;
    header.write_all(b"GET /health HTTP/1.1\r\nhost: loc").await?;
    for stream in [&mut body, &mut header] {
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(25), stream.read_to_end(&mut answer)).await?;
        ensure!(read.is_ok() || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    Ok(())
}
