//! Objects that are large or unusual, and objects that change all the time.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{DEFAULT_CONFIG_MAP, net::Network, prelude::*},
};
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServicePort};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    arena::{Arena, PORT, socket},
    table,
};
use crate::{
    harness::{skipped, without_network},
    stage::data,
};

pub(super) const THREATS: &[&str] = &["oversized and odd objects", "fast changes", "stale entries"];

/// The time during which a Service changes again and again.
const FLAPS: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusual_objects_and_fast_changes_do_not_change_the_trusted_tools() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(network) = Network::create()? else { return without_network() };
    scenario("attack-objects", async |world| {
        let arena = Arena::set(world, network, json!({})).await?;
        odd(&arena).await?;
        fast(&arena).await?;
        stale(&arena).await?;
        table::complete(THREATS)
    })
    .await
}

/// Services that are valid and unusual. Whether they become tools does not matter.
fn services(arena: &Arena<'_>) -> Vec<(&'static str, Service)> {
    let with = |name: &str, change: &dyn Fn(&mut Service)| {
        let mut service = arena.announced(name).build();
        change(&mut service);
        service
    };
    let spec = |name: &str, change: &dyn Fn(&mut k8s_openapi::api::core::v1::ServiceSpec)| {
        with(name, &|service| change(service.spec.get_or_insert_default()))
    };
    let port = |number: i32, protocol: &str| ServicePort {
        name: Some(format!("p{number}")),
        port: number,
        protocol: Some(protocol.to_owned()),
        ..ServicePort::default()
    };
    let annotate = |service: &mut Service, name: &str, value: String| {
        service.metadata.annotations.get_or_insert_default().insert(name.to_owned(), value);
    };
    vec![
        ("300 KiB of annotations", with("huge", &|service| annotate(service, "x", "x".repeat(300 << 10)))),
        ("250 KiB of annotations", with("large", &|service| annotate(service, "x", "x".repeat(250 << 10)))),
        (
            "3,000 annotations of the operator's prefix",
            with("many", &|service| {
                for number in 0..3000 {
                    annotate(service, &format!("kubernaut.io/toolset-{number}"), "{{ x }}".to_owned());
                }
            }),
        ),
        (
            "1,000 labels",
            with("labels", &|service| {
                let labels = service.metadata.labels.get_or_insert_default();
                labels
                    .extend((0..1000).map(|number| (format!("app.kubernetes.io/x{number}"), "prometheus".to_owned())));
            }),
        ),
        ("500 ports", spec("ports", &|spec| spec.ports = Some((1..=500).map(|number| port(number, "TCP")).collect()))),
        ("no TCP port", spec("udp", &|spec| spec.ports = Some(vec![port(9090, "UDP"), port(9091, "SCTP")]))),
        (
            "no port",
            spec("none", &|spec| {
                spec.ports = None;
                spec.cluster_ip = Some("None".to_owned());
            }),
        ),
        (
            "an appProtocol that is no protocol",
            spec("protocol", &|spec| {
                for port in spec.ports.iter_mut().flatten() {
                    port.app_protocol = Some("example.com/https".to_owned());
                }
            }),
        ),
        ("a NodePort", spec("node-port", &|spec| spec.type_ = Some("NodePort".to_owned()))),
        ("a LoadBalancer", spec("load-balancer", &|spec| spec.type_ = Some("LoadBalancer".to_owned()))),
        ("Pods that are not ready", spec("not-ready", &|spec| spec.publish_not_ready_addresses = Some(true))),
        (
            "a selector for every Pod of the namespace",
            spec("everything", &|spec| spec.selector = Some([("app".to_owned(), "honest".to_owned())].into())),
        ),
        ("a name of 63 characters", arena.announced(&"n".repeat(63)).build()),
        (
            "a finalizer, and a deletion",
            with("finalizer", &|service| service.metadata.finalizers = Some(vec!["evil.example/never".to_owned()])),
        ),
        (
            "the labels of the operator's own objects",
            with("ours", &|service| {
                let labels = service.metadata.labels.get_or_insert_default();
                labels.insert("app.kubernetes.io/managed-by".to_owned(), "toolset-operator".to_owned());
            }),
        ),
    ]
}

