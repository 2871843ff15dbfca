//! Pods that take up the operator's time.

use anyhow::{Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{Reply, net::Network, prelude::*},
};
use kube::api::DynamicObject;
use serde_json::json;

use super::{
    arena::Arena,
    probing::{TOGETHER, judged},
    table,
};
use crate::{
    harness::{skipped, without_network},
    stage::data,
};

pub(super) const THREATS: &[&str] = &["probes that lie"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_that_cannot_be_reached_do_not_delay_the_probes_of_others() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(network) = Network::create()? else { return without_network() };
    scenario("attack-lies", async |world| {
        let arena = Arena::set(world, network, json!({})).await?;
        lies(&arena).await?;
        table::complete(THREATS)
    })
    .await
}

/// Pods of Tenants that cannot be reached do not prevent the operator from judging other Services.
async fn lies(arena: &Arena<'_>) -> Result<()> {
    let batch = arena.begin().await?;
    let mut targets = Vec::new();
    for number in 0..TOGETHER {
        let name = format!("unreachable-{number}");
        let service = arena.create(&arena.announced(&name).build()).await?;
        let backend = arena.backend_without_server(&service).await?;
        targets.push(backend);
    }
    let all =
        |config: &DynamicObject| (0..TOGETHER).all(|number| judged(config, &format!("unreachable-{number}")).is_some());
    arena.config_is("all of them are judged", all).await?;
    arena.controls_are_probed().await?;
    let packets = arena.check(&batch, &targets).await?;
    let vector = format!("{TOGETHER} Services whose Pods cannot be reached");
    table::add("probes that lie", &vector, "The trusted tools are probed as before, and stay.", packets)?;

    // A trusted tool that fails leaves the output, although the Pods of the Tenant cannot be reached.
    arena.control(0).reply(Reply::Bytes(b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n".to_vec()));
    arena.world.tools(&arena.agent, "Grafana leaves", |tools| !tools.names().contains(&"grafana")).await?;
    let output = arena.output().await?;
    ensure!(data(&output, "custom_toolset.yaml").contains("prometheus-server"), "the others stay");
    let vector = format!("{TOGETHER} Services whose Pods cannot be reached, while a trusted tool fails");
    table::add("probes that lie", &vector, "The trusted tool leaves. The tenant cannot keep it in.", 0)
}
