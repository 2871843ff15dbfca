//! The memory of the service during a long mixed load: writes, batches, lists, searches of all modes and exports.
//!
//! The rates are low: what is looked for is growth, and it needs time and variety, not load. `writes` prints the peak under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    super::report::{Report, print},
    RESIDENT, export,
    load::{Connection, get, post},
    start_service,
};
use crate::{
    datastorage::{Database, Event, Postgres, PostgresOptions, Version, events, provider::Provider},
    random::Random,
    usage::{Memory, descriptors, mebibytes},
};

/// The writing clients.
const WRITERS: u32 = 5;
/// The reading clients.
const READERS: u32 = 2;
/// The time from one batch to the next. The service closes a connection that is idle for ten seconds.
const BATCHES: Duration = Duration::from_secs(5);
/// The records of a batch.
const BATCH: usize = 50;
/// The time from the start of one export to that of the next. It has the records of the last ten minutes.
const EXPORTS: Duration = Duration::from_secs(60);
/// The time from one look at the memory to the next.
const LOOK: Duration = Duration::from_secs(1);

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long the load lasts.
    pub duration: Duration,
    /// Records that are written in a second, besides a batch of fifty every five seconds.
    pub writes: u32,
    /// Reads in a second, besides an export in every minute.
    pub reads: u32,
}

/// What the clients have done.
#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    read: AtomicU64,
    exports: AtomicU64,
}

/// Measures and prints. Returns whether the promises are kept.
pub async fn run(options: Options) -> Result<bool> {
    let settings = PostgresOptions { fsync: true, ..PostgresOptions::default() };
    let postgres = Postgres::start(Version::of_the_run()?, settings).await?;
    let database = Database::fresh_in(&postgres).await?;
    let provider = Provider::start().await?;
    let mut service = start_service(&database, provider.flags()).await?;
    let pid = service.process().pid();
    let port = service.port();
    print(&format!(
        "{:?} of load: {} records a second and a batch of {BATCH} every {BATCHES:?}, {} reads a second, an export every \
         {EXPORTS:?}",
        options.duration, options.writes, options.reads
    ));

    let counts = Arc::new(Counts::default());
    let mut clients = JoinSet::new();
    for number in 0..WRITERS {
        clients.spawn(write(port, period(options.writes, WRITERS), u64::from(number), Arc::clone(&counts)));
    }
    clients.spawn(write_batches(port, Arc::clone(&counts)));
    for number in 0..READERS {
        clients.spawn(read(port, period(options.reads, READERS), u64::from(number), Arc::clone(&counts)));
    }
    clients.spawn(read_exports(port, Arc::clone(&counts)));

    let samples = watch(pid, &mut clients, options.duration, &counts).await?;
    clients.shutdown().await;
    service.process().require_running()?;
    let peak = mebibytes(Memory::of(pid)?.peak);

    let mut report = Report::new("datastorage-memory");
    report.pair("seconds", options.duration.as_secs());
    for (key, count) in [("written", &counts.written), ("read", &counts.read), ("exports", &counts.exports)] {
        report.pair(key, count.load(Ordering::Relaxed));
    }
    let third = samples.len().div_ceil(3);
    report.number("first_third_mib", super::median(samples.iter().take(third).copied().collect()));
    report.number("last_third_mib", super::median(samples.iter().rev().take(third).copied().collect()));
    report.number("peak_mib", Some(peak));
    report.pair("descriptors", descriptors(pid)?);
    report.at_most(RESIDENT, " MiB", "resident memory at its peak", Some(peak));
    Ok(report.end())
}

/// The time between two requests of one of so many clients that share a rate.
fn period(per_second: u32, clients: u32) -> Duration {
    Duration::from_secs(1) * clients / per_second.max(1)
}

