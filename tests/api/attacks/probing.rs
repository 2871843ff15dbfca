//! Pods, EndpointSlices and paths that try to make the operator probe another address.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{Reply, net::Network, prelude::*, services},
};
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, from_value, json};

use super::{
    arena::{Arena, PORT},
    slices::FORBIDDEN,
    table,
};
use crate::harness::{skipped, without_network};

pub(super) const THREATS: &[&str] = &["probes of another address"];

/// The number of the tenant's Services in a batch. With the honest Service, they are within the limit of a namespace.
pub(super) const TOGETHER: usize = 9;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_pod_of_a_tenant_makes_the_operator_probe_another_address() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(network) = Network::create()? else { return without_network() };
    scenario("attack-probing", async |world| {
        let arena = Arena::set(world, network, json!({})).await?;
        arena.controls_are_probed().await?;
        forbidden_pods(&arena).await?;
        rebinding(&arena).await?;
        paths(&arena).await?;
        table::complete(THREATS)
    })
    .await
}

/// What the status says about a Service: the reason of a tool, or why it is rejected.
pub(super) fn judged(config: &DynamicObject, service: &str) -> Option<String> {
    let list = |path| config.data.pointer(path).and_then(Value::as_array).into_iter().flatten();
    let mut all = list("/status/tools").chain(list("/status/rejected"));
    let found = all.find(|one| one["service"] == service)?;
    let reason = found["reason"].as_str()?;
    (reason != "AwaitingEndpointSlices").then(|| reason.to_owned())
}

pub(super) fn judged_as(config: &DynamicObject, service: &str) -> String {
    judged(config, service).map_or_else(|| "Not judged".to_owned(), |reason| format!("`{reason}`"))
}

/// Pods with addresses that the operator never calls. A tenant cannot create them, because the kubelet sets the address
/// of a Pod.
async fn forbidden_pods(arena: &Arena<'_>) -> Result<()> {
    let v4: Vec<&str> = FORBIDDEN.iter().copied().filter(|address| !address.contains(':')).collect();
    let mut pods: Vec<(String, Value, bool)> = Vec::new();
    for address in v4 {
        pods.push((format!("a Pod with the address {address}"), json!(address), false));
    }
    // The address of the node.
    pods.push(("a Pod on the network of its node".to_owned(), json!("172.18.0.2"), true));
    pods.push(("a Pod with the address of its node".to_owned(), json!("172.18.0.2"), false));
    for (batch_number, pods) in pods.chunks(TOGETHER).enumerate() {
        let batch = arena.begin().await?;
        let mut made = Vec::new();
        for (number, (vector, address, on_host)) in pods.iter().enumerate() {
            let name = format!("pod-{batch_number}-{number}");
            let service = arena.create(&arena.announced(&name).build()).await?;
            if pod_at(arena, &service, address, *on_host).await? {
                made.push((name, vector));
            } else {
                table::add("probes of another address", vector, "The API server rejects the address.", 0)?;
            }
        }
        let config = arena
            .config_is("each of them is judged", |config| made.iter().all(|(name, _)| judged(config, name).is_some()))
            .await?;
        arena.controls_are_probed().await?;
        let config = arena.config_is("again", |now| now.metadata.uid == config.metadata.uid).await?;
        let packets = arena.check(&batch, &[]).await?;
        for (name, vector) in made {
            table::add("probes of another address", vector, &judged_as(&config, &name), packets)?;
        }
        arena.clear().await?;
    }
    Ok(())
}

