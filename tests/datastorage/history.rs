//! What was tried on a target, and whether it helped.

use std::time::Duration;

use anyhow::Result;
use e2e::datastorage::{ApiClient, Database, Event, Service, events};
use serde_json::{Value, json};

const TARGET: &str = "Deployment/prod/payments-api";

fn made(minutes: u64) -> Event {
    events::sample().with("event_id", events::id_made(Duration::from_secs(minutes * 60)))
}

fn attempt(minutes: u64, story: &str, action: &str, phase: &str, status: &str) -> Event {
    made(minutes).with("correlation_id", story).with("action_type", action).with("phase", phase).with("status", status)
}

fn remediation(minutes: u64, story: &str, before: &str, after: &str) -> Event {
    attempt(minutes, story, "change_spec", "completed", "success")
        .with("kind", "remediation")
        .with("data", json!({"pre_spec_hash": before, "post_spec_hash": after}))
}

async fn history(api: &ApiClient, query: &str) -> Result<Value> {
    api.get(&format!("/api/v1/audit/history?target={TARGET}{query}")).await?.require(200)?.json()
}

fn column<'a>(answer: &'a Value, list: &str, field: &str) -> Vec<&'a str> {
    answer[list].as_array().into_iter().flatten().filter_map(|item| item[field].as_str()).collect()
}

#[tokio::test]
async fn the_records_of_one_action_and_correlation_are_one_attempt_and_the_newest_comes_first() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let batch = [
        attempt(50, "rr-1", "restart_pod", "pending", "pending").without("error_message"),
        attempt(40, "rr-1", "restart_pod", "failed", "failure"),
        attempt(30, "rr-1", "scale_up", "completed", "success").without("error_message"),
        attempt(20, "rr-2", "restart_pod", "processing", "running").without("error_message"),
        attempt(10, "rr-3", "restart_pod", "completed", "success").with("target_resource", "Deployment/prod/other"),
    ];
    service.api().write_batch(&batch).await?;

    let answer = history(service.api(), "").await?;

    assert_eq!(column(&answer, "attempts", "correlation_id"), ["rr-2", "rr-1", "rr-1"]);
    assert_eq!(column(&answer, "attempts", "action_type"), ["restart_pod", "scale_up", "restart_pod"]);
    assert_eq!(column(&answer, "attempts", "status"), ["running", "success", "failure"]);
    let failed = &answer["attempts"][2];
    assert_eq!(failed["phase"], "failed");
    assert_eq!(failed["error_message"], "quota exceeded");
    assert!(failed["started_at"].as_str() < failed["ended_at"].as_str());
    assert_eq!(answer["attempts"][0]["ended_at"], Value::Null);
    assert_eq!(
        answer["by_action"],
        json!([
            {"action_type": "restart_pod", "success": 0, "failure": 1},
            {"action_type": "scale_up", "success": 1, "failure": 0},
        ])
    );
    assert_eq!(answer["regression"], false);
    Ok(())
}

#[tokio::test]
async fn counts_are_of_all_attempts_and_not_only_of_those_that_are_shown() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let batch: Vec<_> =
        (1..=60).map(|index| attempt(index, &format!("rr-{index}"), "restart_pod", "failed", "failure")).collect();
    service.api().write_batch(&batch).await?;
    for (query, shown) in [("", 50), ("&limit=3", 3), ("&limit=500", 60)] {
        let answer = history(service.api(), query).await?;
        assert_eq!(answer["attempts"].as_array().map(Vec::len), Some(shown), "{query}");
        assert_eq!(answer["by_action"][0]["failure"], 60);
    }
    Ok(())
}

#[tokio::test]
async fn a_spec_that_a_remediation_has_left_before_is_a_regression() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    service.api().write_batch(&[remediation(30, "rr-1", "a", "b"), remediation(20, "rr-2", "b", "c")]).await?;
    for (hash, matches, regression) in [
        ("a", ["none", "pre"], true),
        ("b", ["pre", "post"], true),
        ("c", ["post", "none"], false),
        ("d", ["none", "none"], false),
    ] {
        let answer = history(service.api(), &format!("&spec_hash={hash}")).await?;
        assert_eq!(column(&answer, "attempts", "spec_match"), matches, "{hash}");
        assert_eq!(answer["regression"], regression, "{hash}");
    }
    // Seen also if the remediation is not among the attempts that are shown.
    assert_eq!(history(service.api(), "&spec_hash=a&limit=1").await?["regression"], true);
    assert_eq!(history(service.api(), "&spec_hash=a&since=25m").await?["regression"], false);
    Ok(())
}

#[tokio::test]
async fn equal_hashes_of_other_objects_and_other_kinds_say_nothing() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &["--cluster=eu-1"]).await?;
    let batch = [
        remediation(30, "rr-1", "a", "b").with("target_resource", "Deployment/prod/other"),
        remediation(30, "rr-2", "a", "b").with("cluster", "eu-2"),
        remediation(30, "rr-3", "a", "b").with("kind", "execution"),
    ]
    .map(|event| if event.get("cluster") == "" { event.with("cluster", "eu-1") } else { event });
    service.api().write_batch(&batch).await?;
    let answer = history(service.api(), "&spec_hash=a").await?;
    assert_eq!(answer["regression"], false);
    assert_eq!(column(&answer, "attempts", "spec_match"), ["none"]);
    let elsewhere = history(service.api(), "&spec_hash=a&cluster=eu-2").await?;
    assert_eq!(elsewhere["regression"], true);
    assert_eq!(column(&elsewhere, "attempts", "correlation_id"), ["rr-2"]);
    Ok(())
}

#[tokio::test]
async fn a_history_needs_a_target_and_goes_back_90_days() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let days = |number: u64| attempt(number * 24 * 60, &format!("rr-{number}"), "restart_pod", "failed", "failure");
    service.api().write_batch(&[days(1), days(80), days(100)]).await?;
    assert_eq!(column(&history(service.api(), "").await?, "attempts", "correlation_id"), ["rr-1", "rr-80"]);
    assert_eq!(column(&history(service.api(), "&since=2d").await?, "attempts", "correlation_id"), ["rr-1"]);
    assert_eq!(history(service.api(), "&since=300d").await?["by_action"][0]["failure"], 3);
    assert_eq!(history(service.api(), "&namespace=dev").await?["attempts"], json!([]));
    let problem = service.api().get("/api/v1/audit/history?limit=501").await?.problem(400, "validation-error")?;
    let fields: Vec<_> = problem["errors"].as_array().into_iter().flatten().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["target", "limit"]);
    Ok(())
}
