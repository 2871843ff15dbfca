//! The records of one story.

use std::time::Duration;

use anyhow::Result;
use e2e::datastorage::{Database, Event, Service, events};
use serde_json::Value;

const PATH: &str = "/api/v1/audit/correlations";

fn made(seconds: u64) -> Event {
    events::sample().with("event_id", events::id_made(Duration::from_secs(seconds)))
}

#[tokio::test]
async fn a_correlation_starts_with_the_oldest_record_and_the_newest_is_current() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let phases = ["pending", "processing", "completed"];
    let story: Vec<_> = (0..).zip(phases).map(|(index, phase)| made(30 - index * 10).with("phase", phase)).collect();
    let other = made(5).with("correlation_id", "rr-other");
    service.api().write_batch(&[story[2].clone(), story[0].clone(), other, story[1].clone()]).await?;

    let answer: Value = service.api().get(&format!("{PATH}/rr-2026-001")).await?.require(200)?.json()?;

    assert_eq!(answer["correlation_id"], "rr-2026-001");
    let told: Vec<_> = answer["timeline"].as_array().into_iter().flatten().map(|record| &record["phase"]).collect();
    assert_eq!(told, phases);
    assert_eq!(answer["current"], answer["timeline"][2]);
    assert_eq!(answer["first_at"], answer["timeline"][0]["occurred_at"]);
    assert_eq!(answer["last_at"], answer["timeline"][2]["occurred_at"]);
    assert_eq!(answer["truncated"], false);
    assert!(answer.get("hidden").is_none());
    Ok(())
}

#[tokio::test]
async fn a_correlation_whose_id_has_slashes_is_found_with_and_without_encoding() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let id = "toolset/holmes/default/5d0e";
    service.api().write(&events::sample().with("correlation_id", id)).await?;
    for path in [id.to_owned(), id.replace('/', "%2F")] {
        let answer: Value = service.api().get(&format!("{PATH}/{path}")).await?.require(200)?.json()?;
        assert_eq!(answer["correlation_id"], id);
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_correlation_is_404() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    service.api().get(&format!("{PATH}/rr-none")).await?.problem(404, "not-found")?;
    service.api().get(&format!("{PATH}/a%00b")).await?.problem(400, "validation-error")?;
    service.api().get(&format!("{PATH}/a?x=1")).await?.problem(400, "validation-error")?;
    Ok(())
}

#[tokio::test]
async fn a_long_correlation_shows_its_newest_thousand_records_and_when_it_began() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let story: Vec<_> = (0..1010).map(|index| made(2000 - index)).collect();
    for part in story.chunks(500) {
        service.api().write_batch(part).await?;
    }
    let answer: Value = service.api().get(&format!("{PATH}/rr-2026-001")).await?.require(200)?.json()?;
    let timeline = answer["timeline"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(timeline.len(), 1000);
    assert_eq!(timeline[0]["event_id"], story[10].id());
    assert_eq!(answer["current"]["event_id"], story[1009].id());
    assert_eq!(answer["truncated"], true);
    assert!(answer["first_at"].as_str() < timeline[0]["occurred_at"].as_str());
    Ok(())
}
