//! Lists of records and single records.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    datastorage::{ApiClient, Database, Event, OWNER, SERVICE, Service, connect, events},
    harness::prelude::*,
};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Records that were made one after the other, the oldest first.
fn story(number: u32) -> Vec<Event> {
    let second = |index: u32| Duration::from_secs(u64::from(number - index));
    (0..number).map(|index| events::sample().with("event_id", events::id_made(second(index)))).collect()
}

fn ids(records: &[Value]) -> Vec<&str> {
    records.iter().filter_map(|record| record["event_id"].as_str()).collect()
}

fn ids_of(events: &[Event]) -> Vec<&str> {
    events.iter().map(Event::id).collect()
}

fn reversed(mut ids: Vec<&str>) -> Vec<&str> {
    ids.reverse();
    ids
}

async fn bad_parameter(api: &ApiClient, query: &str) -> Result<String> {
    let problem = api.get(&format!("/api/v1/audit/events?{query}")).await?.problem(400, "validation-error")?;
    Ok(problem["errors"][0]["field"].as_str().context("a field is named")?.to_owned())
}

#[tokio::test]
async fn a_list_is_newest_first_and_oldest_first_if_asked() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let story = story(5);
    service.api().write_batch(&story).await?;
    let newest = service.api().list("").await?;
    assert_eq!(ids(&newest.items), reversed(ids_of(&story)));
    assert_eq!(newest.next_cursor, None);
    assert_eq!(ids(&service.api().list("order=desc").await?.items), reversed(ids_of(&story)));
    assert_eq!(ids(&service.api().list("order=asc").await?.items), ids_of(&story));
    Ok(())
}

#[tokio::test]
async fn pages_neither_repeat_nor_leave_out_a_record_and_new_records_do_not_move_them() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let story = story(25);
    service.api().write_batch(&story).await?;
    for (query, expected) in [("limit=10", reversed(ids_of(&story))), ("limit=10&order=asc", ids_of(&story))] {
        let mut page = service.api().list(query).await?;
        let mut found = page.items;
        assert_eq!(found.len(), 10);
        if query == "limit=10" {
            service.api().write(&events::sample()).await?;
        }
        while let Some(cursor) = page.next_cursor {
            page = service.api().list(&format!("{query}&cursor={cursor}&until=")).await?;
            found.append(&mut page.items);
        }
        assert_eq!(ids(&found)[..25], expected, "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn a_page_has_100_records_unless_the_request_says_how_many() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    service.api().write_batch(&story(101)).await?;
    let page = service.api().list("").await?;
    assert_eq!(page.items.len(), 100);
    assert!(page.next_cursor.is_some());
    let page = service.api().list("limit=1000").await?;
    assert_eq!((page.items.len(), page.next_cursor), (101, None));
    Ok(())
}

#[tokio::test]
async fn a_page_ends_early_rather_than_fill_the_memory() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let large = |event: &Event| event.clone().with("data", json!({"output": "x ".repeat(30_000)}));
    let story = story(180);
    for part in story.chunks(60) {
        service.api().write_batch(&part.iter().map(large).collect::<Vec<_>>()).await?;
    }
    let page = service.api().list("limit=1000").await?;
    assert!((20..60).contains(&page.items.len()), "{}", page.items.len());
    let all = service.api().list_all("limit=1000").await?;
    assert_eq!(ids(&all), reversed(ids_of(&story)));
    Ok(())
}

