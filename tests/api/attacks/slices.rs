//! EndpointSlices that the EndpointSlice controller did not create.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{net::Network, prelude::*},
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, ResourceExt as _, api::DeleteParams};
use serde_json::{Value, from_value, json};

use super::{
    arena::{Arena, Attack, PATIENCE},
    table,
};
use crate::{
    harness::{skipped, without_network},
    stage::CONFIG,
    tenants::rejects,
};

pub(super) const THREATS: &[&str] = &["slices made by hand"];

/// Spellings of addresses that the operator must never call. The API server itself rejects some of them in a slice.
pub(super) const FORBIDDEN: &[&str] = &[
    "169.254.169.254",
    "127.0.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.88.99.1",
    "224.0.0.1",
    "239.1.2.3",
    "240.0.0.1",
    "255.255.255.255",
    "10.96.0.1",
    "192.168.77.2",
    "::1",
    "fe80::1",
    "ff02::1",
    "fec0::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fd00:77::2",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001::a9fe:a9fe",
    "fd00::5efe:a9fe:a9fe",
    "0251.0376.0251.0376",
    "2852039166",
    "169.254.43518",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_slice_made_by_hand_leads_to_an_address_that_is_not_a_pod_of_its_service() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(network) = Network::create()? else { return without_network() };
    scenario("attack-slices", async |world| {
        let arena = Arena::set(world, network, json!({})).await?;
        for (made, makes) in [("without a selector", false), ("with a selector", true)] {
            let attacks = FORBIDDEN.iter().enumerate();
            let attacks = attacks.map(|(number, address)| by_hand(&arena, number, address, made, makes));
            arena.are_rejected(attacks.collect::<Result<_>>()?).await?;
        }
        forged(&arena).await?;
        table::complete(THREATS)
    })
    .await
}

/// A slice made by hand with a forbidden address. It has no label of a controller.
fn by_hand(arena: &Arena<'_>, number: usize, address: &str, made: &str, with_selector: bool) -> Result<Attack> {
    let name = format!("hand-{number}-{with_selector}");
    let mut service = arena.announced(&name).build();
    if !with_selector {
        service.spec.get_or_insert_default().selector = None;
    }
    let family = if address.contains(':') { "IPv6" } else { "IPv4" };
    Ok(Attack {
        threat: "slices made by hand",
        vector: format!("a slice with {address}, {made}"),
        service,
        slices: vec![slice(arena, &name, family, address, &json!({}))?],
        reason: if with_selector { "EndpointNotAllowed" } else { "SelectorlessNotAllowed" },
    })
}

/// A slice made by hand with one endpoint, which has these further fields.
pub(super) fn slice(
    arena: &Arena<'_>,
    service: &str,
    family: &str,
    address: &str,
    more: &Value,
) -> Result<EndpointSlice> {
    let mut endpoint = json!({"addresses": [address], "conditions": {"ready": true}});
    for (field, value) in more.as_object().into_iter().flatten() {
        endpoint[field] = value.clone();
    }
    Ok(from_value(json!({
        "metadata": {
            "namespace": arena.tenant,
            "name": format!("{service}-made-by-hand"),
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": family,
        "endpoints": [endpoint],
        "ports": [{"name": "http", "port": 9090, "protocol": "TCP"}],
    }))?)
}

/// Slices that seem to come from the EndpointSlice controller: they have its label, the Service as owner and Pods as
/// targets. The real controller deletes them, and the attacker creates them again.
async fn forged(arena: &Arena<'_>) -> Result<()> {
    const TIMES: usize = 25;
    let batch = arena.begin().await?;
    let service = arena.create(&arena.announced("forged").build()).await?;
    let uid = service.uid().context("the Service has a uid")?;
    let slices: Api<EndpointSlice> = Api::namespaced(arena.with_slices.clone(), &arena.tenant);
    let target = json!({"targetRef": {"kind": "Pod", "namespace": arena.tenant, "name": "forged-1", "uid": uid}});
    for number in 0..TIMES {
        let address = ["100.100.100.200", "10.96.0.1", "10.244.0.1", "192.168.77.2"][number % 4];
        let mut forged = slice(arena, "forged", "IPv4", address, &target)?;
        forged
            .metadata
            .labels
            .get_or_insert_default()
            .insert("endpointslice.kubernetes.io/managed-by".to_owned(), "endpointslice-controller.k8s.io".to_owned());
        let owner = json!([{"apiVersion": "v1", "kind": "Service", "name": "forged", "uid": uid, "controller": true,
            "blockOwnerDeletion": true}]);
        forged.metadata.owner_references = from_value(owner)?;
        forged.metadata.name = Some(format!("forged-{number}"));
        arena.create_as(&arena.with_slices, &forged).await?;
        // The controller may have deleted the slice already.
        _ = slices.delete(&format!("forged-{number}"), &DeleteParams::default()).await;
    }
    // After slices that it did not expect, the real controller waits longer and longer. The last pause can be longer
    // than the deadline of other conditions.
    let configs = toolset_configs(&arena.world.client(), &arena.agent);
    within(PATIENCE, "it has no endpoint", async || {
        let config = configs.get(CONFIG).await?;
        ensure!(rejects(&config, "forged", "Unhealthy"), "{:?}", config.data.pointer("/status/rejected"));
        Ok(())
    })
    .await?;
    arena.controls_are_probed().await?;
    let packets = arena.check(&batch, &[]).await?;
    let happened = format!("Made {TIMES} times, and deleted by the real controller. The Service stays `Unhealthy`.");
    let vector = "slices with the label, the owner and the targets of the real controller";
    table::add("slices made by hand", vector, &happened, packets)?;
    arena.clear().await
}
