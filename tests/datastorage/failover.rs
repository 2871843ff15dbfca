//! A primary with a synchronous standby: what was acknowledged survives the death of the primary.

use anyhow::{Result, ensure};
use e2e::{
    datastorage::{
        Database, Postgres, PostgresOptions, Progress, SERVICE, Service, ServiceOptions, Storm, Version, events,
    },
    harness::eventually,
};

/// A primary whose commits wait for its standby.
async fn pair() -> Result<(Postgres, Postgres, Database)> {
    let primary = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
    let database = Database::fresh_in(&primary).await?;
    let standby = Postgres::standby_of(&primary, Version::of_the_run()?).await?;
    let admin = database.superuser().await?;
    admin.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await?;
    admin.batch_execute("SELECT pg_reload_conf()").await?;
    eventually("the standby is synchronous", async || {
        let rows = admin.query("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'", &[]).await?;
        ensure!(rows.len() == 1, "{} synchronous standbys", rows.len());
        Ok(())
    })
    .await?;
    Ok((primary, standby, database))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_finds_the_new_primary_and_no_acknowledged_record_is_lost() -> Result<()> {
    let (mut primary, standby, database) = pair().await?;
    let url =
        format!("postgresql://{SERVICE}@127.0.0.1:{},127.0.0.1:{}/{}", primary.port(), standby.port(), database.name());
    let limits = ["--rate-limit-writes=100000", "--rate-limit-burst=100000"];
    let options = ServiceOptions { database_url: Some(url), ..ServiceOptions::arguments(&limits) };
    let mut service = Service::start_with(&database, options).await?;

    let (api, progress) = (service.api().clone(), Progress::default());
    let storm = Storm { clients: 16, records: 1_000, seed: 7 };
    let running = tokio::spawn({
        let progress = progress.clone();
        async move { storm.run(&[api], &progress).await }
    });
    eventually("some records are written", async || {
        ensure!(progress.done() > 300, "{} records", progress.done());
        Ok(())
    })
    .await?;
    primary.kill()?;
    standby.promote().await?;

    let ledger = running.await??;
    service.ready().await?;
    let found = ledger.check(&database.on(&standby)).await?;
    ensure!(found.acknowledged > 900, "{found:?}");
    Ok(())
}

#[tokio::test]
async fn a_record_that_no_standby_has_confirmed_is_not_acknowledged() -> Result<()> {
    let (_primary, mut standby, database) = pair().await?;
    let service = Service::start(&database, &["--write-timeout=2s"]).await?;
    service.api().write(&events::sample()).await?;
    standby.stop().await?;

    // The database is there, and the client has waited its time: for the standby, and the second time for the lock that the
    // first transaction holds.
    let event = events::sample();
    for _ in 0..2 {
        service.api().post_event(&event).await?.problem(504, "timeout")?;
    }

    standby.start_again().await?;
    let written = eventually("the record is acknowledged", async || service.api().write(&event).await).await?;
    ensure!(written.seq == Some(2), "{written:?}");
    let rows = database.owner().await?.query("SELECT 1 FROM audit_event", &[]).await?;
    ensure!(rows.len() == 2, "{} records", rows.len());
    Ok(())
}
