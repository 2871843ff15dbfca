//! Exports, beside `COPY` of the same records.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use axum::body::Bytes;
use futures::{TryStreamExt as _, pin_mut};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio_postgres::Client as Database;

use super::{super::report::print, population::COLUMNS};

/// How many days are exported.
const DAYS: u32 = 30;

/// Records in a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub(super) records: u64,
    pub(super) service: f64,
    pub(super) copy: f64,
}

/// Reads an export as it comes, and forgets it. Returns how many records it has. Fails unless it is complete.
pub(super) async fn read(port: u16, query: &str) -> Result<u64> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(format!("http://127.0.0.1:{port}/api/v1/audit/export?{query}").parse()?).await?;
    ensure!(answer.status().is_success(), "an export was answered with {}", answer.status());
    let mut body = answer.into_body();
    // The last line is shorter than this.
    let (mut end, mut lines) = (Vec::new(), 0_u64);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.context("an export was cut")?.into_data() else { continue };
        lines += u64::try_from(data.split(|byte| *byte == b'\n').count() - 1)?;
        end.extend_from_slice(&data);
        end.drain(..end.len().saturating_sub(4096));
    }
    let last = end.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).context("an export has no line")?;
    let last: Value = serde_json::from_slice(last).context("the last line of an export is no JSON")?;
    let count = last["count"].as_u64().context("an export has no last line, so it is not complete")?;
    ensure!(count + 1 == lines, "an export of {count} records has {lines} lines");
    Ok(count)
}

/// Exports the newest month and copies the same records, in turn. The best round of each counts: other programs can only slow it
/// down.
pub(super) async fn measure(port: u16, database: &Database, rounds: usize) -> Result<Rates> {
    let copy = format!(
        "COPY (SELECT {COLUMNS} FROM audit_event WHERE event_id >= id_at(now() - interval '{DAYS} days') ORDER BY event_id)
         TO STDOUT"
    );
    let (mut records, mut exported, mut copied) = (0, Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        let started = Instant::now();
        records = read(port, &format!("since={DAYS}d")).await?;
        exported = exported.min(started.elapsed());
        let started = Instant::now();
        let lines = database.copy_out(&copy).await?;
        pin_mut!(lines);
        while lines.try_next().await?.is_some() {}
        copied = copied.min(started.elapsed());
    }
    ensure!(records > 0, "the export has no record");
    let rate = |time: Duration| -> Result<f64> { Ok(f64::from(u32::try_from(records)?) / time.as_secs_f64()) };
    let rates = Rates { records, service: rate(exported)?, copy: rate(copied)? };
    print(&format!(
        "export   {records} records, {:.0} a second    COPY of the same records: {:.0} a second",
        rates.service, rates.copy
    ));
    Ok(rates)
}
