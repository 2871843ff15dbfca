//! The writer: what is acknowledged is there once, in an order without holes.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use audit::{Accepted, Defaults, chain::Keys};
use datastorage::{
    embeddings::Embeddings,
    metrics::Metrics,
    store::{Settings, Store, Tls},
    writer::{self, Outcome, Position, WriteError, Writer},
};
use e2e::datastorage::{Database, Event, OWNER, SERVICE, events};
use embedding::Provider;
use futures::future::{join_all, try_join_all};
use jiff::Timestamp;
use serde_json::json;

use crate::chain::verify;

const DAY: Duration = Duration::from_secs(86_400);

/// The writer of the service's library, without its API.
pub(crate) struct Library {
    pub store: Store,
    pub writer: Writer,
}

impl Library {
    /// A writer with the rights of the service.
    pub(crate) fn start(database: &Database) -> Result<Self> {
        Self::start_with(database.url(SERVICE), false)
    }

    pub(crate) fn start_with(url: String, embedding: bool) -> Result<Self> {
        Self::start_as(url, embedding, Keys::none())
    }

    /// A writer with the rights of the service that signs with keys.
    pub(crate) fn start_with_keys(database: &Database, keys: Keys) -> Result<Self> {
        Self::start_as(database.url(SERVICE), false, keys)
    }

    fn start_as(url: String, embedding: bool, keys: Keys) -> Result<Self> {
        let store = Store::new(&Settings {
            url,
            password_file: None,
            ca: None,
            tls: Tls::Disable,
            connections: 10,
            schema: "datastorage".to_owned(),
            query_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
        })?;
        let metrics = Arc::new(Metrics::new());
        let settings = writer::Settings {
            keys: Arc::new(keys),
            timeout: Duration::from_secs(10),
            embedding: if embedding { Some(embeddings(&metrics)?) } else { None },
            metrics,
        };
        Ok(Self { writer: Writer::start(store.clone(), settings), store })
    }

    /// Writes records as `tests`.
    pub(crate) async fn write(&self, events: &[Event]) -> Result<Vec<Outcome>> {
        Ok(self.writer.write(accepted(events)?, "tests".into()).await?)
    }
}

/// A provider that is never asked: the writer only leaves jobs for the worker, which does not run here.
fn embeddings(metrics: &Arc<Metrics>) -> Result<Embeddings> {
    let provider = Provider::new(&embedding::Settings {
        url: "http://127.0.0.1:1".to_owned(),
        model: "none".to_owned(),
        dimensions: 384,
        token_file: None,
        ca: None,
        cache_bytes: 0,
        cache_ttl: DAY,
    })?;
    Ok(Embeddings::new(provider, Arc::clone(metrics)))
}

pub(crate) fn accepted(events: &[Event]) -> Result<Vec<Accepted>> {
    let defaults = Defaults { now: Timestamp::now(), cluster: "", max_age: DAY * 10_000 };
    let parse = |event: &Event| {
        let json = serde_json::to_vec(event)?;
        Accepted::parse(&json, &defaults).map_err(|errors| anyhow::anyhow!("{errors:?}"))
    };
    events.iter().map(parse).collect()
}

fn position(outcome: &Outcome) -> Result<Position> {
    match outcome {
        Outcome::Created(position) | Outcome::Duplicate(position) => Ok(*position),
        other => anyhow::bail!("not written: {other:?}"),
    }
}

/// The numbers of all records, in their order.
async fn numbers(database: &Database) -> Result<Vec<i64>> {
    let rows = database.owner().await?.query("SELECT seq FROM audit_event ORDER BY seq", &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[tokio::test]
async fn every_record_gets_the_next_number_and_the_time_of_the_database() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    let events: Vec<Event> = (0..300).map(|_| events::sample().renewed()).collect();
    let outcomes = library.write(&events).await?;
    let positions: Vec<Position> = outcomes.iter().map(position).collect::<Result<_>>()?;
    let seqs: Vec<i64> = positions.iter().map(|position| position.seq).collect();
    assert_eq!(seqs, (1..=300).collect::<Vec<i64>>());
    // A request is one transaction, however many records it has.
    assert!(positions.iter().all(|position| position.recorded_at == positions[0].recorded_at));
    assert_eq!(library.store.checkpoint().await?.seq, 300);
    Ok(())
}

#[tokio::test]
async fn the_same_record_again_is_a_duplicate_with_the_first_position() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    let event = events::sample();
    let first = library.write(std::slice::from_ref(&event)).await?;
    let Outcome::Created(created) = first[0] else { anyhow::bail!("{first:?}") };
    // First the insert finds it, then the look for its id.
    for _ in 0..2 {
        assert_eq!(library.write(std::slice::from_ref(&event)).await?, [Outcome::Duplicate(created)]);
    }
    assert_eq!(numbers(&database).await?, [1]);
    Ok(())
}