/// Looks at the memory until the time is over, and prints it now and then. Fails as soon as a client fails.
async fn watch(pid: u32, clients: &mut JoinSet<Result<()>>, duration: Duration, counts: &Counts) -> Result<Vec<f64>> {
    let started = Instant::now();
    let pause = (duration / 12).max(LOOK);
    let (mut samples, mut next) = (Vec::new(), pause);
    while started.elapsed() < duration {
        tokio::select! {
            () = sleep(LOOK) => {}
            Some(ended) = clients.join_next() => {
                ended??;
                anyhow::bail!("a client has ended");
            }
        }
        let memory = Memory::of(pid)?;
        samples.push(mebibytes(memory.resident));
        if started.elapsed() >= next {
            next += pause;
            print(&format!(
                "{:>5} s: {memory}; {} records written, {} reads",
                started.elapsed().as_secs(),
                counts.written.load(Ordering::Relaxed),
                counts.read.load(Ordering::Relaxed),
            ));
        }
    }
    ensure!(!samples.is_empty(), "the memory was never looked at");
    Ok(samples)
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    // A late request delays those after it.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn write(port: u16, period: Duration, number: u64, counts: Arc<Counts>) -> Result<()> {
    let (mut connection, mut ticks) = (Connection::open(port).await?, ticks(period));
    let mut random = Random::new(number, "write");
    loop {
        ticks.tick().await;
        let event = serde_json::to_vec(&event(&mut random))?;
        connection.exchange(&post("/api/v1/audit/events", &event)).await?;
        counts.written.fetch_add(1, Ordering::Relaxed);
    }
}

async fn write_batches(port: u16, counts: Arc<Counts>) -> Result<()> {
    let (mut connection, mut ticks) = (Connection::open(port).await?, ticks(BATCHES));
    let mut random = Random::new(0, "batch");
    loop {
        ticks.tick().await;
        // A batch has records of few namespaces.
        let namespace = format!("team-{}", random.below(100));
        let events: Vec<Event> = (0..BATCH).map(|_| event(&mut random).with("namespace", namespace.clone())).collect();
        let body = serde_json::to_vec(&json!({"events": events}))?;
        connection.exchange(&post("/api/v1/audit/events/batch", &body)).await?;
        counts.written.fetch_add(u64::try_from(BATCH)?, Ordering::Relaxed);
    }
}

/// Every kind of read in turn.
async fn read(port: u16, period: Duration, number: u64, counts: Arc<Counts>) -> Result<()> {
    let (mut connection, mut ticks) = (Connection::open(port).await?, ticks(period));
    let mut random = Random::new(number, "read");
    for turn in 0_usize.. {
        ticks.tick().await;
        let namespace = format!("team-{}", random.below(100));
        let target = target(&namespace, random.below(10));
        let search = |mode: &str, query: String| {
            post("/api/v1/search", json!({"query": query, "mode": mode, "limit": 20}).to_string().as_bytes())
        };
        let request = match turn % 8 {
            0 => get(&format!("/api/v1/audit/events?namespace={namespace}&limit=100")),
            1 => get("/api/v1/audit/events?limit=1000"),
            2 => get("/api/v1/audit/events?severity=low&limit=100"),
            3 => get(&format!("/api/v1/audit/history?target={target}")),
            4 => get(&format!("/api/v1/audit/events?target={target}&since=1h")),
            5 => search("text", words(&mut random, 1)),
            6 => search("vector", words(&mut random, 3)),
            _ => search("hybrid", words(&mut random, 2)),
        };
        connection.exchange(&request).await?;
        counts.read.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn read_exports(port: u16, counts: Arc<Counts>) -> Result<()> {
    let mut ticks = ticks(EXPORTS);
    loop {
        ticks.tick().await;
        export::read(port, "since=10m").await?;
        counts.exports.fetch_add(1, Ordering::Relaxed);
    }
}

/// A record about one of a thousand targets, with an error of up to some kilobytes.
fn event(random: &mut Random) -> Event {
    let namespace = format!("team-{}", random.below(100));
    let target = target(&namespace, random.below(10));
    let severity = if random.percent(1) { "low" } else { "critical" };
    let length = if random.percent(5) { 500 } else { 12 };
    events::sample()
        .with("namespace", namespace)
        .with("target_resource", target)
        .with("correlation_id", format!("rr-{}", random.below(50_000)))
        .with("severity", severity)
        .with("summary", format!("Restarted after {}", words(random, 4)))
        .with("error_message", words(random, length))
}

fn target(namespace: &str, number: usize) -> String {
    format!("Deployment/{namespace}/app-{number}")
}

/// Some of a thousand words, which are made of letters only, so that no placeholder replaces them.
fn words(random: &mut Random, count: usize) -> String {
    const PARTS: [&str; 10] = ["oom", "disk", "heap", "tls", "pull", "node", "quota", "probe", "crash", "evict"];
    let mut part = || random.one_of(&PARTS).copied().unwrap_or_default();
    let words: Vec<_> = (0..count).map(|_| [part(), part(), part()].concat()).collect();
    words.join(" ")
}