#[tokio::test]
async fn every_filter_selects_records() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &["--cluster=eu-1"]).await?;
    let wanted = events::sample().with("cluster", "eu-1");
    let others = [
        ("kind", "kind", json!("workflow")),
        ("namespace", "namespace", json!("dev")),
        ("cluster", "cluster", json!("eu-2")),
        ("phase", "phase", json!("failed")),
        ("status", "status", json!("success")),
        ("severity", "severity", json!("warning")),
        ("environment", "environment", json!("staging")),
        ("action_type", "action_type", json!("scale_up")),
        ("target", "target_resource", json!("Deployment/prod/other")),
        ("fingerprint", "fingerprint", json!("fp-9")),
        ("correlation_id", "correlation_id", json!("rr-9")),
    ];
    service.api().write(&wanted).await?;
    for (_, field, value) in &others {
        service.api().write(&wanted.renewed().with(field, value.clone())).await?;
    }
    for (name, field, value) in &others {
        let value = value.as_str().unwrap_or_default().replace('/', "%2F");
        let found = service.api().list(&format!("{name}={value}")).await?.items;
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(
            &found[0][field],
            others.iter().find(|(other, ..)| other == name).map(|(.., value)| value).context("it")?
        );
    }
    let mut all = String::from("recorded_by=anonymous");
    for (name, field, _) in &others {
        let value = wanted.get(field).as_str().unwrap_or_default();
        all.extend(["&", name, "=", value]);
    }
    assert_eq!(ids(&service.api().list(&all).await?.items), [wanted.id()]);
    assert_eq!(service.api().list("recorded_by=somebody").await?.items.len(), 0);
    Ok(())
}

#[tokio::test]
async fn since_and_until_bound_the_time_of_the_ids() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let made = |ago: Duration| events::sample().with("event_id", events::id_made(ago));
    let (old, middle, new) = (made(HOUR * 5), made(HOUR * 3), made(HOUR));
    service.api().write_batch(&[new.clone(), old.clone(), middle.clone()]).await?;
    for (query, expected) in [
        ("since=4h", vec![new.id(), middle.id()]),
        ("until=2h", vec![middle.id(), old.id()]),
        ("since=4h&until=120m", vec![middle.id()]),
        ("since=1d", vec![new.id(), middle.id(), old.id()]),
        ("since=2020-01-01T00:00:00Z&until=2h30m", vec![middle.id(), old.id()]),
        ("since=2020-01-01T00:00:00%2B02:00&until=2020-01-02T00:00:00Z", vec![]),
    ] {
        assert_eq!(ids(&service.api().list(query).await?.items), expected, "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn a_cursor_belongs_to_its_filters() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    service.api().write_batch(&story(3)).await?;
    let cursor = service.api().list("limit=1&namespace=prod").await?.next_cursor.context("more pages")?;
    // The size of a page may change.
    assert_eq!(service.api().list(&format!("limit=2&namespace=prod&cursor={cursor}")).await?.items.len(), 2);
    let mut bytes = cursor.clone().into_bytes();
    bytes[40] ^= 1;
    let changed = String::from_utf8(bytes)?;
    for query in [
        format!("cursor={cursor}"),
        format!("namespace=dev&cursor={cursor}"),
        format!("namespace=prod&order=asc&cursor={cursor}"),
        format!("namespace=prod&kind=execution&cursor={cursor}"),
        format!("namespace=prod&cursor={changed}"),
        "namespace=prod&cursor=x".to_owned(),
    ] {
        service.api().get(&format!("/api/v1/audit/events?{query}")).await?.problem(400, "bad-cursor")?;
    }
    Ok(())
}

#[tokio::test]
async fn after_seq_follows_the_order_of_recording_without_holes() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let story = story(9);
    // The newest is written first.
    for event in story.iter().rev() {
        service.api().write(event).await?;
    }
    let all = service.api().list_all("after_seq=0&limit=4").await?;
    assert_eq!(ids(&all), reversed(ids_of(&story)));
    let numbers: Vec<_> = all.iter().filter_map(|record| record["seq"].as_i64()).collect();
    assert_eq!(numbers, (1..=9).collect::<Vec<_>>());
    assert_eq!(ids(&service.api().list("after_seq=7").await?.items), reversed(ids_of(&story[..2])));
    assert_eq!(service.api().list("after_seq=9").await?.items.len(), 0);
    // As after a restore: whoever waits for number 11 would miss the new number 10.
    assert_eq!(bad_parameter(service.api(), "after_seq=10").await?, "after_seq");
    assert_eq!(bad_parameter(service.api(), "after_seq=-1").await?, "after_seq");
    assert_eq!(bad_parameter(service.api(), "after_seq=1&order=asc").await?, "order");
    Ok(())
}