/// Creates a ready Pod with an address of the caller's choice. Returns `false` if the API server rejects the address.
async fn pod_at(arena: &Arena<'_>, service: &Service, address: &Value, on_host: bool) -> Result<bool> {
    let name = format!("{}-1", service.name_any());
    let labels = service.spec.as_ref().and_then(|spec| spec.selector.clone());
    let pod: Pod = from_value(json!({
        "metadata": {"namespace": arena.tenant, "name": name, "labels": labels},
        "spec": {
            "nodeName": "e2e", "hostNetwork": on_host, "automountServiceAccountToken": false,
            "containers": [{"name": "app", "image": "app.example/app:1", "ports": [{"containerPort": PORT}]}],
        },
    }))?;
    arena.create(&pod).await?;
    let status = json!({"status": {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
        "hostIP": "172.18.0.2", "hostIPs": [{"ip": "172.18.0.2"}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }});
    let pods: Api<Pod> = arena.world.api(&arena.tenant);
    match pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(error)) if error.code == 422 => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The addresses in the EndpointSlices of a Service change again and again. The attacker changes the real slice, and
/// adds slices that seem to come from the real controller and to lead to the real Pod.
async fn rebinding(arena: &Arena<'_>) -> Result<()> {
    const TIMES: usize = 30;
    let batch = arena.begin().await?;
    let service = arena.create(&arena.announced("rebinding").build()).await?;
    let (backend, server) = arena.pod(&service, Reply::Bytes(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())).await?;
    let listed = format!("rebinding-{}", arena.tenant);
    arena.world.tools(&arena.agent, "it is listed", |tools| tools.names().contains(&listed.as_str())).await?;
    let slices: Api<EndpointSlice> = Api::namespaced(arena.with_slices.clone(), &arena.tenant);
    let of_service = ListParams::default().labels("kubernetes.io/service-name=rebinding");
    let real = slices.list(&of_service).await?.items.into_iter().next().context("it has a slice")?;
    let pods: Api<Pod> = arena.world.api(&arena.tenant);
    let uid = pods.get(backend.name()).await?.uid();
    let addresses: Vec<&str> = FORBIDDEN.iter().copied().chain(["10.244.0.1", "203.0.113.7"]).collect();
    let mut accepted = 0;
    for number in 0..TIMES {
        let address = addresses[number % addresses.len()];
        let target = json!({"kind": "Pod", "namespace": arena.tenant, "name": backend.name(), "uid": uid});
        let endpoint = json!({"addresses": [address], "conditions": {"ready": true}, "targetRef": target});
        if address.contains(':') {
            let mut forged = real.clone();
            forged.metadata = from_value(json!({
                "name": format!("rebinding-{number}"), "labels": real.metadata.labels,
                "ownerReferences": real.metadata.owner_references,
            }))?;
            "IPv6".clone_into(&mut forged.address_type);
            forged.endpoints = vec![from_value(endpoint)?];
            accepted += usize::from(slices.create(&PostParams::default(), &forged).await.is_ok());
        } else {
            let change = Patch::Merge(json!({"endpoints": [endpoint]}));
            let name = real.name_any();
            accepted += usize::from(slices.patch(&name, &PatchParams::default(), &change).await.is_ok());
        }
    }
    ensure!(accepted > TIMES / 3, "the API server accepted {accepted} of {TIMES}");
    arena.controls_are_probed().await?;
    arena.world.tools(&arena.agent, "it is listed", |tools| tools.names().contains(&listed.as_str())).await?;
    let packets = arena.check(&batch, &[server.address()]).await?;
    let vector = format!("slices that change to {TIMES} other addresses, with every mark of the real controller");
    table::add("probes of another address", &vector, "Only its own Pod is called.", packets)?;
    arena.clear().await
}

/// Paths from annotations of a tenant, and types that are never probed.
async fn paths(arena: &Arena<'_>) -> Result<()> {
    let batch = arena.begin().await?;
    let annotate = |name: &str, values: &[(&str, &str)]| {
        let start = arena.announced(name);
        let add = |builder: services::ServiceBuilder, (key, value): &(&str, &str)| {
            builder.annotation(&format!("kubernaut.io/{key}"), value)
        };
        values.iter().fold(start, add).build()
    };
    let stated = [
        (
            "outside",
            "a health path outside of the stated path",
            &[("toolset-path", "/app"), ("toolset-health-path", "/admin/delete")][..],
            "/admin",
        ),
        (
            "beside",
            "a health path beside the stated path",
            &[("toolset-path", "/app"), ("toolset-health-path", "/app-admin/x")],
            "/app-admin",
        ),
        (
            "old",
            "the same by the predecessor's annotation",
            &[("toolset-path", "/app"), ("toolset-health-endpoint", "/admin/x")],
            "/admin",
        ),
        ("custom", "a type of its own without a health path", &[("toolset-type", "payments")], "/"),
    ];
    let mut servers = Vec::new();
    for (name, vector, annotations, never) in stated {
        let service = arena.create(&annotate(name, annotations)).await?;
        servers.push((
            name,
            vector,
            never,
            arena.pod(&service, Reply::Bytes(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())).await?.1,
        ));
    }
    let all = |config: &DynamicObject| servers.iter().all(|(name, ..)| judged(config, name).is_some());
    arena.config_is("all of them are judged", all).await?;
    arena.controls_are_probed().await?;
    arena.controls_are_probed().await?;
    let config = arena.config_is("again", all).await?;
    let targets: Vec<SocketAddr> = servers.iter().map(|(.., server)| server.address()).collect();
    let packets = arena.check(&batch, &targets).await?;
    for (name, vector, never, server) in &servers {
        let asked = server.requests();
        ensure!(!asked.iter().any(|request| request.starts_with(&format!("GET {never}"))), "{vector}: {asked:?}");
        let happened = format!("{}. This path is never requested.", judged_as(&config, name));
        table::add("probes of another address", vector, &happened, packets)?;
    }
    let sent = arena.name_queries();
    ensure!(sent == 0, "{sent} queries for names");
    table::add(
        "probes of another address",
        "names that resolve to another address later",
        "No name is ever looked up.",
        sent,
    )?;
    arena.clear().await
}
