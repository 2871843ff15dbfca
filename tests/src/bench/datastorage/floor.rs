//! What PostgreSQL does without the service: the floors that the service is compared with.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tokio_postgres::Client;

use super::population::{COLUMNS, VALUES};
use crate::datastorage::{Database, OWNER, Postgres, run};

/// The records in a transaction, as in the batches of the service.
pub(super) const BATCH: usize = 256;

/// Transactions in a second of `pgbench -M prepared` with 16 clients, each with one `INSERT` of a record.
pub(super) async fn singles(postgres: &Postgres, database: &Database, duration: Duration) -> Result<f64> {
    let script = postgres.data().with_file_name("insert.sql");
    let insert = format!("INSERT INTO datastorage.audit_event ({COLUMNS}) VALUES ({});\n", values(":a", ":b"));
    let random = "\\set a random(0, 281474976710655)\n\\set b random(0, 1152921504606846975)\n";
    fs::write(&script, format!("{random}{insert}")).context("cannot write the script of pgbench")?;
    let mut pgbench = postgres.command("pgbench");
    pgbench.args(["-n", "-M", "prepared", "-c", "16", "-j", "2", "-T"]).arg(duration.as_secs().to_string());
    pgbench.arg("-f").arg(&script).args(["-h", "127.0.0.1", "-U", OWNER, "-p"]).arg(postgres.port().to_string());
    pgbench.arg(database.name());
    let output = run(pgbench).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    rate.with_context(|| format!("pgbench says no rate: {said}"))
}

/// Rows in a second of one connection, with one `INSERT` of 256 records in each transaction.
pub(super) async fn batches(client: &Client, duration: Duration) -> Result<f64> {
    // The server makes the values, so that nothing but the statement crosses the connection. The service gets all of them.
    // `n` makes the random numbers new for each row.
    let insert = format!(
        "INSERT INTO datastorage.audit_event ({COLUMNS}) SELECT {} FROM generate_series(1, {BATCH}) AS n, LATERAL
         (SELECT (random() * 281474976710655 + n * 0)::bigint AS a, (random() * 1152921504606846975 + n * 0)::bigint AS b) AS r",
        values("a", "b")
    );
    let insert = client.prepare(&insert).await?;
    let (started, mut rows) = (Instant::now(), 0_u64);
    while started.elapsed() < duration {
        rows += client.execute(&insert, &[]).await?;
    }
    Ok(f64::from(u32::try_from(rows)?) / started.elapsed().as_secs_f64())
}

/// The values of a record that is made now.
fn values(a: &str, b: &str) -> String {
    VALUES.replace("AT", "clock_timestamp()").replace("R48", a).replace("R60", b)
}
