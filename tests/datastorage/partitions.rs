//! The months: made ahead and on demand, dropped by hand.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use datastorage::writer::Outcome;
use e2e::datastorage::{Database, Event, OWNER, SERVICE, events};
use futures::future::try_join_all;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde_json::{Value, json};
use uuid::{NoContext, Uuid};

use crate::{
    chain::{KeyFiles, verify},
    writer::Library,
};

/// A record whose id was made so many days ago.
fn days_ago(days: i64) -> Event {
    let time = Timestamp::now() - (days * 24).hours();
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, time.as_second().unsigned_abs(), 0));
    events::sample().with("event_id", id.to_string())
}

/// The month so many months after this one, as in the name of its table.
fn month(offset: i64) -> String {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    now.saturating_add(offset.months()).strftime("%Y_%m").to_string()
}

async fn months(database: &Database) -> Result<Vec<String>> {
    let sql = "SELECT substr(c.relname::text, 13) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid \
               WHERE inhparent = 'audit_event'::regclass ORDER BY 1";
    Ok(database.owner().await?.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

#[tokio::test]
async fn this_month_and_the_next_three_exist_from_the_start() -> Result<()> {
    let database = Database::fresh().await?;
    assert_eq!(months(&database).await?, [month(0), month(1), month(2), month(3)]);
    Ok(())
}

#[tokio::test]
async fn a_record_that_comes_late_makes_its_month() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    let outcomes = library.write(&[days_ago(0), days_ago(70), days_ago(100), days_ago(1)]).await?;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Created(_))), "{outcomes:?}");
    ensure!(months(&database).await?.len() >= 6);
    // The same indexes and checks as all others, and nothing but the bounds of the month.
    let owner = database.owner().await?;
    let differ = "SELECT count(DISTINCT (SELECT count(*) FROM pg_index WHERE indrelid = c.oid)), \
                  count(DISTINCT (SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid)), \
                  count(DISTINCT (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid AND tgname = 'append_only')) \
                  FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'audit_event'::regclass";
    let row = owner.query_one(differ, &[]).await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i64>(2)), (1, 1, 1));
    Ok(())
}

#[tokio::test]
async fn a_record_older_than_the_retention_is_refused_and_the_others_of_its_request_are_written() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    let before = months(&database).await?;
    let outcomes = library.write(&[days_ago(0), days_ago(401), days_ago(0)]).await?;
    let Outcome::Invalid(error) = &outcomes[1] else { anyhow::bail!("{outcomes:?}") };
    assert_eq!(error.field, "event_id");
    assert!(matches!((&outcomes[0], &outcomes[2]), (Outcome::Created(_), Outcome::Created(_))), "{outcomes:?}");
    assert_eq!(months(&database).await?, before);
    Ok(())
}