#[tokio::test]
async fn another_content_or_another_identity_with_the_same_id_is_a_conflict() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    let event = events::sample();
    library.write(std::slice::from_ref(&event)).await?;

    let changed = event.clone().with("summary", "something else");
    assert_eq!(library.write(&[changed]).await?, [Outcome::Conflict]);
    let stranger = library.writer.write(accepted(&[event])?, "a stranger".into()).await?;
    assert_eq!(stranger, [Outcome::Conflict]);
    assert_eq!(numbers(&database).await?, [1]);
    Ok(())
}

#[tokio::test]
async fn duplicates_and_conflicts_inside_one_request_are_found() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    let event = events::sample();
    let batch = [event.clone(), events::sample().renewed(), event.clone(), event.with("summary", "something else")];
    let outcomes = library.write(&batch).await?;
    let first = position(&outcomes[0])?;
    assert_eq!(outcomes[0], Outcome::Created(first));
    assert!(matches!(outcomes[1], Outcome::Created(_)), "{outcomes:?}");
    assert_eq!(outcomes[2..], [Outcome::Duplicate(first), Outcome::Conflict]);
    assert_eq!(numbers(&database).await?, [1, 2]);
    Ok(())
}

#[tokio::test]
async fn a_retry_that_was_redacted_by_other_rules_is_compared_by_its_identifying_fields() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    let event = events::sample();
    let first = position(&library.write(std::slice::from_ref(&event)).await?[0])?;
    let superuser = database.superuser().await?;
    superuser
        .batch_execute("SET session_replication_role = replica; UPDATE audit_event SET redaction_version = 0")
        .await?;

    let other_text = event.clone().with("summary", "what was redacted then is redacted otherwise now");
    assert_eq!(library.write(&[other_text]).await?, [Outcome::Duplicate(first)]);
    assert_eq!(library.write(&[event.with("name", "another")]).await?, [Outcome::Conflict]);
    Ok(())
}

#[tokio::test]
async fn new_records_are_written_beside_one_that_is_sent_again_at_the_first_try() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    let event = events::sample();
    let first = position(&library.write(std::slice::from_ref(&event)).await?[0])?;
    let mut batch: Vec<Event> = (0..199).map(|_| events::sample().renewed()).collect();
    batch.push(event);
    let outcomes = library.write(&batch).await?;
    let created = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Created(_))).count();
    assert_eq!((created, outcomes.last()), (199, Some(&Outcome::Duplicate(first))));
    assert_eq!(numbers(&database).await?, (1..=200).collect::<Vec<i64>>());
    Ok(())
}

