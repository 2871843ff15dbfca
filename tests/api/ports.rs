//! The ports of `/health`, `/ready` and `/metrics`, which every pod can reach, under attack.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{Controller, prelude::*};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};

/// How many connections the flood has.
const FLOOD: usize = 4000;
/// How many clients make them at the same time.
const ATTACKERS: usize = 8;
/// The most descriptors that one port may take: its connections, and those that are about to be closed.
const PER_PORT: usize = 80;
/// The most memory that both ports may take.
const MEMORY_KIB: u64 = 16 * 1024;
/// How long a probe may take. The kubelet waits 1 s by default, but the machine of the tests may be busy.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer than any time limit of a connection that sends nothing or reads nothing, also on a busy machine.
const GONE: Duration = Duration::from_secs(120);

/// This process holds the other ends, so it needs as many descriptors.
fn raise_the_limit() {
    let limits = getrlimit(Resource::Nofile);
    // If it fails, the connections fail, and say so.
    _ = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum });
}

async fn controller(world: &mut World) -> Result<Controller> {
    raise_the_limit();
    world.namespace("apps").await?;
    world.start_controller(ControllerOptions::default()).await
}

fn descriptors(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Fails unless the kubelet's probes are answered in time.
async fn answers(controller: &Controller) -> Result<()> {
    let started = Instant::now();
    for path in ["/health", "/ready"] {
        let (status, body) = timeout(PATIENCE, controller.health(path)).await.context("too late")??;
        ensure!(status == 200, "{path} says {status}: {body}");
    }
    timeout(PATIENCE, controller.metrics()).await.with_context(|| format!("{:?}", started.elapsed()))??;
    Ok(())
}

/// Sends a request over an open connection and returns the status line of the answer.
async fn ask(stream: &mut TcpStream, path: &str) -> Result<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: prometheus\r\n\r\n").as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await??);
    }
    let head = String::from_utf8(head)?.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).context("no length")?;
    let mut body = vec![0; length.trim().parse()?];
    timeout(PATIENCE, stream.read_exact(&mut body)).await??;
    Ok(head.lines().next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn half_sent_requests_cost_little_and_health_keeps_answering() -> Result<()> {
    scenario("half-sent", async |world| {
        let mut controller = controller(world).await?;
        answers(&controller).await?;
        let pid = controller.process().pid();
        let (descriptors_before, memory_before) = (descriptors(pid)?, resident_kib(pid)?);
        let mut prometheus = TcpStream::connect(("127.0.0.1", controller.metrics_port())).await?;
        ask(&mut prometheus, "/metrics").await?;

        // 6 KB of headers, and never the last line.
        let half = format!("GET /health HTTP/1.1\r\nHost: a\r\n{}", "X-Padding: 1234567890\r\n".repeat(260));
        let mut attackers = JoinSet::new();
        for port in [controller.health_port(), controller.metrics_port()].repeat(ATTACKERS / 2) {
            attackers.spawn(flood(port, half.clone()));
        }
        let mut held = Vec::new();
        while !attackers.is_empty() {
            answers(&controller).await?;
            let open = descriptors(pid)?;
            ensure!(open < descriptors_before + 2 * PER_PORT, "{open} descriptors, {descriptors_before} before");
            while let Some(attacker) = attackers.try_join_next() {
                held.push(attacker??);
            }
        }
        let grown = resident_kib(pid)?.saturating_sub(memory_before);
        ensure!(grown < MEMORY_KIB, "{grown} KiB more");

        ensure!(ask(&mut prometheus, "/metrics").await?.contains("200"), "a client that had an answer stays connected");
        drop(prometheus);
        within(GONE, "the connections are closed, although their clients stay", async || {
            let open = descriptors(pid)?;
            ensure!(open <= descriptors_before, "{open} descriptors, {descriptors_before} before");
            Ok(())
        })
        .await?;
        drop(held);
        answers(&controller).await
    })
    .await
}

/// Opens connections as fast as it can, sends half a request on each, and keeps its ends open.
async fn flood(port: u16, half: String) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for _ in 0..FLOOD / ATTACKERS {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        // The port may have closed it already.
        _ = stream.write_all(half.as_bytes()).await;
        streams.push(stream);
    }
    Ok(streams)
}

#[tokio::test]
async fn clients_that_send_nothing_or_never_read_are_disconnected() -> Result<()> {
    scenario("never-read", async |world| {
        let mut controller = controller(world).await?;
        answers(&controller).await?;
        let pid = controller.process().pid();
        let (descriptors_before, memory_before) = (descriptors(pid)?, resident_kib(pid)?);
        let mut attackers = Vec::new();
        for _ in 0..60 {
            let silent = TcpStream::connect(("127.0.0.1", controller.health_port())).await?;
            let never_reads = TcpStream::connect(("127.0.0.1", controller.metrics_port())).await?;
            // More answers than the buffers of the sockets hold.
            let requests = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
            _ = never_reads.try_write(requests.as_bytes());
            attackers.extend([silent, never_reads]);
            answers(&controller).await?;
        }
        let grown = resident_kib(pid)?.saturating_sub(memory_before);
        ensure!(grown < MEMORY_KIB, "{grown} KiB more");
        within(GONE, "they are disconnected", async || {
            answers(&controller).await?;
            let open = descriptors(pid)?;
            ensure!(open <= descriptors_before, "{open} descriptors, {descriptors_before} before");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn requests_that_are_too_large_or_of_another_method_are_refused() -> Result<()> {
    scenario("too-large", async |world| {
        let controller = controller(world).await?;
        for (request, expected) in [
            (format!("GET /health HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(64 * 1024)), "431"),
            (format!("GET /health HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: a\r\n".repeat(200)), "431"),
            ("POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n".to_owned(), "405"),
            ("nonsense\r\n\r\n".to_owned(), "400"),
        ] {
            let mut stream = TcpStream::connect(("127.0.0.1", controller.health_port())).await?;
            _ = stream.write_all(request.as_bytes()).await;
            let mut answer = [0; 12];
            timeout(PATIENCE, stream.read_exact(&mut answer)).await.with_context(|| expected.to_owned())??;
            ensure!(answer.ends_with(expected.as_bytes()), "{expected}: {}", String::from_utf8_lossy(&answer));
        }
        answers(&controller).await
    })
    .await
}

#[tokio::test]
async fn a_connection_that_is_kept_answers_many_requests() -> Result<()> {
    scenario("kept", async |world| {
        let controller = controller(world).await?;
        for (port, path) in [(controller.metrics_port(), "/metrics"), (controller.health_port(), "/health")] {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            for _ in 0..50 {
                ensure!(ask(&mut stream, path).await?.contains("200"), "{path}");
            }
        }
        Ok(())
    })
    .await
}