#[tokio::test]
async fn parameters_that_are_wrong_or_unknown_are_named() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    for (query, name) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("order=up", "order"),
        ("kind=party", "kind"),
        ("phase=done", "phase"),
        ("since=yesterday", "since"),
        ("until=-1h", "until"),
        ("namespace=a&namespace=b", "namespace"),
        ("nmespace=a", "nmespace"),
        ("count=estimate", "count"),
        ("target=%00", "target"),
    ] {
        assert_eq!(bad_parameter(service.api(), query).await?, name, "{query}");
    }
    let long = "a".repeat(600);
    assert_eq!(bad_parameter(service.api(), &format!("severity={long}")).await?, "severity");
    Ok(())
}

#[tokio::test]
async fn a_record_is_found_by_its_id_and_an_unknown_id_is_404() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let event = events::sample();
    service.api().write(&event).await?;
    let record = service.api().record(event.id()).await?.context("the record is there")?;
    assert_eq!(record["event_id"], event.id());
    assert_eq!(record["seq"], 1);
    assert_eq!(record["chain_hash"].as_str().map(str::len), Some(64));
    let other = events::sample();
    service.api().get(&format!("/api/v1/audit/events/{}", other.id())).await?.problem(404, "not-found")?;
    let problem = service.api().get("/api/v1/audit/events/7").await?.problem(400, "validation-error")?;
    assert_eq!(problem["errors"][0]["field"], "event_id");
    Ok(())
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_answered_with_504_and_ends_in_the_database() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &["--query-timeout=1s"]).await?;
    let mut owner = connect(&format!("{}?options=-csearch_path%3Ddatastorage", database.url(OWNER))).await?;
    let lock = owner.transaction().await?;
    lock.batch_execute("LOCK TABLE audit_event IN ACCESS EXCLUSIVE MODE").await?;
    service.api().get("/api/v1/audit/events").await?.problem(504, "timeout")?;
    nothing_runs(&database).await?;
    let failures = service.metric("datastorage_query_total{operation=\"list\",status=\"failure\"}").await?;
    assert_eq!(failures, Some(1.0));
    lock.rollback().await?;
    service.api().list("").await?;
    Ok(())
}

#[tokio::test]
async fn the_query_of_a_client_that_went_away_is_cancelled_in_the_database() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &["--query-timeout=60s"]).await?;
    let mut owner = connect(&format!("{}?options=-csearch_path%3Ddatastorage", database.url(OWNER))).await?;
    let lock = owner.transaction().await?;
    lock.batch_execute("LOCK TABLE audit_event IN ACCESS EXCLUSIVE MODE").await?;
    let api = service.api().clone();
    let request = tokio::spawn(async move { api.get("/api/v1/audit/events").await });
    eventually("the query waits for the lock", async || ensure_waiting(&database, 1).await).await?;
    request.abort();
    nothing_runs(&database).await?;
    lock.rollback().await?;
    Ok(())
}

/// Waits until no statement of the service waits for a lock.
async fn nothing_runs(database: &Database) -> Result<()> {
    eventually("no statement of the service waits", async || ensure_waiting(database, 0).await).await
}

async fn ensure_waiting(database: &Database, expected: i64) -> Result<()> {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND usename = $2 AND wait_event_type = 'Lock'";
    let row = database.superuser().await?.query_one(sql, &[&database.name(), &SERVICE]).await?;
    let waiting: i64 = row.get(0);
    ensure!(waiting == expected, "{waiting} statements wait");
    Ok(())
}

#[tokio::test]
async fn identities_that_read_everything_see_the_place_in_the_chain() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    service.api().write_batch(&story(3)).await?;
    let page = service.api().list("namespace=prod").await?;
    let numbers: BTreeSet<_> = page.items.iter().filter_map(|record| record["seq"].as_i64()).collect();
    assert_eq!(numbers, BTreeSet::from([1, 2, 3]));
    let checkpoint: Value = service.api().get("/api/v1/audit/checkpoint").await?.require(200)?.json()?;
    let newest = page.items.iter().find(|record| record["seq"] == 3).context("the newest")?;
    assert_eq!((&checkpoint["seq"], &checkpoint["hash"]), (&json!(3), &newest["chain_hash"]));
    Ok(())
}