#[tokio::test]
async fn replicas_that_need_the_same_month_at_once_make_it_once() -> Result<()> {
    let database = Database::fresh().await?;
    let replicas = [Library::start(&database)?, Library::start(&database)?, Library::start(&database)?];
    let writes = (0..12).map(|client: usize| {
        let library = &replicas[client % 3];
        async move { library.write(&[days_ago(100), days_ago(200), days_ago(300)]).await }
    });
    for outcomes in try_join_all(writes).await? {
        ensure!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Created(_))), "{outcomes:?}");
    }
    assert_eq!(verify(&database, &[]).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn a_month_is_made_while_others_read_and_write() -> Result<()> {
    let database = Database::fresh().await?;
    let library = Library::start(&database)?;
    library.write(&[days_ago(0)]).await?;
    let mut reader = database.owner().await?;
    let reading = reader.transaction().await?;
    reading.query("SELECT count(*) FROM audit_event", &[]).await?;
    // Another transaction that has written into the tables and has not ended.
    let mut other = database.owner().await?;
    let writing = other.transaction().await?;
    writing.execute("INSERT INTO audit_event SELECT (e).* FROM audit_event e WHERE false", &[]).await.ok();

    let late = days_ago(100);
    let made = tokio::time::timeout(Duration::from_secs(5), library.write(std::slice::from_ref(&late)));
    assert!(matches!(made.await.context("it waits for a reader")??[0], Outcome::Created(_)));
    Ok(())
}

/// A database with a dropped month: records 2, 3, 5 and 6 of 8.
async fn with_a_dropped_month(keys: &KeyFiles) -> Result<(Database, Vec<String>)> {
    let database = Database::fresh().await?;
    let (old, young) = (|| days_ago(100), || days_ago(0));
    let month = Timestamp::now() - (100 * 24).hours();
    let month = month.strftime("%Y-%m").to_string();
    let service = e2e::datastorage::Service::start(&database, &[&keys.flag(1)]).await?;
    let text = old().with("summary", "only the old ones say this");
    for event in [young(), text.clone(), text.with("event_id", old().id()), young(), old(), old(), young(), young()] {
        service.api().write(&event).await?;
    }
    service.stop().await?;
    let output = database.run(OWNER, &["drop-month", &month, &keys.flag(1)]).await?;
    ensure!(output.status.success(), "{output:?}");
    Ok((database, vec![keys.flag(1)]))
}

#[tokio::test]
async fn a_dropped_month_leaves_a_record_that_verification_trusts() -> Result<()> {
    let keys = KeyFiles::new()?;
    let (database, flags) = with_a_dropped_month(&keys).await?;
    let verified = verify(&database, &[&flags[0]]).await?;
    assert_eq!(verified.code, 0, "{verified:?}");
    assert_eq!(verified.report["gaps"], json!([{"from": 2, "to": 3}, {"from": 5, "to": 6}]));
    assert_eq!(verified.report["checked"], 5);
    for from in 2..=7 {
        let verified = verify(&database, &[&format!("--from-seq={from}"), &flags[0]]).await?;
        assert_eq!(verified.code, 0, "from {from}: {verified:?}");
    }

    let owner = database.owner().await?;
    let texts = "SELECT count(*) FROM search_text WHERE text LIKE '%only the old ones%'";
    assert_eq!(owner.query_one(texts, &[]).await?.get::<_, i64>(0), 0, "texts go with their last record");
    let record =
        owner.query_one("SELECT kind, recorded_by, data, seq FROM audit_event WHERE kind = 'system'", &[]).await?;
    assert_eq!((record.get::<_, &str>(1), record.get::<_, i64>(3)), ("datastorage", 9));
    let data: Value = record.get(2);
    assert_eq!((&data["removed"][0]["from"], &data["removed"][1]["to"]), (&json!(2), &json!(6)));
    Ok(())
}

#[tokio::test]
async fn a_record_that_is_missing_beside_a_dropped_month_is_found() -> Result<()> {
    let keys = KeyFiles::new()?;
    let (database, flags) = with_a_dropped_month(&keys).await?;
    let owner = database.owner().await?;
    owner
        .batch_execute("ALTER TABLE audit_event DISABLE TRIGGER append_only; DELETE FROM audit_event WHERE seq = 4")
        .await?;
    let verified = verify(&database, &[&flags[0]]).await?;
    assert_eq!(verified.report["first_bad"], json!({"seq": 4, "reason": "missing"}), "{verified:?}");

    // The record of the server is changed so that it excuses the hole.
    let excuse = "UPDATE audit_event SET data = jsonb_set(data, '{removed,0,to}', '4') WHERE kind = 'system'";
    owner.batch_execute(excuse).await?;
    let verified = verify(&database, &[&flags[0]]).await?;
    assert_eq!(verified.report["first_bad"], json!({"seq": 2, "reason": "missing"}), "{verified:?}");
    Ok(())
}

#[tokio::test]
async fn a_made_up_record_of_the_server_excuses_nothing() -> Result<()> {
    let keys = KeyFiles::new()?;
    let database = Database::fresh().await?;
    let service = e2e::datastorage::Service::start(&database, &[&keys.flag(1)]).await?;
    for _ in 0..5 {
        service.api().write(&events::sample().renewed()).await?;
    }
    service.stop().await?;
    let owner = database.owner().await?;
    owner
        .batch_execute(
            "ALTER TABLE audit_event DISABLE TRIGGER append_only; \
             UPDATE audit_event SET kind = 'system', action_type = 'month_dropped', data = jsonb_build_object('removed', \
             jsonb_build_array(jsonb_build_object('from', 2, 'to', 2, 'hash_after', \
             (SELECT encode(chain_hash, 'hex') FROM audit_event WHERE seq = 2)))) WHERE seq = 5; \
             DELETE FROM audit_event WHERE seq = 2",
        )
        .await?;
    let verified = verify(&database, &[&keys.flag(1)]).await?;
    assert_eq!(verified.report["first_bad"], json!({"seq": 2, "reason": "missing"}), "{verified:?}");
    Ok(())
}

#[tokio::test]
async fn drop_month_requires_a_record_in_the_chain() -> Result<()> {
    let keys = KeyFiles::new()?;
    let (database, flags) = with_a_dropped_month(&keys).await?;
    Library::start_with_keys(&database, keys.read(1)?)?.write(&[days_ago(100), days_ago(200)]).await?;
    let owner = database.owner().await?;
    // Also the month of which an earlier record speaks.
    for days in [100, 200] {
        let sql = format!("SELECT drop_month(now() - interval '{days} days')");
        let error = owner.batch_execute(&sql).await.err().context("it is dropped")?;
        let message = error.as_db_error().context("of the database")?.message();
        assert!(message.ends_with("use datastorage drop-month"), "{message}");
    }
    assert_eq!(verify(&database, &[&flags[0]]).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn a_month_that_is_too_young_is_not_dropped_and_only_the_owner_drops() -> Result<()> {
    let database = Database::fresh().await?;
    Library::start(&database)?.write(&[days_ago(0), days_ago(100)]).await?;
    let this = Timestamp::now().strftime("%Y-%m").to_string();
    let old = (Timestamp::now() - (100 * 24).hours()).strftime("%Y-%m").to_string();
    for (role, month, words) in [
        (OWNER, this.as_str(), "younger than the retention floor"),
        (OWNER, "2020-01", "there are no records of 2020-01"),
        (OWNER, "2020", "write it as"),
        (SERVICE, &old, "permission denied"),
    ] {
        let output = database.run(role, &["drop-month", month]).await?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{role} {month}: {error}");
        assert!(error.contains(words), "{role} {month}: {error}");
    }
    assert_eq!(verify(&database, &[]).await?.code, 0);
    Ok(())
}
