//! Exports as lines of JSON.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    datastorage::{Answer, Database, Event, Service, events},
    harness::prelude::*,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const PATH: &str = "/api/v1/audit/export";

fn story(number: u64) -> Vec<Event> {
    (0..number)
        .map(|index| events::sample().with("event_id", events::id_made(Duration::from_secs(number - index))))
        .collect()
}

/// The records and the last line of an export. Fails unless the last line says what the lines before it are.
fn checked(text: &str) -> Result<(Vec<Value>, Value)> {
    let (lines, last) = text
        .trim_end_matches('\n')
        .rsplit_once('\n')
        .map_or(("", text.trim_end()), |(lines, last)| (&text[..=lines.len()], last));
    let last: Value = serde_json::from_str(last).context("the last line")?;
    let records = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let hash = last["sha256"].as_str().unwrap_or_default();
    let bytes = (0..hash.len() / 2).map(|index| u8::from_str_radix(&hash[2 * index..][..2], 16));
    ensure!(bytes.collect::<Result<Vec<_>, _>>()? == Sha256::digest(lines).to_vec(), "another hash: {last}");
    ensure!(last["count"] == records.len(), "there are {} records: {last}", records.len());
    Ok((records, last))
}

async fn export(service: &Service, query: &str) -> Result<(Vec<Value>, Value)> {
    let answer: Answer = service.api().get(&format!("{PATH}?{query}")).await?.require(200)?;
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    checked(&answer.text())
}

#[tokio::test]
async fn an_export_has_all_records_and_a_last_line_that_proves_it() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let story = story(1200);
    for part in story.chunks(500) {
        service.api().write_batch(part).await?;
    }
    let (records, last) = export(&service, "").await?;
    let ids: Vec<_> = records.iter().filter_map(|record| record["event_id"].as_str()).collect();
    assert_eq!(ids, story.iter().map(Event::id).collect::<Vec<_>>(), "the oldest first");
    let checkpoint: Value = service.api().get("/api/v1/audit/checkpoint").await?.require(200)?.json()?;
    for field in ["seq", "hash", "key_id"] {
        assert_eq!(last["checkpoint"][field], checkpoint[field]);
    }
    assert_eq!(records[0], service.api().record(story[0].id()).await?.context("the record is there")?);
    Ok(())
}

#[tokio::test]
async fn an_export_has_the_filters_of_the_list() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let mut story = story(20);
    story[7] = story[7].clone().with("namespace", "dev");
    service.api().write_batch(&story).await?;
    assert_eq!(export(&service, "namespace=dev").await?.0[0]["event_id"], story[7].id());
    assert_eq!(export(&service, "namespace=none").await?.1["count"], 0);
    for parameter in ["limit=1", "cursor=x", "order=asc", "after_seq=1", "since=soon"] {
        let problem = service.api().get(&format!("{PATH}?{parameter}")).await?.problem(400, "validation-error")?;
        assert_eq!(problem["errors"][0]["field"], parameter.split('=').next().unwrap_or_default());
    }
    Ok(())
}

/// A client that has asked for an export and does not read it.
async fn stalled(service: &Service) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", service.port())).await?;
    stream.write_all(format!("GET {PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut first = [0; 12];
    stream.read_exact(&mut first).await?;
    ensure!(&first == b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&first));
    Ok(stream)
}

/// The body of a chunked answer.
fn unchunked(mut rest: &[u8]) -> Result<String> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").context("a chunk has a size")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end])?, 16)?;
        let chunk = rest.get(end + 2..end + 2 + size).context("a chunk is cut")?;
        if size == 0 {
            return Ok(String::from_utf8(body)?);
        }
        body.extend_from_slice(chunk);
        rest = &rest[end + 2 + size + 2..];
    }
}

#[tokio::test]
async fn two_exports_run_at_once_and_none_has_a_record_that_came_after_its_start() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let large = |event: &Event| event.clone().with("data", json!({"output": "x ".repeat(30_000)}));
    // More than the buffers of a connection hold.
    for part in story(480).chunks(60) {
        service.api().write_batch(&part.iter().map(large).collect::<Vec<_>>()).await?;
    }
    let mut first = stalled(&service).await?;
    let second = stalled(&service).await?;
    let refused = service.api().get(PATH).await?;
    assert!(refused.header("retry-after").is_some());
    refused.problem(429, "too-many-requests")?;

    let late = service.api().write(&events::sample()).await?;
    drop(second);
    let mut answer = Vec::new();
    first.read_to_end(&mut answer).await?;
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").context("the header ends")?;
    let text = unchunked(&answer[head + 4..])?;
    let (_, last) = checked(&text)?;
    assert_eq!(last["count"], 480);
    assert!(!text.contains(&late.event_id));

    eventually("an export can begin again", async || service.api().get(PATH).await?.require(200)).await?;
    Ok(())
}
