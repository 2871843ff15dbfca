//! What the service does when PostgreSQL, the network between them, or a client fails.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    datastorage::{
        Answer, ApiClient, Commit, Database, DatabaseProxy, Event, Network, Postgres, PostgresOptions, SERVICE,
        Service, ServiceOptions, Version, events,
    },
    harness::eventually,
};
use futures::future::join_all;
use tokio_postgres::Client;

pub(crate) const LIST: &str = "/api/v1/audit/events";

/// A service whose connections go through a proxy.
pub(crate) async fn behind_a_proxy(database: &Database, arguments: &[&str]) -> Result<(Service, DatabaseProxy)> {
    let proxy = DatabaseProxy::start(database.port()).await?;
    let options = ServiceOptions {
        database_url: Some(database.url_at(SERVICE, proxy.port())),
        ..ServiceOptions::arguments(arguments)
    };
    Ok((Service::start_with(database, options).await?, proxy))
}

/// Sends a record in a task of its own.
fn post(api: &ApiClient, event: &Event) -> tokio::task::JoinHandle<Result<Answer>> {
    let (api, event) = (api.clone(), event.clone());
    tokio::spawn(async move { api.post_event(&event).await })
}

/// The ids of all records, in the order of recording.
async fn ids(owner: &Client) -> Result<Vec<String>> {
    let rows = owner.query("SELECT event_id::text FROM audit_event ORDER BY seq", &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Fails unless writing, reading and `/ready` answer that the database is not available, and when to come back.
async fn unavailable(service: &Service) -> Result<()> {
    let answer = service.api().post_event(&events::sample()).await?;
    come_back(&answer)?;
    answer.problem(503, "database-unavailable")?;
    let answer = service.api().get(LIST).await?;
    come_back(&answer)?;
    answer.problem(503, "database-unavailable")?;
    service.health().get("/ready").await?.require(503)?;
    service.health().get("/health").await?.require(200)?;
    let up = service.metric("datastorage_database_up").await?;
    ensure!(up == Some(0.0), "datastorage_database_up is {up:?}");
    Ok(())
}

/// Fails unless the answer says when to come back, in seconds.
pub(crate) fn come_back(answer: &Answer) -> Result<()> {
    let seconds = answer.header("retry-after").with_context(|| format!("{answer} has no Retry-After"))?;
    let seconds: u64 = seconds.parse().with_context(|| format!("Retry-After: {seconds}"))?;
    ensure!((1..=60).contains(&seconds), "Retry-After: {seconds}");
    Ok(())
}

/// Waits until a record can be written again.
async fn recovers(service: &mut Service) -> Result<()> {
    service.ready().await?;
    eventually("records are written again", async || service.api().write(&events::sample()).await.map(drop)).await
}

#[tokio::test]
async fn a_commit_that_is_lost_is_written_again_and_one_whose_answer_is_lost_is_not_written_twice() -> Result<()> {
    let database = Database::fresh().await?;
    let (service, proxy) = behind_a_proxy(&database, &[]).await?;
    let owner = database.owner().await?;
    let mut written = Vec::new();
    for (count, commit) in [Commit::CutBefore, Commit::CutAfter, Commit::CutBefore, Commit::CutAfter].iter().enumerate()
    {
        let event = events::sample();
        proxy.set_commit(*commit);
        let answer = post(service.api(), &event);
        proxy.wait_struck(count + 1).await?;
        proxy.set_commit(Commit::Arrives);

        let answer = answer.await??;
        ensure!([200, 201].contains(&answer.status), "{commit:?}: {answer}");
        written.push(event.id().to_owned());
        let ids = ids(&owner).await?;
        ensure!(ids == written, "{commit:?}: {ids:?} instead of {written:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_slow_network_delays_records_and_loses_none() -> Result<()> {
    let database = Database::fresh().await?;
    let (service, proxy) = behind_a_proxy(&database, &[]).await?;
    proxy.set(Network::Slow(Duration::from_millis(100)));
    let sent: Vec<Event> = (0..40).map(|_| events::sample()).collect();
    for answer in join_all(sent.iter().map(|event| post(service.api(), event))).await {
        answer??.require(201)?;
    }
    ensure!(ids(&database.owner().await?).await?.len() == sent.len());
    Ok(())
}

#[tokio::test]
async fn a_silent_network_ends_requests_in_time_and_the_same_records_can_be_written_afterwards() -> Result<()> {
    let database = Database::fresh().await?;
    let (mut service, proxy) = behind_a_proxy(&database, &["--write-timeout=1s", "--query-timeout=1s"]).await?;
    service.api().write(&events::sample()).await?;
    proxy.set(Network::Silent);
    let event = events::sample();

    let (written, read) = tokio::join!(service.api().post_event(&event), service.api().get(LIST));
    let (written, read) = (written?, read?);
    // Their clients have waited their time, and nobody knows that the database is away.
    written.problem(504, "timeout")?;
    read.problem(504, "timeout")?;
    eventually("it is not ready", async || service.health().get("/ready").await?.require(503).map(drop)).await?;

    proxy.set(Network::Works);
    service.ready().await?;
    eventually("the record is written", async || service.api().write(&event).await.map(drop)).await?;
    let ids = ids(&database.owner().await?).await?;
    ensure!(ids.iter().filter(|id| *id == event.id()).count() == 1, "{ids:?}");
    recovers(&mut service).await
}

#[tokio::test]
async fn without_a_network_clients_are_told_to_come_back_and_it_recovers_by_itself() -> Result<()> {
    let database = Database::fresh().await?;
    let (mut service, proxy) = behind_a_proxy(&database, &[]).await?;
    proxy.set(Network::Refuses);
    proxy.cut();
    eventually("the service notices it", async || unavailable(&service).await).await?;
    proxy.set(Network::Works);
    recovers(&mut service).await
}

#[tokio::test]
async fn without_postgresql_clients_are_told_to_come_back_and_it_recovers_by_itself() -> Result<()> {
    let mut postgres = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
    let database = Database::fresh_in(&postgres).await?;
    let mut service = Service::start(&database, &[]).await?;
    let kept = service.api().write(&events::sample()).await?;
    for in_order in [true, false] {
        if in_order {
            postgres.stop().await?;
        } else {
            postgres.kill()?;
        }
        eventually("the service notices it", async || unavailable(&service).await).await?;
        postgres.start_again().await?;
        recovers(&mut service).await?;
    }
    service.api().record(&kept.event_id).await?.context("the record is still there")?;
    Ok(())
}

#[tokio::test]
async fn a_read_only_database_refuses_records_until_it_can_be_written() -> Result<()> {
    let postgres = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
    let database = Database::fresh_in(&postgres).await?;
    let mut service = Service::start(&database, &[]).await?;
    service.api().write(&events::sample()).await?;
    let admin = database.superuser().await?;
    admin.batch_execute("ALTER SYSTEM SET default_transaction_read_only = on").await?;
    admin.batch_execute("SELECT pg_reload_conf()").await?;

    eventually("records are refused", async || {
        let answer = service.api().post_event(&events::sample()).await?;
        come_back(&answer)?;
        answer.problem(503, "database-unavailable").map(drop)
    })
    .await?;
    admin.batch_execute("SET default_transaction_read_only = off").await?;
    admin.batch_execute("ALTER SYSTEM RESET default_transaction_read_only").await?;
    admin.batch_execute("SELECT pg_reload_conf()").await?;
    recovers(&mut service).await
}

#[tokio::test]
async fn a_full_disk_refuses_records_until_there_is_space() -> Result<()> {
    let database = Database::fresh().await?;
    let mut service = Service::start(&database, &[]).await?;
    let owner = database.owner().await?;
    // The error that PostgreSQL reports when it cannot extend a table.
    owner
        .batch_execute(
            "CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
             CREATE TRIGGER disk_full BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION disk_full()",
        )
        .await?;
    let answer = service.api().post_event(&events::sample()).await?;
    come_back(&answer)?;
    let problem = answer.problem(503, "database-unavailable")?;
    ensure!(!problem.to_string().contains("could not extend"), "no details of the database: {problem}");

    owner.batch_execute("DROP TRIGGER disk_full ON audit_event").await?;
    recovers(&mut service).await?;
    ensure!(ids(&owner).await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_full_queue_refuses_further_records_and_writes_all_that_it_has() -> Result<()> {
    let database = Database::fresh().await?;
    let arguments = ["--rate-limit-writes=100000", "--rate-limit-burst=100000", "--write-timeout=30s"];
    let (service, proxy) = behind_a_proxy(&database, &arguments).await?;
    proxy.set_commit(Commit::Held);
    let batches: Vec<Vec<Event>> = (0..14).map(|_| (0..400).map(|_| events::sample()).collect()).collect();
    let answers = batches.iter().map(|batch| {
        let (api, body) = (service.api().clone(), serde_json::json!({"events": batch}));
        tokio::spawn(async move { api.post("/api/v1/audit/events/batch", &body).await })
    });
    let answers: Vec<_> = answers.collect();
    eventually("a batch is refused", async || {
        ensure!(answers.iter().any(tokio::task::JoinHandle::is_finished), "all wait");
        Ok(())
    })
    .await?;
    proxy.set_commit(Commit::Arrives);

    let (mut expected, mut refused) = (0, 0);
    for answer in answers {
        let answer = answer.await??;
        if answer.status == 200 {
            expected += 400;
        } else {
            come_back(&answer)?;
            answer.problem(429, "too-many-requests")?;
            refused += 1;
        }
    }
    ensure!(refused > 0 && expected >= 3_600, "{refused} batches refused, {expected} records written");
    let ids = ids(&database.owner().await?).await?;
    ensure!(ids.len() == expected, "{} records instead of {expected}", ids.len());
    Ok(())
}

#[tokio::test]
async fn a_read_waits_two_seconds_for_a_connection_and_is_then_told_to_come_back() -> Result<()> {
    let database = Database::fresh().await?;
    let arguments = ["--database-connections=4", "--query-timeout=8s"];
    let service = Service::start(&database, &arguments).await?;
    let owner = database.owner().await?;
    owner.batch_execute("BEGIN; LOCK TABLE audit_event IN ACCESS EXCLUSIVE MODE").await?;

    let reads: Vec<_> = (0..12)
        .map(|_| {
            let api = service.api().clone();
            tokio::spawn(async move { api.get(LIST).await })
        })
        .collect();
    let (mut no_connection, mut too_slow) = (0, 0);
    for answer in join_all(reads).await {
        let answer = answer??;
        if answer.status == 503 {
            come_back(&answer)?;
            answer.problem(503, "database-unavailable")?;
            no_connection += 1;
        } else {
            answer.problem(504, "timeout")?;
            too_slow += 1;
        }
    }
    ensure!(no_connection >= 8 && too_slow >= 1, "{no_connection} without a connection, {too_slow} too slow");
    owner.batch_execute("ROLLBACK").await?;
    eventually("reads are answered", async || service.api().list("").await.map(drop)).await
}

#[tokio::test]
async fn a_read_is_cancelled_in_postgresql_when_its_client_leaves() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &["--query-timeout=60s"]).await?;
    let owner = database.owner().await?;
    owner.batch_execute("BEGIN; LOCK TABLE audit_event IN ACCESS EXCLUSIVE MODE").await?;
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND usename = $1 AND wait_event_type = 'Lock'";
    let admin = database.superuser().await?;
    let api = service.api().clone();
    let read = tokio::spawn(async move { api.get(LIST).await });
    let waits = async |expected: i64| {
        let count: i64 = admin.query_one(waiting, &[&SERVICE]).await?.get(0);
        ensure!(count == expected, "{count} statements wait");
        Ok(())
    };
    eventually("the read waits for the lock", async || waits(1).await).await?;

    read.abort();
    eventually("the read is cancelled", async || waits(0).await).await
}

#[tokio::test]
async fn a_record_is_written_although_its_client_leaves() -> Result<()> {
    let database = Database::fresh().await?;
    let (service, proxy) = behind_a_proxy(&database, &[]).await?;
    proxy.set_commit(Commit::Held);
    let event = events::sample();
    let client = post(service.api(), &event);
    proxy.wait_struck(1).await?;
    client.abort();
    ensure!(client.await.is_err_and(|error| error.is_cancelled()), "the client has left");
    proxy.set_commit(Commit::Arrives);

    let owner = database.owner().await?;
    eventually("the record is there", async || {
        ensure!(ids(&owner).await? == [event.id()]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn sigterm_makes_it_unready_and_what_it_has_accepted_is_written_and_answered() -> Result<()> {
    let database = Database::fresh().await?;
    let (mut service, proxy) = behind_a_proxy(&database, &[]).await?;
    proxy.set_commit(Commit::Held);
    let sent: Vec<Event> = (0..20).map(|_| events::sample()).collect();
    let answers: Vec<_> = sent.iter().map(|event| post(service.api(), event)).collect();
    proxy.wait_struck(1).await?;
    eventually("the others wait in the queue", async || {
        let waiting = service.metric("datastorage_write_queue_depth").await?;
        ensure!(waiting.is_some_and(|waiting| waiting >= 19.0), "{waiting:?} wait");
        Ok(())
    })
    .await?;

    service.process().signal(rustix::process::Signal::TERM)?;
    eventually("it is not ready", async || service.health().get("/ready").await?.require(503).map(drop)).await?;
    proxy.set_commit(Commit::Arrives);
    for answer in join_all(answers).await {
        answer??.require(201)?;
    }
    let status = service.process().wait(Duration::from_secs(30)).await?;
    ensure!(status.success(), "it ended with {status}");
    ensure!(ids(&database.owner().await?).await?.len() == sent.len());
    Ok(())
}

#[tokio::test]
async fn after_sigterm_it_takes_requests_until_its_endpoints_are_gone() -> Result<()> {
    let database = Database::fresh().await?;
    let mut service = Service::start(&database, &["--shutdown-delay=3s"]).await?;
    service.process().signal(rustix::process::Signal::TERM)?;
    eventually("it is not ready", async || service.health().get("/ready").await?.require(503).map(drop)).await?;
    service.api().write(&events::sample()).await?;
    service.stop().await
}

#[tokio::test]
async fn a_database_that_never_answers_does_not_keep_it_from_ending() -> Result<()> {
    let database = Database::fresh().await?;
    let (mut service, proxy) = behind_a_proxy(&database, &["--shutdown-timeout=2s"]).await?;
    proxy.set_commit(Commit::Held);
    let client = post(service.api(), &events::sample());
    proxy.wait_struck(1).await?;
    service.terminate().await?;
    // Nobody can say whether the record is there, so it is not acknowledged.
    let acknowledged = client.await?.is_ok_and(|answer| [200, 201].contains(&answer.status));
    ensure!(!acknowledged, "the record is acknowledged");
    Ok(())
}

#[tokio::test]
async fn without_pgvector_it_runs_unless_vectors_are_required() -> Result<()> {
    let options = PostgresOptions { without_pgvector: true, ..PostgresOptions::default() };
    let postgres = Postgres::start(Version::of_the_run()?, options).await?;
    let database = Database::bare_in(&postgres).await?;
    e2e::datastorage::migrate(&database.url(e2e::datastorage::OWNER)).await?;
    let service = Service::start(&database, &[]).await?;
    service.api().write(&events::sample()).await?;
    service.stop().await?;

    let addresses = ["--listen=127.0.0.1:0", "--health-addr=127.0.0.1:0", "--metrics-addr=127.0.0.1:0"];
    let serve = [&["serve", "--vector=required", "--auth=none"][..], &addresses].concat();
    let output = database.run(SERVICE, &serve).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "{}: {said}", output.status);
    ensure!(said.contains("pgvector"), "{said}");
    Ok(())
}
