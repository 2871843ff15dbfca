//! The time of reads, beside that of the same SQL on one connection.

use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio_postgres::Client;

use super::{
    super::{quantiles::Quantiles, report::print},
    load::{Connection, get, post},
    population::{COLUMNS, ids},
};

/// A read of the service, and the statement that reads the same.
struct Read {
    request: Vec<u8>,
    statement: String,
}

/// The times of one kind of read.
pub(super) struct Times {
    pub(super) name: &'static str,
    pub(super) service: Quantiles,
    pub(super) sql: Quantiles,
}

/// Measures every kind of read in turn with the same SQL, so that both have the same neighbours and the same cache.
pub(super) async fn measure(port: u16, database: &Client, count: usize) -> Result<Vec<Times>> {
    let ids = ids(database, count).await?;
    let gets = ids.iter().map(|id| Read {
        request: get(&format!("/api/v1/audit/events/{id}")),
        statement: format!("SELECT {COLUMNS} FROM audit_event WHERE event_id = '{id}'"),
    });
    let lists = (0..count).map(|number| {
        let namespace = format!("team-{}", number % 100);
        Read {
            request: get(&format!("/api/v1/audit/events?namespace={namespace}&limit=100")),
            statement: format!(
                "SELECT {COLUMNS} FROM audit_event WHERE namespace = '{namespace}' ORDER BY event_id DESC LIMIT 101"
            ),
        }
    });
    let searches = (0..count).map(|number| {
        // As the text of a record with a rare word.
        let words = format!("oomkilled exit code {}", number * 37 % 50_000);
        let body = json!({"query": words, "mode": "text", "limit": 10}).to_string();
        Read {
            request: post("/api/v1/search", body.as_bytes()),
            statement: format!(
                "SELECT {COLUMNS}, ts_rank(words, query) AS rank
                 FROM audit_event, websearch_to_tsquery('pg_catalog.simple', '{words}') AS query
                 WHERE words @@ query ORDER BY rank DESC, event_id DESC LIMIT 50"
            ),
        }
    });
    Ok(vec![
        one_kind("get", port, database, gets.collect()).await?,
        one_kind("list", port, database, lists.collect()).await?,
        one_kind("search", port, database, searches.collect()).await?,
    ])
}

async fn one_kind(name: &'static str, port: u16, database: &Client, reads: Vec<Read>) -> Result<Times> {
    let mut connection = Connection::open(port).await?;
    let (mut of_the_service, mut of_sql) = (Vec::new(), Vec::new());
    // The first reads fill caches and make plans.
    let warm = reads.len() / 10;
    for (number, read) in reads.iter().enumerate() {
        let started = Instant::now();
        connection.exchange(&read.request).await.with_context(|| format!("{name} failed"))?;
        let service = started.elapsed();
        let started = Instant::now();
        // One round trip with the values as text, as psql does it.
        database.simple_query(&read.statement).await?;
        let sql = started.elapsed();
        if number >= warm {
            of_the_service.push(service.as_secs_f64() * 1000.0);
            of_sql.push(sql.as_secs_f64() * 1000.0);
        }
    }
    let service = Quantiles::of(of_the_service).context("nothing was read")?;
    let sql = Quantiles::of(of_sql).context("nothing was read")?;
    print(&format!(
        "{name:<8} p50 {:>7.2} ms  p95 {:>7.2} ms    the bare SQL: p50 {:>7.2} ms  p95 {:>7.2} ms",
        service.p50, service.p95, sql.p50, sql.p95
    ));
    Ok(Times { name, service, sql })
}
