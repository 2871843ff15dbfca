//! Ten thousand Services that opt in.

use std::ops::Range;

use anyhow::{Result, ensure};
use e2e::{
    controlplane::{Options, controllers_run},
    harness::{DEFAULT_CONFIG_MAP, Tools, net::Network, prelude::*, services::ServiceBuilder},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

use super::{
    arena::{Arena, PATIENCE, PORT, socket},
    table,
};
use crate::{
    harness::{skipped, without_network},
    stage::{data, patch},
};

pub(super) const THREATS: &[&str] = &["flood"];

const SERVICES: usize = 10_000;
/// The number of Services that are created while no operator runs. A debug build needs a second or more for each plan
/// with all Services, so only few of them are created while an operator runs.
const BEFORE: usize = 9_950;
/// The limit for one namespace.
const MOST: usize = 10;
/// The trusted tools.
const PLATFORM: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_services_that_opt_in_do_not_change_other_tools() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(network) = Network::create()? else { return without_network() };
    // The flood has its own control plane, because it would delay other tests.
    isolated("attack-flood", Options::default(), async |world, _| {
        // The flood makes the machine slow. With these values, a slow response does not make a trusted tool unhealthy.
        let patient = json!({"timeoutSeconds": 10, "failureThreshold": 10, "periodSeconds": 1});
        let spec = json!({"health": {"mode": "Probe", "probe": patient}});
        let mut arena = Arena::set(world, network, spec).await?;
        let batch = arena.begin().await?;
        let pod = arena.backend(&flooding(&arena.tenant, 0).build()).await?;
        // Most Services are created while no operator runs, as before a restart. The rest is created one by one.
        arena.stop()?;
        create(&arena, 0..BEFORE).await?;
        arena.start_again().await?;
        is_seen(&arena, BEFORE).await?;
        create(&arena, BEFORE..SERVICES).await?;
        is_seen(&arena, SERVICES).await?;
        let honest = format!("honest-{}", arena.tenant);
        // The namespace gets one request per second.
        let tools = within(PATIENCE, "the flood reaches its limit", async || {
            let tools = Tools::of(&arena.output().await?)?;
            ensure!(tools.names().len() == MOST + PLATFORM, "{:?}", tools.names());
            Ok(tools)
        })
        .await?;
        ensure!(tools.names().contains(&honest.as_str()), "who was first stays: {:?}", tools.names());
        arena.controls_are_probed().await?;
        let packets = arena.check(&batch, &[socket(&pod, PORT)?]).await?;
        // The platform changes a Service. The output follows, and the test then reverts the change.
        let platforms: Api<Service> = arena.world.api(&arena.dashboards);
        let outputs: Api<ConfigMap> = arena.world.api(&arena.agent);
        for (path, has) in [(json!("/after-the-flood"), true), (Value::Null, false)] {
            patch(&platforms, "grafana", json!({"metadata": {"annotations": {"kubernaut.io/toolset-path": path}}}))
                .await?;
            present(&outputs, DEFAULT_CONFIG_MAP, "the platform's change is written", |output| {
                data(output, "toolset.json").contains("/after-the-flood") == has
            })
            .await?;
        }
        let happened = format!("At most {MOST} tools, and the older one stays. The rest is `LimitExceeded`.");
        table::add(THREATS[0], "10,000 Services that opt in", &happened, packets)?;
        table::complete(THREATS)
    })
    .await
}

/// Creates the Services of these numbers as the admin.
async fn create(arena: &Arena<'_>, numbers: Range<usize>) -> Result<()> {
    let in_tenant: Api<Service> = Api::namespaced(arena.admin.clone(), &arena.tenant);
    let flood = stream::iter(numbers).map(async |number| {
        let service = flooding(&arena.tenant, number).build();
        in_tenant.create(&PostParams::default(), &service).await.map(drop)
    });
    Ok(flood.buffer_unordered(32).try_collect().await?)
}

/// Waits until the operator knows this number of Services.
async fn is_seen(arena: &Arena<'_>, services: usize) -> Result<()> {
    let expected = (services + PLATFORM + 1).to_string();
    within(2 * PATIENCE, "all of them are seen", async || {
        let seen = arena.controller.metric("dynamictoolset_services_watched").await?;
        ensure!(seen.map(|seen| seen.to_string()).as_ref() == Some(&expected), "{seen:?} instead of {expected}");
        Ok(())
    })
    .await
}

fn flooding(namespace: &str, number: usize) -> ServiceBuilder {
    // All Services share a Pod, so that all of them are ready. Services without a cluster IP are created faster.
    crate::tenants::announced(namespace, &format!("flood-{number:05}")).selector(&[("app", "flood")]).headless()
}
