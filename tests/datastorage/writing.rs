//! Writing records, one by one and in batches.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::datastorage::{Database, Event, Service, events};
use serde_json::{Value, json};

const EVENTS: &str = "/api/v1/audit/events";
const BATCH: &str = "/api/v1/audit/events/batch";

async fn rows(database: &Database) -> Result<i64> {
    Ok(database.owner().await?.query_one("SELECT count(*) FROM audit_event", &[]).await?.get(0))
}

/// The fields and reasons of a problem.
fn errors(problem: &Value) -> Vec<(String, String)> {
    let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let errors = problem["errors"].as_array().into_iter().flatten();
    errors.map(|error| (text(error, "field"), text(error, "reason"))).collect()
}

/// The statuses of the results of a batch.
fn statuses(result: &Value) -> Vec<&str> {
    result["results"].as_array().into_iter().flatten().filter_map(|item| item["status"].as_str()).collect()
}

#[tokio::test]
async fn a_record_that_is_answered_with_201_is_in_the_database() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let event = events::sample();

    let answer = service.api().post_event(&event).await?.require(201)?;

    assert_eq!(answer.header("location"), Some(format!("{EVENTS}/{}", event.id()).as_str()));
    let written: Value = answer.json()?;
    assert_eq!(written["event_id"], event.id());
    assert_eq!((&written["seq"], &written["duplicate"]), (&json!(1), &json!(false)));
    let id: uuid::Uuid = event.id().parse()?;
    let sql = "SELECT seq, recorded_by, summary, data->>'dry_run' FROM audit_event WHERE event_id = $1";
    let row = database.owner().await?.query_one(sql, &[&id]).await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (1, "anonymous"));
    assert_eq!(row.get::<_, &str>(2), "Restarted after OOMKilled; memory limit too low");
    assert_eq!(row.get::<_, &str>(3), "false");
    Ok(())
}

#[tokio::test]
async fn what_is_read_back_is_what_was_written() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &["--cluster=eu-1"]).await?;
    let data =
        json!({"numbers": [0, -7, 1.5, 1.5e-7, 9_007_199_254_740_991_i64], "text": "ü \"x\" \u{1f600}", "none": null});
    let event = events::sample()
        .without("cluster")
        .with("occurred_at", "2026-11-25T22:25:42.888123Z")
        .with("event_id", "01a214d0-91e8-7879-817e-770341496902")
        .with("data", data.clone());
    service.api().write(&event).await?;
    let record = service.api().record(event.id()).await?.context("the record is there")?;
    for field in
        ["event_id", "kind", "occurred_at", "name", "namespace", "phase", "status", "action_type", "correlation_id"]
    {
        assert_eq!(&record[field], event.get(field), "{field}");
    }
    for field in ["severity", "environment", "target_resource", "fingerprint", "actor", "duration_ms", "summary"] {
        assert_eq!(&record[field], event.get(field), "{field}");
    }
    assert_eq!(record["data"], data);
    assert_eq!(record["cluster"], "eu-1");
    assert_eq!(record["parent_event_id"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn the_same_record_again_is_a_duplicate_and_is_stored_once() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let event = events::sample();
    let first = service.api().write(&event).await?;
    for _ in 0..3 {
        let answer = service.api().post_event(&event).await?.require(200)?;
        let again: e2e::datastorage::Written = answer.json()?;
        assert!(again.duplicate);
        assert_eq!((again.seq, &again.recorded_at), (first.seq, &first.recorded_at));
    }
    assert_eq!(rows(&database).await?, 1);
    Ok(())
}

#[tokio::test]
async fn the_same_id_with_other_content_is_a_conflict_and_changes_nothing() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let event = events::sample();
    service.api().write(&event).await?;
    service.api().post_event(&event.clone().with("status", "success")).await?.problem(409, "conflict")?;
    let record = service.api().record(event.id()).await?.context("the record is there")?;
    assert_eq!(record["status"], "failure");
    Ok(())
}

#[tokio::test]
async fn a_record_without_an_id_gets_one_so_its_retry_is_a_new_record() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let first = service.api().write(&events::minimal()).await?;
    let second = service.api().write(&events::minimal()).await?;
    assert_ne!(first.event_id, second.event_id);
    assert_eq!(first.event_id.as_bytes()[14], b'7');
    assert_eq!((first.seq, second.seq), (Some(1), Some(2)));
    Ok(())
}

