//! The OpenAPI document. The client of all tests compares every answer with it.

use anyhow::{Context as _, Result};
use e2e::datastorage::{Database, Service, contract};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn the_service_serves_the_document_that_is_committed() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let served: Value = service.api().get("/openapi.json").await?.require(200)?.json()?;
    let committed: Value = serde_json::from_str(contract::DOCUMENT)?;
    assert_eq!(served, committed, "run `cargo xtask docs`");
    assert_eq!(served["openapi"], "3.1.0");
    Ok(())
}

#[tokio::test]
async fn every_documented_path_and_method_is_there() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let document: Value = serde_json::from_str(contract::DOCUMENT)?;
    for (template, operations) in document["paths"].as_object().context("paths")? {
        let path = template.replace("{event_id}", "7").replace("{correlation_id}", "%00");
        for name in operations.as_object().context("operations")?.keys() {
            let method: Method = name.to_uppercase().parse()?;
            let body = serde_json::to_vec(&json!({}))?;
            let answer = service.api().send(method, &path, &[("content-type", "application/json")], body).await?;
            assert!(![404, 405, 500].contains(&answer.status), "{name} {path}: {answer}");
        }
    }
    Ok(())
}
