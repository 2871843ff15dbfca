//! The time of reads, beside that of the same SQL on one connection.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio_postgres::Client;

use super::{
    super::{quantiles::Quantiles, report::print},
    load::{self, Connection, Load, get},
    population::{COLUMNS, correlations, ids},
};

/// The clients of the requirement about queries in a second.
const CLIENTS: usize = 10;

/// A read of the service, and the statement that reads the same.
pub(super) struct Read {
    pub(super) request: Vec<u8>,
    pub(super) statement: String,
    /// The request to the provider that the read leads to.
    pub(super) embedding: Option<Vec<u8>>,
}

/// The times of one kind of read, in milliseconds.
pub(super) struct Times {
    pub(super) name: &'static str,
    pub(super) service: Quantiles,
    pub(super) sql: Quantiles,
    /// The time of the provider, which the service waits for.
    pub(super) embedding: Option<Quantiles>,
}

impl Times {
    /// The p95 of the service over that of the SQL. The time of the provider does not count.
    pub(super) fn ratio(&self) -> f64 {
        (self.service.p95 - self.embedding.map_or(0.0, |times| times.p95)) / self.sql.p95
    }
}

/// A list with a rare severity, which no index has. The service returns it in pages of limited time.
pub(super) struct Unindexed {
    pub(super) pages: usize,
    /// The longest time of a page, in milliseconds.
    pub(super) longest: f64,
    /// The time of all pages.
    pub(super) service: f64,
    pub(super) sql: f64,
}

impl Read {
    fn new(path: &str, statement: String) -> Self {
        Self { request: get(path), statement, embedding: None }
    }
}

/// Measures every kind of read in turn with the same SQL, so that both have the same neighbours and the same cache.
pub(super) async fn measure(port: u16, database: &Client, count: usize) -> Result<Vec<Times>> {
    let ids = ids(database, count).await?;
    let gets = ids.iter().map(|id| {
        let statement = format!("SELECT {COLUMNS} FROM audit_event WHERE event_id = '{id}'");
        Read::new(&format!("/api/v1/audit/events/{id}"), statement)
    });
    let lists = (0..count).map(|number| {
        let namespace = format!("team-{}", number % 100);
        let statement = format!(
            "SELECT {COLUMNS} FROM audit_event WHERE namespace = '{namespace}' ORDER BY event_id DESC LIMIT 101"
        );
        Read::new(&format!("/api/v1/audit/events?namespace={namespace}&limit=100"), statement)
    });
    let correlations = correlations(database, count).await?;
    let correlations = correlations.iter().map(|id| {
        // The records, and the times and the namespaces of all of them.
        let statement = format!(
            "SELECT {COLUMNS} FROM audit_event WHERE correlation_id = '{id}' ORDER BY event_id DESC LIMIT 1001;
             SELECT min(occurred_at), max(occurred_at) FROM audit_event WHERE correlation_id = '{id}'"
        );
        Read::new(&format!("/api/v1/audit/correlations/{id}"), statement)
    });
    let histories = (0..count).map(|number| {
        let number = number * 7 % 1000;
        let target = format!("Deployment/team-{}/app-{number}", number % 100);
        // The newest record of each attempt, with the times of all its records.
        let statement = format!(
            "SELECT * FROM (SELECT DISTINCT ON (namespace, correlation_id, action_type) {COLUMNS},
               min(occurred_at) OVER attempt AS started_at, max(occurred_at) OVER attempt AS last_at
             FROM audit_event WHERE target_resource = '{target}' AND event_id >= id_at(now() - interval '90 days')
             WINDOW attempt AS (PARTITION BY namespace, correlation_id, action_type)
             ORDER BY namespace, correlation_id, action_type, event_id DESC) a ORDER BY event_id DESC LIMIT 50"
        );
        Read::new(&format!("/api/v1/audit/history?target={target}"), statement)
    });
    Ok(vec![
        one_kind("get", port, None, database, gets.collect()).await?,
        one_kind("list", port, None, database, lists.collect()).await?,
        one_kind("correlation", port, None, database, correlations.collect()).await?,
        one_kind("history", port, None, database, histories.collect()).await?,
    ])
}

