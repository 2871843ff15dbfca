//! Records that a database has before it is measured. SQL makes them, because millions of them are needed.

use anyhow::Result;
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
const CHUNK: u32 = 100_000;

/// Fills a database with records of so many months, in a hundred namespaces, with ten actions and a thousand targets.
pub(super) async fn fill(database: &Database, records: u32, months: u32) -> Result<()> {
    let owner = database.owner().await?;
    for month in 0..=months {
        let month = i32::try_from(month)?;
        owner.query_one("SELECT ensure_month(now() - make_interval(months => $1))", &[&month]).await?;
    }
    let insert = format!("INSERT INTO audit_event ({COLUMNS}) {}", select(records, months));
    let insert = owner.prepare(&insert).await?;
    let mut first = 1;
    while first <= records {
        let last = records.min(first + CHUNK - 1);
        owner.execute(&insert, &[&i64::from(first), &i64::from(last)]).await?;
        if last.is_multiple_of(1_000_000) {
            print(&format!("{last} records"));
        }
        first = last + 1;
    }
    // The pages are as they are some time after records were written.
    database.superuser().await?.batch_execute("VACUUM ANALYZE").await?;
    Ok(())
}

/// The records from number `$1` to `$2`, the oldest first.
fn select(records: u32, months: u32) -> String {
    let values = VALUES
        .replace("1 + R48::bigint", "n")
        .replace("'prod', ''", "'team-' || n % 100, ''")
        .replace("'restart_pod'", "'action_' || n % 10")
        .replace("'rr-2026-001'", "'rr-' || n / 5")
        .replace("'Deployment/prod/payments-api'", "'Deployment/team-' || n % 100 || '/app-' || n % 1000")
        .replace("memory limit too low'", "memory limit too low, exit code ' || n % 50000")
        .replace("AT", "at")
        .replace("R48", "a")
        .replace("R60", "b");
    format!(
        "SELECT {values} FROM generate_series($1::bigint, $2::bigint) AS n,
         LATERAL (SELECT now() - make_interval(secs => ({records} - n) * {months} * 2592000.0 / {records}) AS at,
                         (hashint8extended(n, 1) & 281474976710655) AS a,
                         (hashint8extended(n, 2) & 1152921504606846975) AS b) AS made"
    )
}

/// The ids of some records, of all months.
pub(super) async fn ids(client: &Client, count: usize) -> Result<Vec<String>> {
    let count = i64::try_from(count)?;
    let sample = "SELECT event_id::text FROM audit_event ORDER BY hashint8(seq) LIMIT $1";
    Ok(client.query(sample, &[&count]).await?.iter().map(|row| row.get(0)).collect())
}
