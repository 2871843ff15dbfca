//! What a namespace says about the objects and the stories of another one.

use std::time::Duration;

use anyhow::Result;
use e2e::{
    datastorage::{Database, Service, events},
    harness::prelude::*,
};
use serde_json::{Value, json};

use crate::access::{Access, READ, WRITE};

const HISTORY: &str = "/api/v1/audit/history";
const STORIES: &str = "/api/v1/audit/correlations";

#[tokio::test]
async fn only_a_writer_of_the_whole_cluster_can_write_about_an_object_of_another_namespace() -> Result<()> {
    scenario("ds-claims", async |world| {
        let (prod, dev) = (world.namespace("prod").await?, world.namespace("dev").await?);
        let access = Access::start(world, &[]).await?;
        let tenant = access.caller_in(world, &dev, "tenant", WRITE).await?;
        let engine = access.caller_everywhere(world, &dev, "engine", &["create", "list"]).await?;
        let target = format!("Deployment/{prod}/payments-api");
        let honest = events::sample().with("namespace", prod.as_str()).with("target_resource", target.as_str());
        engine.api.write(&honest.clone().with("status", "success").with("correlation_id", "rr-9")).await?;

        let forged = events::sample()
            .with("namespace", dev.as_str())
            .with("target_resource", target.as_str())
            .with("correlation_id", "rr-9");
        let problem = tenant.api.post_event(&forged).await?.problem(403, "forbidden")?;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("target_resource") && detail.contains(&prod), "{detail}");
        tenant.api.write(&forged.renewed().with("target_resource", format!("Deployment/{dev}/payments-api"))).await?;
        tenant.api.write(&forged.renewed().without("target_resource")).await?;
        // An engine in a namespace of its own may do it, and the history says who it was.
        engine.api.write(&forged.renewed().with("correlation_id", "rr-10")).await?;

        let history: Value = engine.api.get(&format!("{HISTORY}?target={target}")).await?.require(200)?.json()?;
        assert_eq!(history["attempts"].as_array().map(Vec::len), Some(2), "{history}");
        assert_eq!(history["attempts"][0]["namespace"], dev);
        assert_eq!(history["attempts"][0]["recorded_by"], format!("system:serviceaccount:{dev}:engine"));
        assert_eq!(history["attempts"][1]["status"], "success");

        // Anybody can name a story. Who reads it sees that there are others in it, and can leave them out.
        let story: Value = engine.api.get(&format!("{STORIES}/rr-9")).await?.require(200)?.json()?;
        let mut both = [dev.as_str(), prod.as_str()];
        both.sort_unstable();
        assert_eq!(story["namespaces"], json!(both));
        let own = engine.api.get(&format!("{STORIES}/rr-9?namespace={prod}")).await?.require(200)?.json::<Value>()?;
        assert_eq!((&own["namespaces"], &own["current"]["namespace"]), (&json!([prod]), &json!(prod)));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_reader_of_one_namespace_can_ask_for_this_one_and_not_for_another() -> Result<()> {
    scenario("ds-claims-read", async |world| {
        let (mine, other) = (world.namespace("mine").await?, world.namespace("other").await?);
        let access = Access::start(world, &[]).await?;
        let engine = access.caller_everywhere(world, &mine, "engine", &["create"]).await?;
        let reader = access.caller_in(world, &mine, "reader", READ).await?;
        // More namespaces than are asked about have newer records of the story and of the node.
        let event = events::sample().with("target_resource", "Node/worker-1").with("correlation_id", "rr-1");
        engine.api.write(&event.clone().with("namespace", mine.as_str())).await?;
        let others: Vec<_> =
            (0..20).map(|index| event.renewed().with("namespace", format!("{other}-{index}"))).collect();
        for others in others.chunks(10) {
            engine.api.write_batch(others).await?;
        }
        for path in [format!("{STORIES}/rr-1?"), format!("{HISTORY}?target=Node/worker-1&")] {
            let own: Value = reader.api.get(&format!("{path}namespace={mine}")).await?.require(200)?.json()?;
            assert_eq!(own["truncated"], false, "{own}");
            reader.api.get(&format!("{path}namespace={other}")).await?.problem(403, "forbidden")?;
        }
        let history = reader.api.get(&format!("{HISTORY}?target=Node/worker-1")).await?.require(200)?;
        assert_eq!(history.json::<Value>()?["truncated"], true, "some namespaces were not asked about");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_record_of_another_namespace_is_an_attempt_of_its_own() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let event = events::sample().with("target_resource", "Node/worker-1");
    service.api().write(&event.clone().with("namespace", "prod").with("status", "success")).await?;
    service.api().write(&event.renewed().with("namespace", "evil").with("status", "failure")).await?;
    let path = format!("{HISTORY}?target=Node/worker-1");
    let history: Value = service.api().get(&path).await?.require(200)?.json()?;
    assert_eq!(history["by_action"], json!([{"action_type": "restart_pod", "success": 1, "failure": 1}]));
    let prod: Value = service.api().get(&format!("{path}&namespace=prod")).await?.require(200)?.json()?;
    assert_eq!(prod["by_action"], json!([{"action_type": "restart_pod", "success": 1, "failure": 0}]));
    Ok(())
}

#[tokio::test]
async fn a_history_is_made_of_the_newest_5000_records() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let old =
        events::sample().with("event_id", events::id_made(Duration::from_secs(3600))).with("action_type", "scale_up");
    service.api().write(&old).await?;
    for _ in 0..10 {
        let batch: Vec<_> = (0..500).map(|_| events::sample()).collect();
        service.api().write_batch(&batch).await?;
    }
    let path = format!("{HISTORY}?target=Deployment/prod/payments-api");
    let history: Value = service.api().get(&path).await?.require(200)?.json()?;
    assert_eq!(history["truncated"], true);
    assert_eq!(history["by_action"].as_array().map(Vec::len), Some(1), "the old record is not one of the newest 5,000");
    Ok(())
}