#[tokio::test]
async fn all_fields_that_break_a_rule_are_named_with_the_reason() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let event = events::sample()
        .without("phase")
        .with("kind", "party")
        .with("name", "a".repeat(256))
        .with("environment", "<b>")
        .with("seq", 7);
    let problem = service.api().post_event(&event).await?.problem(400, "validation-error")?;
    let mut found = errors(&problem);
    found.sort();
    let expected = [
        ("environment", "xss_detected"),
        ("kind", "invalid"),
        ("name", "length_exceeded"),
        ("phase", "required"),
        ("seq", "invalid"),
    ];
    assert_eq!(found, expected.map(|(field, reason)| (field.to_owned(), reason.to_owned())));
    let series = "datastorage_validation_failures_total{field=\"environment\",reason=\"xss_detected\"}";
    assert_eq!(service.metric(series).await?, Some(1.0));
    assert_eq!(rows(&database).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_batch_has_a_result_for_each_record_in_the_order_of_the_request() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let (known, fresh) = (events::sample(), events::sample());
    service.api().write(&known).await?;
    let broken = events::sample().with("phase", "");
    let other = known.clone().with("status", "success");

    let batch = [fresh.clone(), known.clone(), broken.clone(), other, fresh.clone(), events::minimal()];
    let result = service.api().write_batch(&batch).await?;

    assert_eq!(statuses(&result), ["created", "duplicate", "invalid", "conflict", "duplicate", "created"]);
    assert_eq!([&result["created"], &result["duplicates"], &result["rejected"]], [2, 2, 2]);
    let ids = [fresh.id(), known.id(), broken.id(), known.id(), fresh.id()];
    assert_eq!(ids.map(Value::from), std::array::from_fn(|index| result["results"][index]["event_id"].clone()));
    assert_eq!(result["results"][2]["problem"]["errors"][0]["field"], "phase");
    assert_eq!(result["results"][3]["problem"]["type"], "urn:datastorage:problem:conflict");
    assert_eq!([&result["results"][0]["seq"], &result["results"][1]["seq"], &result["results"][5]["seq"]], [2, 1, 3]);
    assert_eq!(rows(&database).await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_batch_has_one_to_500_records() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let event = events::minimal();
    for (number, reason) in [(0, "required"), (501, "length_exceeded")] {
        let body = json!({"events": vec![event.json(); number]});
        let problem = service.api().post(BATCH, &body).await?.problem(400, "validation-error")?;
        assert_eq!(errors(&problem), [("events".to_owned(), reason.to_owned())]);
    }
    assert_eq!(rows(&database).await?, 0);
    let result = service.api().write_batch(&vec![event; 500]).await?;
    assert_eq!(result["created"], 500);
    assert_eq!(rows(&database).await?, 500);
    Ok(())
}

#[tokio::test]
async fn a_batch_has_records_of_at_most_16_namespaces() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let batch = |namespaces: usize| -> Vec<Event> {
        (0..namespaces).map(|number| events::sample().with("namespace", format!("team-{number}"))).collect()
    };
    let body = json!({"events": batch(17)});
    let problem = service.api().post(BATCH, &body).await?.problem(400, "validation-error")?;
    assert_eq!(errors(&problem)[0].0, "events");
    assert_eq!(service.api().write_batch(&batch(16)).await?["created"], 16);
    Ok(())
}

#[tokio::test]
async fn a_batch_that_is_no_batch_is_refused_as_a_whole() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    for body in [json!([]), json!({"event": []}), json!({"events": {}}), json!({"events": [], "more": 1}), json!(7)] {
        service.api().post(BATCH, &body).await?.problem(400, "validation-error")?;
    }
    // The parameter of an earlier draft of the API.
    let body = json!({"events": [events::sample().json()]});
    let problem = service.api().post(&format!("{BATCH}?atomic=true"), &body).await?.problem(400, "validation-error")?;
    assert_eq!(errors(&problem)[0].0, "atomic");
    Ok(())
}

#[tokio::test]
async fn a_record_can_be_as_old_as_the_retention_and_not_older() -> Result<()> {
    let day = Duration::from_secs(24 * 60 * 60);
    let database = Database::fresh().await?;
    let service = Service::start(&database, &["--retention=60d"]).await?;
    let old = |days: u32| events::sample().with("event_id", events::id_made(day * days));
    service.api().write(&old(50)).await?;
    let problem = service.api().post_event(&old(61)).await?.problem(400, "validation-error")?;
    assert_eq!(errors(&problem), [("event_id".to_owned(), "invalid".to_owned())]);
    Ok(())
}

#[tokio::test]
async fn a_secret_in_a_record_is_neither_stored_nor_shown() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let event = events::sample().with("summary", format!("cloned with {token}")).with("data", json!({"output": token}));
    service.api().write(&event).await?;
    let record = service.api().record(event.id()).await?.context("the record is there")?;
    assert!(!record.to_string().contains(&token), "{record}");
    assert_eq!(record["summary"], "cloned with [REDACTED:github_token]");
    let series = "datastorage_redactions_total{class=\"github_token\"}";
    assert_eq!(service.metric(series).await?, Some(2.0));
    assert!(!service.log()?.contains(&token));
    Ok(())
}

#[tokio::test]
async fn a_write_counts_by_its_table_and_its_outcome() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let event = events::sample();
    service.api().write(&event).await?;
    service.api().write(&event).await?;
    service.api().post_event(&event.clone().with("status", "success")).await?.require(409)?;
    service.api().write(&events::sample().with("kind", "workflow").with("data", json!({}))).await?;
    for (table, status, count) in [
        ("execution_audit", "success", 1.0),
        ("execution_audit", "duplicate", 1.0),
        ("execution_audit", "refused", 1.0),
        ("workflow_audit", "success", 1.0),
        ("workflow_audit", "failure", 0.0),
    ] {
        let series = format!("datastorage_write_total{{table=\"{table}\",status=\"{status}\"}}");
        assert_eq!(service.metric(&series).await?, Some(count), "{series}");
    }
    let series = "datastorage_write_duration_seconds_count{table=\"execution_audit\"}";
    assert_eq!(service.metric(series).await?, Some(3.0));
    Ok(())
}
