//! Records that a database has before it is measured. SQL makes them, because millions of them are needed.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use tokio_postgres::Client;

use super::super::report::print;
use crate::datastorage::Database;

/// The columns that records have here.
pub(super) const COLUMNS: &str = "event_id, seq, kind, occurred_at, recorded_at, recorded_by, name, namespace, cluster, phase, \
     status, action_type, correlation_id, severity, environment, target_resource, fingerprint, actor_type, actor_id, \
     duration_ms, summary, error_message, data, redaction_version, content_hash, chain_hash, chain_key, chain_version";

/// The values of a record. `AT` is its time, `R48` and `R60` are random numbers below 2^48 and 2^60. It is as long as
/// [`events::sample`](crate::datastorage::events::sample). No letter follows a single colon: pgbench would take the word for a
/// variable.
pub(super) const VALUES: &str = "(lpad(to_hex((extract(epoch FROM AT) * 1000)::bigint), 12, '0') || '7' || \
     lpad(to_hex(R48::bigint % 4096), 3, '0') || '8' || lpad(to_hex(R60::bigint), 15, '0'))::uuid, 1 + R48::bigint, \
     'execution', AT, AT, 'prod/workflow-engine', 'restart-payments-api', 'prod', '', 'completed', \
     'failure', 'restart_pod', 'rr-2026-001', 'critical', 'production', 'Deployment/prod/payments-api', 'fp-123', 'service', \
     'workflow-engine', 4200, 'Restarted after OOMKilled; memory limit too low', 'quota exceeded', '{\"dry_run\": false}', 1, \
     sha256(int8send(R48::bigint)), sha256(int8send(R60::bigint)), 0, 1";

/// The records that one statement makes.
const CHUNK: u32 = 50_000;
/// The connections that fill a database.
const LOADERS: usize = 2;
/// The severity of few records: one in so many.
pub(super) const RARE: u32 = 10_000;

/// How much a database has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) records: u32,
    /// The months that the records are spread over.
    pub(super) months: u32,
    /// The texts with a vector that the records share.
    pub(super) texts: u32,
}

impl Size {
    /// The exit codes in the records. Each is in twenty records or more.
    pub(super) fn codes(self) -> u32 {
        (self.records / 20).clamp(1, 50_000)
    }
}

