//! What it costs to read Pods, and what it never delays.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{
    controlplane::{Options, controllers_run},
    harness::{DEFAULT_CONFIG_MAP, prelude::*, services},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::DeleteParams;
use serde_json::json;

use crate::{
    harness::skipped,
    pods::{grafana_under, has_path, path},
    rights,
    stage::{CONFIG, Stage, behind, without_health},
};

const SERVICES: usize = 10_000;
const CANDIDATES: usize = 50;
/// The number of Services in each namespace.
const PER_NAMESPACE: usize = 1000;

/// How long nothing changes.
const REST: Duration = Duration::from_secs(10);

#[tokio::test]
async fn ten_thousand_services_with_fifty_candidates_make_fifty_reads_at_the_start_and_none_at_rest() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let options = Options { audit_log: true, ..Options::default() };
    isolated("pods-many", options, async |world, plane| {
        let agent = world.namespace("agent").await?;
        let mut namespaces = Vec::new();
        for number in 0..SERVICES / PER_NAMESPACE {
            namespaces.push(world.namespace(&format!("apps-{number}")).await?);
        }
        let candidates: Vec<_> = (0..CANDIDATES)
            .map(|number| {
                let namespace = &namespaces[number % namespaces.len()];
                services::prometheus_named(namespace, &format!("prometheus-{number:02}"))
            })
            .collect();
        let make = async |service| world.backend(&world.create(service).await?).await;
        stream::iter(&candidates).map(make).buffer_unordered(16).try_collect::<Vec<_>>().await?;
        // Without a selector and an address, so that the control plane has little to do for them.
        let shop = async |number: usize| {
            let namespace = &namespaces[number % namespaces.len()];
            let mut shop = services::web_shop(namespace, &format!("shop-{number:05}"));
            let spec = shop.spec.get_or_insert_default();
            (spec.selector, spec.cluster_ip) = (None, Some("None".to_owned()));
            world.create(&shop).await
        };
        let others = stream::iter(0..SERVICES - CANDIDATES).map(shop).buffer_unordered(32);
        others.try_for_each(|_| std::future::ready(Ok(()))).await?;
        let account = rights::operator(world, &agent).await?;
        let everywhere = json!({"sources": [{"name": "all", "trust": "Trusted", "namespaces": {"from": "All"}}]});
        world.configure(&agent, CONFIG, &everywhere).await?;
        let options = ControllerOptions {
            kubeconfig: Some(account.kubeconfig().to_owned()),
            ..ControllerOptions::unrestricted()
        };
        let controller = world.start_controller(options).await?;
        world.tools(&agent, "lists the candidates", |tools| tools.names().len() == CANDIDATES).await?;
        let reads = async || -> Result<f64> {
            let mut reads = 0.0;
            for result in ["read", "forbidden", "gone", "failed"] {
                let series = format!("dynamictoolset_pod_reads_total{{result=\"{result}\"}}");
                reads += controller.metric(&series).await?.unwrap_or_default();
            }
            Ok(reads)
        };
        eventually("all candidates are read", async || {
            let reads = reads().await?;
            ensure!(reads.to_string() == CANDIDATES.to_string(), "{reads} reads");
            Ok(())
        })
        .await?;
        holds(REST, "no Pod is read", async || {
            ensure!(reads().await?.to_string() == CANDIDATES.to_string());
            Ok(())
        })
        .await?;
        let reads = plane.audited_requests()?;
        let reads = reads.iter().filter(|one| one.user == account.user() && one.resource == "pods").count();
        ensure!(reads == CANDIDATES, "{reads} requests");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_pod_that_is_not_answered_delays_the_first_write_for_a_moment_and_no_later_one() -> Result<()> {
    if !controllers_run() {
        return skipped("Deployments need kube-controller-manager");
    }
    scenario("pods-slow", async |world| {
        let proxy = world.proxy().await?;
        let (apps, agent) = (world.namespace("apps").await?, world.namespace("agent").await?);
        let _kubelet = world.kubelet(&apps).await?;
        let grafana = world.create(&services::grafana(&apps)).await?;
        world.deploy(&grafana, "grafana", grafana_under("/grafana")).await?;
        world.configure(&agent, CONFIG, &without_health(&[&apps])).await?;
        let hangs = proxy.hold(|request| request.is("get", "pods"));
        let controller = world.start_controller(behind(&proxy)).await?;
        let tools = world.tools(&agent, "it is written without the answer", |tools| tools.names().len() == 1).await?;
        ensure!(path(&tools, "grafana") == Some(""), "{tools:?}");
        let asked = proxy.exchanges_of(|request| request.is("get", "pods"));
        ensure!(!asked.is_empty(), "it was asked first");

        let stage = stage_of(world, &apps, &agent, controller);
        stage.meddle(json!({"data": {"toolset.json": "edited"}})).await?;
        stage.world.tools(&stage.agent, "it is repaired", |tools| tools.names().len() == 1).await?;
        stage.config_maps().delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
        stage.world.tools(&stage.agent, "it is created again", |tools| tools.names().len() == 1).await?;
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        stage.lists(&["grafana", "prometheus-server"]).await?;
        drop(hangs);
        has_path(stage.world, &stage.agent, "grafana", "/grafana").await.map(drop)
    })
    .await
}

/// A stage around a controller that runs already.
fn stage_of<'a>(world: &'a mut World, apps: &str, agent: &str, controller: e2e::harness::Controller) -> Stage<'a> {
    Stage { world, apps: apps.to_owned(), agent: agent.to_owned(), controller }
}
