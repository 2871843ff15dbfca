//! Clients that send requests as fast as the service answers. They do as little as possible besides, because the service
//! and PostgreSQL run on the same cores.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::super::quantiles::Quantiles;
use crate::datastorage::{Event, events};

/// What came of a load.
#[derive(Debug)]
pub(super) struct Load {
    /// Records or requests in a second.
    pub(super) per_second: f64,
    /// How many requests were answered.
    pub(super) requests: u32,
    /// The time of a request, in milliseconds.
    pub(super) milliseconds: Quantiles,
}

/// Writes records in requests of `batch` records, from so many connections at the same time.
pub(super) async fn write(port: u16, connections: usize, batch: usize, duration: Duration) -> Result<Load> {
    let load = drive(port, connections, duration, move |_| record(batch)).await?;
    Ok(Load { per_second: load.per_second * f64::from(u32::try_from(batch)?), ..load })
}

/// Sends requests from so many connections at the same time, each as soon as the one before is answered. Each connection asks
/// for its requests by their number, from 0. All connections together count them.
pub(super) async fn drive(
    port: u16,
    connections: usize,
    duration: Duration,
    request: impl Fn(usize) -> Result<Vec<u8>> + Clone + Send + 'static,
) -> Result<Load> {
    let started = Instant::now();
    let clients: Vec<_> = (0..connections)
        .map(|first| {
            let request = request.clone();
            tokio::spawn(async move {
                let mut connection = Connection::open(port).await?;
                let mut times = Vec::new();
                while started.elapsed() < duration {
                    let request = request(first + times.len() * connections)?;
                    let sent = Instant::now();
                    connection.exchange(&request).await?;
                    times.push(sent.elapsed().as_secs_f64() * 1000.0);
                }
                anyhow::Ok(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for client in clients {
        times.append(&mut client.await??);
    }
    let seconds = started.elapsed().as_secs_f64();
    let requests = u32::try_from(times.len())?;
    let milliseconds = Quantiles::of(times).context("no request was answered")?;
    Ok(Load { per_second: f64::from(requests) / seconds, requests, milliseconds })
}

/// A request that writes so many new records.
fn record(batch: usize) -> Result<Vec<u8>> {
    Ok(if batch == 1 {
        post("/api/v1/audit/events", &serde_json::to_vec(&events::sample())?)
    } else {
        let events: Vec<Event> = (0..batch).map(|_| events::sample()).collect();
        post("/api/v1/audit/events/batch", &serde_json::to_vec(&json!({"events": events}))?)
    })
}

/// A connection that is used again and again.
#[derive(Debug)]
pub(super) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(super) async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.context("cannot connect to the service")?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request and reads the answer. Fails unless it is a success.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        self.0.write_all(request).await?;
        let mut status = String::new();
        self.0.read_line(&mut status).await?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            ensure!(self.0.read_line(&mut line).await? > 0, "the service has closed the connection after {status:?}");
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().context("the length of an answer is no number")?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        let succeeded = status.split_whitespace().nth(1).is_some_and(|code| code.starts_with('2'));
        ensure!(succeeded, "the service answered {} {}", status.trim(), String::from_utf8_lossy(&body));
        Ok(body)
    }
}

/// A GET.
pub(super) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").into_bytes()
}

/// A POST of JSON.
pub(super) fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}
