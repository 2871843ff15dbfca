//! Services that lead somewhere else than to Pods of their own.

use anyhow::{Context as _, Result};
use e2e::{
    controlplane::controllers_run,
    harness::{net::Network, prelude::*},
};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{Api, ResourceExt as _, api::DeleteParams};
use serde_json::{Value, from_value, json};

use super::{
    arena::{Arena, Attack},
    table,
};
use crate::{
    harness::{skipped, without_network},
    tenants::rejects,
};

pub(super) const THREATS: &[&str] = &["address games", "slices made by hand"];

/// Addresses that must never be called, as a slice can state them. The API server itself rejects some.
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
async fn no_service_leads_to_an_address_that_is_not_a_pod_of_its_own() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(network) = Network::create()? else { return without_network() };
    scenario("attack-addresses", async |world| {
        let arena = Arena::set(world, network, json!({})).await?;
        arena.are_rejected(elsewhere(&arena)?).await?;
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

/// Types of Services that Kubernetes cannot vouch for.
fn elsewhere(arena: &Arena<'_>) -> Result<Vec<Attack>> {
    let mut attacks = Vec::new();
    let names = [
        "metadata.google.internal".to_owned(),
        "169.254.169.254".to_owned(),
        "kubernetes.default.svc.cluster.local".to_owned(),
        "localhost".to_owned(),
        format!("prometheus-server.{}.svc.cluster.local", arena.platform),
    ];
    for (number, name) in names.into_iter().enumerate() {
        let mut service = arena.announced(&format!("alias-{number}")).build();
        let spec = service.spec.get_or_insert_default();
        (spec.type_, spec.external_name) = (Some("ExternalName".to_owned()), Some(name.clone()));
        let shown = name.replace(&arena.platform, "platform");
        attacks.push(attack("address games", format!("ExternalName {shown}"), service, "ExternalNameNotAllowed"));
    }
    for (number, address) in ["203.0.113.7", "10.96.0.1", "8.8.8.8"].into_iter().enumerate() {
        let mut service = arena.announced(&format!("outside-{number}")).build();
        service.spec.get_or_insert_default().external_ips = Some(vec![address.to_owned()]);
        attacks.push(attack("address games", format!("externalIPs {address}"), service, "EndpointNotAllowed"));
    }
    let mut bare = arena.announced("bare").build();
    bare.spec.get_or_insert_default().selector = None;
    attacks.push(attack("address games", "no selector and no slice".to_owned(), bare, "SelectorlessNotAllowed"));
    let mut other = arena.announced("other-pods").build();
    other.spec.get_or_insert_default().selector = None;
    let reference = json!({"kind": "Pod", "namespace": arena.platform, "name": "prometheus-server-1", "uid": "1"});
    let slice = slice(arena, "other-pods", "IPv4", "10.244.0.1", &json!({"targetRef": reference}))?;
    attacks.push(Attack {
        slices: vec![slice],
        ..attack(
            "address games",
            "no selector, a slice with Pods of the platform".to_owned(),
            other,
            "SelectorlessNotAllowed",
        )
    });
    Ok(attacks)
}

fn attack(threat: &'static str, vector: String, service: Service, reason: &'static str) -> Attack {
    Attack { threat, vector, service, slices: Vec::new(), reason }
}

/// A slice made by hand with a forbidden address. It says that nobody manages it.
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

fn slice(arena: &Arena<'_>, service: &str, family: &str, address: &str, more: &Value) -> Result<EndpointSlice> {
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

/// Slices that claim to be the EndpointSlice controller's, with its label, the Service as owner and Pods as targets. The
/// real controller deletes them, and the attacker makes them again.
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
        // The controller may have been faster.
        _ = slices.delete(&format!("forged-{number}"), &DeleteParams::default()).await;
    }
    arena.config_is("it has no endpoint", |config| rejects(config, "forged", "Unhealthy")).await?;
    arena.controls_are_probed().await?;
    let packets = arena.check(&batch, &[]).await?;
    let happened = format!("Made {TIMES} times, and deleted by the real controller. The Service stays `Unhealthy`.");
    let vector = "slices with the label, the owner and the targets of the real controller";
    table::add("slices made by hand", vector, &happened, packets)?;
    arena.clear().await
}