#[tokio::test]
async fn a_record_that_the_database_refuses_fails_alone_and_leaves_no_hole() -> Result<()> {
    let database = Database::fresh().await?;
    let owner = database.owner().await?;
    owner.batch_execute("ALTER TABLE audit_event ADD CONSTRAINT no_poison CHECK (name <> 'poison')").await?;
    let library = Library::start(&database)?;
    let poison = [0, 41, 42, 99];
    let events: Vec<Event> = (0..100)
        .map(|number| {
            let name = if poison.contains(&number) { "poison" } else { "food" };
            events::sample().renewed().with("name", name)
        })
        .collect();

    let outcomes = library.write(&events).await?;
    for (number, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Outcome::Created(_) => ensure!(!poison.contains(&number), "{number} was written"),
            Outcome::Invalid(error) => {
                ensure!(poison.contains(&number), "{number} was refused: {error:?}");
                ensure!(!error.message.contains("OOMKilled"), "the message has values of the record: {error:?}");
            }
            other => anyhow::bail!("{number}: {other:?}"),
        }
    }
    assert_eq!(numbers(&database).await?, (1..=96).collect::<Vec<i64>>());
    assert_eq!(verify(&database, &[]).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn two_writers_on_one_database_leave_no_hole_and_one_chain() -> Result<()> {
    let database = Database::fresh().await?;
    let replicas = [Library::start(&database)?, Library::start(&database)?];
    let clients = (0..16).map(async |client: usize| {
        for request in 0..12 {
            let count = if request % 4 == 0 { 7 } else { 1 };
            let events: Vec<Event> = (0..count).map(|_| events::sample().renewed()).collect();
            let outcomes = replicas[client % 2].write(&events).await?;
            ensure!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Created(_))), "{outcomes:?}");
        }
        Ok(())
    });
    try_join_all(clients).await?;
    assert_eq!(numbers(&database).await?, (1..=16 * 30).collect::<Vec<i64>>());
    assert_eq!(verify(&database, &[]).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn the_time_of_recording_never_goes_back() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    library.write(&[events::sample().renewed()]).await?;
    // As after a failover to a server whose clock is behind.
    let later = "UPDATE chain_head SET recorded_at = now() + interval '1 hour' RETURNING recorded_at";
    let later: Timestamp = database.owner().await?.query_one(later, &[]).await?.get(0);
    let next = position(&library.write(&[events::sample().renewed()]).await?[0])?;
    assert_eq!(next.recorded_at, later);
    Ok(())
}

#[tokio::test]
async fn a_full_queue_says_so_at_once_and_what_waits_is_written_later() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    let mut owner = database.owner().await?;
    let lock = owner.transaction().await?;
    lock.batch_execute("SELECT FROM chain_head FOR UPDATE").await?;

    let batch = || (0..500).map(|_| events::minimal()).collect::<Vec<_>>();
    let waiting =
        (0..9).map(|_| async { library.writer.write(accepted(&batch())?, "tests".into()).await.map_err(Into::into) });
    let release = async {
        // Eight requests of 500 records fill the queue of 4,096. The ninth does not wait.
        tokio::time::timeout(Duration::from_secs(5), async {
            match library.writer.write(accepted(&batch())?, "tests".into()).await {
                Err(WriteError::Full { retry_after }) => anyhow::Ok(retry_after),
                other => anyhow::bail!("{other:?}"),
            }
        })
        .await?
    };
    let (results, retry_after) = tokio::join!(async { join_all(waiting).await as Vec<Result<Vec<Outcome>>> }, async {
        let retry_after = release.await?;
        lock.commit().await?;
        anyhow::Ok(retry_after)
    });
    assert!(retry_after? > Duration::ZERO);
    let written = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(written, 8, "{results:?}");
    assert_eq!(numbers(&database).await?.len(), 4000);
    Ok(())
}

#[tokio::test]
async fn the_queue_is_bounded_in_bytes_too() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    let mut owner = database.owner().await?;
    let lock = owner.transaction().await?;
    lock.batch_execute("SELECT FROM chain_head FOR UPDATE").await?;
    // 60 KiB each, so that 16 MiB are full long before 4,096 records.
    let big = events::minimal().with("data", json!({"log": "x".repeat(60 << 10)}));
    let batch = accepted(&vec![big; 250])?;
    let (first, second) = tokio::join!(library.writer.write(batch.clone(), "tests".into()), async {
        let second = library.writer.write(batch.clone(), "tests".into()).await;
        lock.commit().await?;
        anyhow::Ok(second)
    });
    assert!(first.is_ok(), "{first:?}");
    assert!(matches!(second?, Err(WriteError::Full { .. })));
    Ok(())
}

#[tokio::test]
async fn a_writer_that_stops_writes_what_waits_and_takes_no_more() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    let writer = library.writer.clone();
    let waiting = (0..50).map(|_| async { library.write(&[events::sample().renewed()]).await });
    let (results, ()) = tokio::join!(join_all(waiting), writer.clone().stop());
    for result in results {
        ensure!(matches!(result?[0], Outcome::Created(_)));
    }
    let late = writer.write(accepted(&[events::minimal()])?, "tests".into()).await;
    assert!(matches!(late, Err(WriteError::Unavailable { .. })), "{late:?}");
    Ok(())
}

