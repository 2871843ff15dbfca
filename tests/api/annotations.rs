//! Annotations on a Service, and how the operator reports problems in them.

use anyhow::{Result, ensure};
use e2e::harness::{
    prelude::*,
    services::{self, ServiceBuilder},
};
use k8s_openapi::api::core::v1::Event;
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::{Value, json};

use crate::stage::{Stage, data, patch};

#[tokio::test]
async fn a_malformed_annotation_is_reported_in_the_status_and_on_the_service_and_changes_nothing_else() -> Result<()> {
    scenario("malformed", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;
        let before = stage.output().await?;

        // Its labels say Prometheus, but the rules do not replace a malformed annotation.
        let mut service = services::prometheus_server(&stage.apps);
        service.metadata.annotations =
            Some([("kubernaut.io/toolset-path".to_owned(), "@evil.example/x".to_owned())].into());
        let service = stage.world.create(&service).await?;

        let config = stage.config_is("the status says it", |config| {
            let rejected = config.data.pointer("/status/rejected").and_then(Value::as_array);
            rejected
                .into_iter()
                .flatten()
                .any(|one| one["service"] == "prometheus-server" && one["reason"] == "InvalidAnnotation")
        });
        let said = config.await?.data.pointer("/status/rejected/0/message").cloned().unwrap_or_default().to_string();
        assert!(said.contains("kubernaut.io/toolset-path"), "{said}");

        let events: Api<Event> = stage.world.api(&stage.apps);
        let of_service =
            ListParams::default().fields("involvedObject.kind=Service,involvedObject.name=prometheus-server");
        eventually("the owner gets an Event", async || {
            let events = events.list(&of_service).await?.items;
            let told: Vec<_> =
                events.iter().filter(|event| event.reason.as_deref() == Some("InvalidAnnotation")).collect();
            ensure!(told.len() == 1, "{} Events", told.len());
            ensure!(told[0].type_.as_deref() == Some("Warning"));
            ensure!(told[0].involved_object.uid == service.uid(), "kubectl describe finds Events by the uid");
            Ok(())
        })
        .await?;
        let rejected = "dynamictoolset_rejected_services{reason=\"InvalidAnnotation\"}";
        assert_eq!(stage.controller.metric(rejected).await?, Some(1.0));

        let after = stage.output().await?;
        assert_eq!(after.resource_version(), before.resource_version());
        assert!(!data(&after, "custom_toolset.yaml").contains("evil"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_with_a_corrected_annotation_is_listed_again() -> Result<()> {
    scenario("corrected", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let service = ServiceBuilder::new(&stage.apps, "vectors")
            .annotation("kubernaut.io/toolset", "enabled")
            .annotation("kubernaut.io/toolset-type", "vector-database")
            .annotation("kubernaut.io/toolset-port", "nosuch")
            .port("rest", 6333, 6333)
            .build();
        stage.world.create(&service).await?;
        stage
            .config_is("it is rejected", |config| {
                config.data.pointer("/status/rejected/0/reason") == Some(&json!("InvalidAnnotation"))
            })
            .await?;

        let annotations = json!({"kubernaut.io/toolset-port": "rest"});
        patch(&stage.services(), "vectors", json!({"metadata": {"annotations": annotations}})).await?;

        stage.lists(&["vectors"]).await?;
        stage
            .config_is("nothing is rejected", |config| {
                config.data.pointer("/status/summary/rejected") == Some(&json!(0))
            })
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_rejection_is_reported_once_and_not_again_after_a_restart() -> Result<()> {
    scenario("reported-once", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        world.configure(&agent, "default", &crate::stage::without_health(&[&apps])).await?;
        let mut service = services::prometheus_server(&apps);
        service.metadata.annotations = Some([("kubernaut.io/toolset-port".to_owned(), "nosuch".to_owned())].into());
        world.create(&service).await?;
        let events: Api<Event> = world.api(&apps);
        let told = async || -> Result<Vec<Event>> {
            let all = events.list(&ListParams::default()).await?.items;
            Ok(all.into_iter().filter(|event| event.reason.as_deref() == Some("InvalidAnnotation")).collect())
        };

        let mut first = world.start_controller(ControllerOptions::default()).await?;
        let before = eventually("the owner gets an Event", async || {
            let events = told().await?;
            ensure!(events.len() == 1, "{} Events", events.len());
            Ok(events)
        })
        .await?;
        ensure!(first.terminate().await?.success());

        let _second = world.start_controller(ControllerOptions::default()).await?;
        // An Event about the other Service would come after a repeated Event about the first one.
        let twin = ServiceBuilder::new(&apps, "other")
            .annotation("kubernaut.io/toolset", "perhaps")
            .port("http", 80, 80)
            .build();
        world.create(&twin).await?;
        let after = eventually("another owner gets an Event", async || {
            let events = told().await?;
            ensure!(events.len() == 2, "{} Events", events.len());
            Ok(events)
        })
        .await?;
        let same = after.iter().find(|event| event.metadata.uid == before[0].metadata.uid);
        ensure!(same.is_some_and(|event| event.resource_version() == before[0].resource_version()), "{same:?}");
        Ok(())
    })
    .await
}
