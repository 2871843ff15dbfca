//! Services that lead to other addresses than those of their own Pods.

use anyhow::Result;
use e2e::{
    controlplane::controllers_run,
    harness::{net::Network, prelude::*},
};
use k8s_openapi::api::core::v1::Service;
use serde_json::json;

use super::{
    arena::{Arena, Attack},
    slices::slice,
    table,
};
use crate::harness::{skipped, without_network};

pub(super) const THREATS: &[&str] = &["address games"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_service_leads_to_an_address_that_is_not_a_pod_of_its_own() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(network) = Network::create()? else { return without_network() };
    scenario("attack-addresses", async |world| {
        let arena = Arena::set(world, network, json!({})).await?;
        arena.are_rejected(elsewhere(&arena)?).await?;
        table::complete(THREATS)
    })
    .await
}

/// Services whose addresses Kubernetes cannot verify.
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