/// Fills a database with records of so many months, in a hundred namespaces, with ten actions and a thousand targets. Each has one
/// of the texts.
///
/// As a restore does it, the rows come first, without a look at the keys that they refer to, and the indexes after them.
pub(super) async fn fill(database: &Database, size: Size) -> Result<()> {
    let Size { records, months, texts } = size;
    let started = Instant::now();
    let owner = database.owner().await?;
    for month in 0..=months {
        let month = i32::try_from(month)?;
        owner.query_one("SELECT ensure_month(now() - make_interval(months => $1))", &[&month]).await?;
    }
    vectors(&owner, texts).await?;
    print(&format!("{texts} texts with their vectors after {:.0} s", started.elapsed().as_secs_f64()));

    let indexes = take_indexes(&owner).await?;
    let insert = format!("INSERT INTO audit_event ({COLUMNS}, text_id) {}", select(size));
    let chunks: Vec<_> =
        (0..records.div_ceil(CHUNK)).map(|chunk| (1 + chunk * CHUNK, records.min((chunk + 1) * CHUNK))).collect();
    in_parallel(database, &chunks, async |client, &(first, last)| {
        client.execute(&insert, &[&i64::from(first), &i64::from(last)]).await?;
        if last.is_multiple_of(1_000_000) {
            print(&format!("{last} records after {:.0} s", started.elapsed().as_secs_f64()));
        }
        Ok(())
    })
    .await?;
    let statements = of_partitions(&owner, &indexes).await?;
    in_parallel(database, &statements, async |client, statement| Ok(client.batch_execute(statement).await?)).await?;
    for index in &indexes {
        // The indexes of the partitions are there, so that only an entry in the catalogue is made.
        owner.batch_execute(&index.replace(" ON ONLY ", " ON ")).await?;
    }
    // The export ends at the head of the chain.
    owner.execute("UPDATE chain_head SET seq = $1, recorded_at = now()", &[&i64::from(records)]).await?;
    // The pages are as they are some time after records were written.
    database.superuser().await?.batch_execute("VACUUM ANALYZE").await?;
    print(&format!(
        "{records} records in {months} months, with indexes, after {:.0} s",
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Makes texts with vectors around centres. A tenth as many centres as texts stay in the table `centre`.
async fn vectors(owner: &Client, texts: u32) -> Result<()> {
    let centres = (texts / 10).max(1);
    let index: String =
        owner.query_one("SELECT indexdef FROM pg_indexes WHERE indexname = 'embedding_1_hnsw'", &[]).await?.get(0);
    owner
        .batch_execute(&format!(
            "SET maintenance_work_mem = '1GB'; SELECT setseed(0.5);
             CREATE TABLE centre AS SELECT c, (SELECT array_agg(random_normal()::real) FROM generate_series(1, 384)
               WHERE c > 0)::vector AS v FROM generate_series(1, {centres}) c;
             CREATE TABLE noise AS SELECT n, (SELECT array_agg((0.35 * random_normal())::real) FROM generate_series(1, 384)
               WHERE n > 0)::vector AS v FROM generate_series(1, 997) n;
             INSERT INTO search_text (text_id, text_hash, text) OVERRIDING SYSTEM VALUE
               SELECT i, sha256(i::text::bytea), 'text ' || i FROM generate_series(1, {texts}) i ORDER BY i;
             SELECT setval(pg_get_serial_sequence('search_text', 'text_id'), {texts});
             DROP INDEX embedding_1_hnsw;
             INSERT INTO embedding_1 SELECT t.text_id, l2_normalize(c.v + n.v)::halfvec FROM search_text t
               JOIN centre c ON c.c = 1 + t.text_id % {centres} JOIN noise n ON n.n = 1 + (t.text_id * 7919) % 997;
             {index}; GRANT SELECT ON centre TO PUBLIC; ANALYZE"
        ))
        .await?;
    Ok(())
}

/// Removes the indexes of all records, and returns the statements that make them again. The primary keys stay.
async fn take_indexes(owner: &Client) -> Result<Vec<String>> {
    let rows = owner
        .query(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = 'audit_event'
             AND indexname <> 'audit_event_pkey'",
            &[],
        )
        .await?;
    for row in &rows {
        owner.batch_execute(&format!("DROP INDEX {}", row.get::<_, &str>(0))).await?;
    }
    Ok(rows.iter().map(|row| row.get(1)).collect())
}

/// The same indexes of each partition.
async fn of_partitions(owner: &Client, indexes: &[String]) -> Result<Vec<String>> {
    let partitions = "SELECT relid::regclass::text FROM pg_partition_tree('audit_event') WHERE isleaf ORDER BY 1";
    let partitions = owner.query(partitions, &[]).await?;
    let mut statements = Vec::new();
    for partition in partitions.iter().map(|row| row.get::<_, &str>(0)) {
        for index in indexes {
            let columns = index.split_once(" USING ").context("an index without a method")?.1;
            statements.push(format!("CREATE INDEX ON {partition} USING {columns}"));
        }
    }
    Ok(statements)
}

/// Does all tasks on several connections. They skip the checks of foreign keys.
async fn in_parallel<T>(database: &Database, tasks: &[T], work: impl AsyncFn(&Client, &T) -> Result<()>) -> Result<()> {
    const SETTINGS: &str = "SET search_path = datastorage, public; SET session_replication_role = replica;
        SET maintenance_work_mem = '512MB'; SET max_parallel_maintenance_workers = 0; SET synchronous_commit = off";
    let next = AtomicUsize::new(0);
    let loader = async || -> Result<()> {
        let client = database.superuser().await?;
        client.batch_execute(SETTINGS).await?;
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(&client, task).await?;
        }
        Ok(())
    };
    try_join_all((0..LOADERS).map(|_| loader())).await.map(drop)
}

/// The records from number `$1` to `$2`, the oldest first.
fn select(size: Size) -> String {
    let (Size { records, months, texts }, codes) = (size, size.codes());
    let values = VALUES
        .replace("1 + R48::bigint", "n")
        .replace("'prod', ''", "'team-' || n % 100, ''")
        .replace("'restart_pod'", "'action_' || n % 10")
        .replace("'rr-2026-001'", "'rr-' || n / 5")
        .replace("'critical'", &format!("CASE WHEN n % {RARE} = 7 THEN 'rare' ELSE 'critical' END"))
        .replace("'Deployment/prod/payments-api'", "'Deployment/team-' || n % 100 || '/app-' || n % 1000")
        .replace("memory limit too low'", &format!("memory limit too low, exit code ' || n % {codes}"))
        .replace("AT", "at")
        .replace("R48", "a")
        .replace("R60", "b");
    format!(
        "SELECT {values}, 1 + a % {texts} FROM generate_series($1::bigint, $2::bigint) AS n,
         LATERAL (SELECT now() - make_interval(secs => ({records} - n) * {months} * 2592000.0 / {records}) AS at,
                         (hashint8extended(n, 1) & 281474976710655) AS a,
                         (hashint8extended(n, 2) & 1152921504606846975) AS b) AS made"
    )
}

/// The ids of some records, of all months.
pub(super) async fn ids(client: &Client, count: usize) -> Result<Vec<String>> {
    sample(client, "event_id", count).await
}

/// The correlations of some records, of all months.
pub(super) async fn correlations(client: &Client, count: usize) -> Result<Vec<String>> {
    sample(client, "correlation_id", count).await
}

async fn sample(client: &Client, column: &str, count: usize) -> Result<Vec<String>> {
    let sample = format!("SELECT {column}::text FROM audit_event ORDER BY hashint8(seq) LIMIT $1");
    let rows = client.query(&sample, &[&i64::try_from(count)?]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