/// Queries of ten clients that wait for nothing: single records and short lists in turn.
pub(super) async fn together(port: u16, database: &Client, duration: Duration) -> Result<Load> {
    let ids = ids(database, 1000).await?;
    let load = load::drive(port, CLIENTS, duration, move |number| {
        let id = ids.get(number / 2 % ids.len().max(1)).context("there are no records")?;
        Ok(if number.is_multiple_of(2) {
            get(&format!("/api/v1/audit/events/{id}"))
        } else {
            get(&format!("/api/v1/audit/events?namespace=team-{}&limit=10", number % 100))
        })
    });
    load.await
}

/// Reads the whole list of a rare severity, and then the same with one statement. The better of several rounds counts.
pub(super) async fn unindexed(port: u16, database: &Client, rounds: usize) -> Result<Unindexed> {
    const PATH: &str = "/api/v1/audit/events?severity=rare&limit=1000";
    let statement = format!("SELECT {COLUMNS} FROM audit_event WHERE severity = 'rare' ORDER BY event_id DESC");
    let mut best = Unindexed { pages: 0, longest: 0.0, service: f64::INFINITY, sql: f64::INFINITY };
    let mut connection = Connection::open(port).await?;
    for _ in 0..rounds {
        let (mut cursor, mut pages, mut items, mut longest, mut all) = (None::<String>, 0, 0, 0.0_f64, 0.0);
        loop {
            let path = cursor.map_or_else(|| PATH.to_owned(), |cursor| format!("{PATH}&cursor={cursor}"));
            let asked = Instant::now();
            let page: Value = serde_json::from_slice(&connection.exchange(&get(&path)).await?)?;
            let took = milliseconds(asked);
            (pages, longest, all) = (pages + 1, longest.max(took), all + took);
            items += page["items"].as_array().map_or(0, Vec::len);
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        let started = Instant::now();
        let rows = database.query(&statement, &[]).await?.len();
        best.sql = best.sql.min(milliseconds(started));
        ensure!(rows == items, "the list has {items} records of {rows}");
        if all < best.service {
            best = Unindexed { pages, longest, service: all, ..best };
        }
    }
    print(&format!(
        "a list by a rare severity, which has no index: {:.0} ms in {} pages, the longest {:.0} ms    the bare SQL: {:.0} ms",
        best.service, best.pages, best.longest, best.sql
    ));
    Ok(best)
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// Measures one kind of read. `provider` is the port of the provider of vectors.
pub(super) async fn one_kind(
    name: &'static str,
    port: u16,
    provider: Option<u16>,
    database: &Client,
    reads: Vec<Read>,
) -> Result<Times> {
    let mut connection = Connection::open(port).await?;
    let mut provider = Connection::open(provider.unwrap_or(port)).await?;
    let (mut of_the_service, mut of_sql, mut of_the_provider) = (Vec::new(), Vec::new(), Vec::new());
    // The first reads fill caches and make plans.
    let warm = reads.len() / 10;
    for (number, read) in reads.iter().enumerate() {
        let started = Instant::now();
        connection.exchange(&read.request).await.with_context(|| format!("{name} failed"))?;
        let service = milliseconds(started);
        let started = Instant::now();
        // One round trip with the values as text, as psql does it.
        database.simple_query(&read.statement).await?;
        let sql = milliseconds(started);
        if number < warm {
            continue;
        }
        of_the_service.push(service);
        of_sql.push(sql);
        if let Some(request) = &read.embedding {
            let started = Instant::now();
            provider.exchange(request).await?;
            of_the_provider.push(milliseconds(started));
        }
    }
    let service = Quantiles::of(of_the_service).context("nothing was read")?;
    let sql = Quantiles::of(of_sql).context("nothing was read")?;
    let embedding = Quantiles::of(of_the_provider);
    let of_the_provider = embedding.map_or(String::new(), |times| {
        format!("    the provider: p50 {:>6.2} ms  p95 {:>6.2} ms", times.p50, times.p95)
    });
    print(&format!(
        "{name:<11} p50 {:>7.2} ms  p95 {:>7.2} ms    the bare SQL: p50 {:>7.2} ms  p95 {:>7.2} ms{of_the_provider}",
        service.p50, service.p95, sql.p50, sql.p95
    ));
    Ok(Times { name, service, sql, embedding })
}