#[tokio::test]
async fn records_with_the_same_text_share_it_and_get_one_job() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start_with(database.url(SERVICE), true)?;
    let events: Vec<Event> = (0..20).map(|_| events::sample().renewed()).collect();
    library.write(&events).await?;
    library.write(&[events::minimal()]).await?;
    let owner = database.owner().await?;
    let counts = "SELECT (SELECT count(*) FROM search_text), (SELECT count(*) FROM embedding_job), \
                  (SELECT count(DISTINCT text_id) FROM audit_event), (SELECT count(*) FROM audit_event WHERE text_id IS NULL)";
    let row = owner.query_one(counts, &[]).await?;
    let counts: [i64; 4] = std::array::from_fn(|index| row.get(index));
    assert_eq!(counts[..3], [1, 1, 1]);
    Ok(())
}

#[tokio::test]
async fn texts_are_kept_without_jobs_while_embeddings_are_off() -> Result<()> {
    let database = Database::fresh().await?;
    Library::start(&database)?.write(&[events::sample()]).await?;
    let counts = "SELECT (SELECT count(*) FROM search_text), (SELECT count(*) FROM embedding_job)";
    let row = database.owner().await?.query_one(counts, &[]).await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_write_is_flushed_even_if_the_database_does_not_by_default() -> Result<()> {
    let database = Database::fresh().await?;
    let name = database.name();
    database.superuser().await?.batch_execute(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).await?;
    // The trigger sees the setting of the transaction that writes.
    database
        .owner()
        .await?
        .batch_execute(
            "CREATE TABLE seen (setting text); GRANT INSERT ON seen TO PUBLIC; \
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN INSERT INTO datastorage.seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$; \
             CREATE TRIGGER note AFTER UPDATE ON chain_head FOR EACH STATEMENT EXECUTE FUNCTION note()",
        )
        .await?;
    Library::start(&database)?.write(&[events::sample()]).await?;
    let row = database.owner().await?.query_one("SELECT setting FROM seen", &[]).await?;
    assert_eq!(row.get::<_, String>(0), "on");
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_read_only_cannot_be_written_and_is_not_ready() -> Result<()> {
    let database = Database::fresh().await?;
    let name = database.name();
    let superuser = database.superuser().await?;
    superuser.batch_execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await?;
    let library = Library::start(&database)?;
    let write = library.writer.write(accepted(&[events::minimal()])?, "tests".into()).await;
    let Err(WriteError::Away { retry_after, .. }) = write else { anyhow::bail!("{write:?}") };
    assert!(retry_after >= Duration::from_secs(1));
    assert!(library.store.ready().await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_read_that_is_dropped_is_cancelled_in_the_database() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' \
                   AND pid <> pg_backend_pid()";
    let owner = database.superuser().await?;
    let reading = library.store.read().await?;
    {
        let slow = reading.query("SELECT pg_sleep(30)", &[]);
        let started = async {
            while owner.query_one(running, &[]).await?.get::<_, i64>(0) == 0 {
                tokio::task::yield_now().await;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            result = slow => anyhow::bail!("it ended: {:?}", result.map(|rows| rows.len())),
            started = started => started?,
        }
    }
    drop(reading);
    let gone = async {
        while owner.query_one(running, &[]).await?.get::<_, i64>(0) > 0 {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(3), gone).await.context("it still runs")??;
    Ok(())
}

#[tokio::test]
async fn the_password_is_read_again_for_each_connection() -> Result<()> {
    let database = Database::fresh().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("password");
    std::fs::write(&file, "first\n")?;
    let settings = Settings {
        url: database.url(OWNER),
        password_file: Some(file.clone()),
        ca: None,
        tls: Tls::Disable,
        connections: 10,
        schema: "datastorage".to_owned(),
        query_timeout: Duration::from_secs(5),
        write_timeout: Duration::from_secs(10),
    };
    let store = Store::new(&settings)?;
    store.read().await?.done();
    std::fs::remove_file(&file)?;
    store.read().await.context("an open connection needs no password")?.done();
    let other = Store::new(&settings)?;
    let error = other.read().await.err().context("the file is gone")?;
    assert!(error.to_string().contains("--database-password-file"), "{error}");
    Ok(())
}
