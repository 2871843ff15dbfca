//! In a large cluster, nothing is written before all lists are complete.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::{Options, controllers_run},
    harness::{Backend, DEFAULT_CONFIG_MAP, Tools, prelude::*, services},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::json;

use crate::{harness::skipped, stage::CONFIG};

const SERVICES: usize = 1000;
/// One in this number of Services is a tool, so that every page of every list contains some.
const TOOL_EVERY: usize = 25;

#[tokio::test]
async fn the_first_config_map_among_a_thousand_services_is_complete() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    isolated("thousand", Options::default(), async |world, _| {
        let namespaces = [world.namespace("a").await?, world.namespace("b").await?];
        let agent = world.namespace("agent").await?;
        let create = async |number: usize| -> Result<Option<Backend>> {
            let (namespace, name) = (&namespaces[number % 2], format!("service-{number:04}"));
            if !number.is_multiple_of(TOOL_EVERY) {
                world.create(&services::web_shop(namespace, &name)).await?;
                return Ok(None);
            }
            let service = world.create(&services::annotated(namespace, &name, "prometheus")).await?;
            Ok(Some(world.backend(&service).await?))
        };
        let backends: Vec<_> = stream::iter(0..SERVICES).map(create).buffer_unordered(16).try_collect().await?;
        let tools = backends.iter().flatten().count();
        let slices: Api<EndpointSlice> = Api::all(world.client());
        eventually("all tools serve", async || {
            let serving = slices.list(&ListParams::default()).await?.items.into_iter().filter(|slice| {
                slice.name_any().starts_with("service-")
                    && slice
                        .endpoints
                        .iter()
                        .any(|one| one.conditions.as_ref().is_some_and(|all| all.ready == Some(true)))
            });
            let serving = serving.count();
            ensure!(serving == tools, "{serving} of {tools}");
            Ok(())
        })
        .await?;
        world
            .configure(
                &agent,
                CONFIG,
                &json!({
                    "sources": [{"name": "all", "trust": "Trusted", "namespaces": {"from": "All"}}],
                }),
            )
            .await?;
        let moment = world.moment(&agent).await?;

        let controller = world.start_controller(ControllerOptions::unrestricted()).await?;
        world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;

        let steps = moment.steps(DEFAULT_CONFIG_MAP).await?;
        let first = steps.first().and_then(|step| step.config_map()).context("a ConfigMap was written")?;
        assert_eq!(Tools::of(first)?.names().len(), tools, "the first write is complete");
        assert_eq!(steps.len(), 1, "and the only one");
        let watched = controller.metric("dynamictoolset_services_watched").await?;
        // The Services of the API server also count.
        assert_eq!(watched, Some(1001.0));
        Ok(())
    })
    .await
}
