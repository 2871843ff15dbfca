//! `kill -9` of the service and of PostgreSQL while clients write.

use std::{env, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    datastorage::{
        ApiClient, Database, Postgres, PostgresOptions, Progress, SERVICE, Service, Storm, Version, provider::Provider,
    },
    harness::{DEADLINE, within},
    random::Random,
};
use tokio::time::timeout;

/// The number of records in CI. `cargo xtask test datastorage -- --ignored` writes 10,000.
const RECORDS: usize = 2_000;
const MANY_RECORDS: usize = 10_000;

/// What dies, in turn: both replicas and PostgreSQL.
const VICTIMS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_record_is_there_once_although_replicas_and_postgresql_are_killed() -> Result<()> {
    killed_at_random(RECORDS).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; run `cargo xtask test datastorage -- of_ten_thousand --ignored`"]
async fn every_acknowledged_record_of_ten_thousand_is_there_once() -> Result<()> {
    killed_at_random(MANY_RECORDS).await
}

#[allow(clippy::print_stdout, reason = "libtest shows it with a failed test, and with --nocapture")]
async fn killed_at_random(records: usize) -> Result<()> {
    let seed = seed()?;
    let mut postgres = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
    let database = Database::fresh_in(&postgres).await?;
    let key = tempfile::NamedTempFile::new()?;
    std::fs::write(key.path(), "a key of thirty-two bytes or more, for the chain")?;
    let key = format!("--chain-key-file=1:{}", key.path().display());
    let provider = Provider::start().await?;
    let embedding = provider.flags();
    let mut arguments =
        vec![key.as_str(), "--rate-limit-writes=100000", "--rate-limit-burst=100000", "--log-level=warn"];
    arguments.extend(embedding.iter().map(String::as_str));
    let mut replicas = [Service::start(&database, &arguments).await?, Service::start(&database, &arguments).await?];
    let clients: Vec<ApiClient> = replicas.iter().map(|replica| replica.api().clone()).collect();

    let progress = Progress::default();
    let storm = Storm { clients: 16, records, seed };
    let running = tokio::spawn({
        let progress = progress.clone();
        async move { storm.run(&clients, &progress).await }
    });
    let mut kills = 0;
    let mut random = Random::new(seed, "kills");
    while !running.is_finished() {
        // A kill comes after a part of the records that is never the same, so it hits every step of a write.
        let next = progress.done() + 20 + random.below(60);
        wait_for(&progress, next, || running.is_finished()).await;
        match kills % VICTIMS {
            2 => {
                postgres.kill()?;
                postgres.start_again().await?;
            }
            replica => {
                replicas[replica].kill()?;
                replicas[replica].start_again().await?;
            }
        }
        kills += 1;
    }
    let ledger = running.await??;
    for replica in &mut replicas {
        replica.ready().await?;
    }

    let found = ledger.check(&database).await.with_context(|| format!("TOOLSET_TEST_SEED={seed}"))?;
    println!("{kills} kills, {} retries, the slowest write took {:?}, {found:?}", ledger.retries, ledger.slowest);
    ensure!(kills >= 2 * VICTIMS, "only {kills} kills");
    vectors_have_texts(&database).await?;
    verifies(&database, &key).await
}

/// Waits until so many records are done, or the storm is over.
async fn wait_for(progress: &Progress, count: usize, over: impl Fn() -> bool) {
    let reached = async {
        while progress.done() < count && !over() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    // If nothing moves, killing something else is as good as anything.
    _ = timeout(DEADLINE, reached).await;
}

/// No vector and no job is without a text, no record has a text that is gone, and every text gets its vector.
async fn vectors_have_texts(database: &Database) -> Result<()> {
    let owner = database.owner().await?;
    let orphans =
        "SELECT (SELECT count(*) FROM embedding_1 LEFT JOIN search_text USING (text_id) WHERE text_hash IS NULL)
        + (SELECT count(*) FROM embedding_job LEFT JOIN search_text USING (text_id) WHERE text_hash IS NULL)
        + (SELECT count(*) FROM audit_event LEFT JOIN search_text USING (text_id)
           WHERE audit_event.text_id IS NOT NULL AND text_hash IS NULL)";
    let orphans: i64 = owner.query_one(orphans, &[]).await?.get(0);
    ensure!(orphans == 0, "{orphans} orphans");
    let waiting = "SELECT count(*) FROM search_text LEFT JOIN embedding_1 USING (text_id) WHERE embedding IS NULL";
    let forgotten =
        format!("{waiting} AND NOT EXISTS (SELECT FROM embedding_job AS job WHERE job.text_id = search_text.text_id)");
    let forgotten: i64 = owner.query_one(&forgotten, &[]).await?.get(0);
    ensure!(forgotten == 0, "{forgotten} texts have neither a vector nor a job");
    // A job that a killed replica had taken is free again when its lease ends.
    within(Duration::from_secs(120), "every text has its vector", async || {
        let waiting: i64 = owner.query_one(waiting, &[]).await?.get(0);
        ensure!(waiting == 0, "{waiting} texts wait");
        Ok(())
    })
    .await?;
    let texts: i64 = owner.query_one("SELECT count(*) FROM search_text", &[]).await?.get(0);
    ensure!(texts > 0, "no record has a text");
    Ok(())
}

/// The chain verifies with the key.
async fn verifies(database: &Database, key: &str) -> Result<()> {
    let output = database.run(SERVICE, &["verify", key]).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the chain does not verify: {said}");
    Ok(())
}

fn seed() -> Result<u64> {
    match env::var("TOOLSET_TEST_SEED") {
        Ok(seed) => seed.parse().context("TOOLSET_TEST_SEED is no number"),
        Err(_) => Ok(uuid::Uuid::now_v7().as_u64_pair().1),
    }
}