async fn odd(arena: &Arena<'_>) -> Result<()> {
    let batch = arena.begin().await?;
    let services = services(arena);
    let mut made: Vec<(&str, String)> = Vec::new();
    let in_tenant: Api<Service> = Api::namespaced(arena.admin.clone(), &arena.tenant);
    for (vector, service) in &services {
        match arena.create(service).await {
            Ok(_) => made.push((vector, service.name_any())),
            Err(kube::Error::Api(error)) if error.code == 422 => {
                table::add("oversized and odd objects", vector, "The API server rejects it.", 0)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    in_tenant.delete("finalizer", &DeleteParams::default()).await?;
    let config = arena
        .config_is("all of them are judged", |config| {
            made.iter().all(|(_, name)| judged(config, name).is_some_and(|how| how != "AwaitingEndpointSlices"))
        })
        .await?;
    arena.controls_are_probed().await?;
    let packets = arena.check(&batch, &[]).await?;
    for (vector, name) in made {
        let happened = judged(&config, &name).unwrap_or_default();
        table::add("oversized and odd objects", vector, &format!("`{happened}`"), packets)?;
    }
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    in_tenant.patch("finalizer", &PatchParams::default(), &patch).await?;
    arena.clear().await
}

/// What the status says about a Service: `Selected`, or the reason why it is rejected.
fn judged(config: &kube::api::DynamicObject, service: &str) -> Option<String> {
    let list = |path| config.data.pointer(path).and_then(Value::as_array).into_iter().flatten();
    if list("/status/tools").any(|tool| tool["service"] == service) {
        return Some("Selected".to_owned());
    }
    let rejected = list("/status/rejected").find(|rejected| rejected["service"] == service)?;
    rejected["reason"].as_str().map(str::to_owned)
}

/// A Service that changes as fast as the API server allows, and one that is created and deleted.
async fn fast(arena: &Arena<'_>) -> Result<()> {
    let batch = arena.begin().await?;
    let service = arena.create(&arena.announced("flapping").build()).await?;
    let target = socket(&arena.backend(&service).await?, PORT)?;
    let listed = format!("flapping-{}", arena.tenant);
    arena.world.tools(&arena.agent, "it is listed", |tools| tools.names().contains(&listed.as_str())).await?;
    let in_tenant: Api<Service> = Api::namespaced(arena.admin.clone(), &arena.tenant);
    let moment = arena.world.moment(&arena.agent).await?;
    let (began, mut changes) = (Instant::now(), 0_u32);
    let values = ["/a", "@evil.example", "/b", "/{{ env.TOKEN }}"];
    while began.elapsed() < FLAPS {
        let value = values[changes as usize % values.len()];
        let change = json!({"metadata": {"annotations": {"kubernaut.io/toolset-path": value}}});
        in_tenant.patch("flapping", &PatchParams::default(), &Patch::Merge(change)).await?;
        let short_lived = arena.create(&arena.announced("short-lived").build()).await?;
        in_tenant.delete(&short_lived.name_any(), &DeleteParams::default()).await?;
        changes += 1;
    }
    let seconds = usize::try_from(began.elapsed().as_secs())? + 1;
    let last = json!({"metadata": {"annotations": {"kubernaut.io/toolset-path": "/last"}}});
    in_tenant.patch("flapping", &PatchParams::default(), &Patch::Merge(last)).await?;
    let outputs: Api<ConfigMap> = arena.world.api(&arena.agent);
    present(&outputs, DEFAULT_CONFIG_MAP, "has the last state", |output| {
        data(output, "toolset.json").contains("/last")
    })
    .await?;
    let writes = moment.steps(DEFAULT_CONFIG_MAP).await?.len();
    // One write per second, and one immediate write each time that the tool left.
    ensure!(writes <= 2 * (seconds + 2), "{writes} writes for {changes} changes in {seconds} s");
    let packets = arena.check(&batch, &[target]).await?;
    let happened = format!("{writes} writes for {changes} changes in {seconds} s, and the last state is written");
    table::add(
        "fast changes",
        "a Service that changes, and one that comes and goes, without a pause",
        &happened,
        packets,
    )?;
    arena.clear().await
}

/// A tool leaves the output when its Service or its opt-in is removed.
async fn stale(arena: &Arena<'_>) -> Result<()> {
    let in_tenant: Api<Service> = Api::namespaced(arena.admin.clone(), &arena.tenant);
    for (vector, deletes) in [("a deleted Service", true), ("an opt-out", false)] {
        let batch = arena.begin().await?;
        let service = arena.create(&arena.announced("leaving").build()).await?;
        let target = socket(&arena.backend(&service).await?, PORT)?;
        let listed = format!("leaving-{}", arena.tenant);
        arena.world.tools(&arena.agent, "it is listed", |tools| tools.names().contains(&listed.as_str())).await?;
        if deletes {
            in_tenant.delete("leaving", &DeleteParams::default()).await?;
        } else {
            let change = json!({"metadata": {"annotations": {"kubernaut.io/toolset": "disabled"}}});
            in_tenant.patch("leaving", &PatchParams::default(), &Patch::Merge(change)).await?;
        }
        arena.is_calm().await?;
        let packets = arena.check(&batch, &[target]).await?;
        table::add("stale entries", vector, "The entry leaves the output.", packets)?;
        arena.clear().await?;
    }
    Ok(())
}
