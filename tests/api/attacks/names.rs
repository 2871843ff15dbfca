//! Services with the names and labels of trusted tools, or with the names of the agent's own toolsets.

use anyhow::{Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{DEFAULT_CONFIG_MAP, net::Network, prelude::*, services},
};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use serde_json::{Value, json};

use super::{
    arena::{Arena, Attack, PORT, socket},
    table,
};
use crate::{
    harness::{skipped, without_network},
    stage::data,
    tenants::rejects,
};

pub(super) const THREATS: &[&str] = &["name games", "spoofing a trusted tool"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_service_of_a_tenant_takes_the_name_or_the_place_of_a_trusted_tool() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(network) = Network::create()? else { return without_network() };
    scenario("attack-names", async |world| {
        let arena = Arena::set(world, network, json!({})).await?;
        arena.are_rejected(malformed(&arena)).await?;
        arena.are_rejected(vec![twin_without_opt_in(&arena)]).await?;
        stolen(&arena).await?;
        table::complete(THREATS)
    })
    .await
}

fn malformed(arena: &Arena<'_>) -> Vec<Attack> {
    let long = "a".repeat(41);
    let values = [
        "kubernetes/core",
        "prometheus/metrics",
        "pr\u{43e}metheus-server",
        "\u{ff50}rometheus-server",
        "prometheus\u{2010}server",
        "Prometheus-Server",
        "prometheus server",
        "prometheus-server\n",
        "-prometheus",
        "../prometheus",
        "",
        long.as_str(),
    ];
    let attack = |(number, value): (usize, &str)| Attack {
        threat: "name games",
        vector: format!("toolset-name: {value}"),
        service: arena.announced(&format!("name-{number}")).annotation("kubernaut.io/toolset-name", value).build(),
        slices: Vec::new(),
        reason: "InvalidAnnotation",
    };
    values.into_iter().enumerate().map(attack).collect()
}

/// The labels, the ports and the name of a trusted Prometheus.
fn twin_without_opt_in(arena: &Arena<'_>) -> Attack {
    Attack {
        threat: "spoofing a trusted tool",
        vector: "the name, labels and ports of the trusted Prometheus".to_owned(),
        service: services::prometheus_server(&arena.tenant),
        slices: Vec::new(),
        reason: "TenantNotOptedIn",
    }
}

/// Valid names that already belong to another tool or to the agent.
async fn stolen(arena: &Arena<'_>) -> Result<()> {
    let names = [
        ("prometheus-server", "prometheus-server"),
        ("grafana", "grafana"),
        ("a", "kubernetes-core"),
        ("b", "prometheus-metrics"),
        ("c", "bash"),
        ("d", "discovered-revision-1"),
        ("e", "prometheus-server"),
    ];
    let batch = arena.begin().await?;
    let mut targets = Vec::new();
    for (service, name) in names {
        let mut service: Service = arena.announced(service).annotation("kubernaut.io/toolset-name", name).build();
        if name == "grafana" {
            let annotations = service.metadata.annotations.get_or_insert_default();
            annotations.insert("kubernaut.io/toolset-type".to_owned(), "grafana".to_owned());
        }
        let service = arena.create(&service).await?;
        targets.push(socket(&arena.backend(&service).await?, PORT)?);
    }
    let settled = |config: &_| {
        let tools = config_tools(config);
        names.iter().all(|(service, _)| {
            let listed = tools.iter().any(|tool| tool["namespace"] == arena.tenant && tool["service"] == *service);
            listed || rejects(config, service, "NameConflict")
        })
    };
    let config = arena.config_is("all of them are judged", settled).await?;
    let tools = config_tools(&config);
    let names_of = |is_tenant: bool| -> Vec<String> {
        let tools = tools.iter().filter(|tool| (tool["namespace"] == arena.tenant) == is_tenant);
        tools.filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect()
    };
    let mut trusted = names_of(false);
    trusted.sort_unstable();
    ensure!(trusted == ["grafana", "prometheus", "prometheus-server"], "{tools:?}");
    let own = names_of(true);
    ensure!(own.iter().all(|name| name.contains(&arena.tenant)), "each name has the namespace: {own:?}");
    present(&arena.world.api::<ConfigMap>(&arena.agent), DEFAULT_CONFIG_MAP, "is written", |output| {
        own.iter().all(|name| data(output, "toolset.json").contains(&format!("\"{name}\"")))
    })
    .await?;
    let file: Value = serde_saphyr::from_str(data(&arena.output().await?, "custom_toolset.yaml"))?;
    let toolsets = file["toolsets"].as_object().into_iter().flatten();
    for (name, toolset) in toolsets.filter(|(_, toolset)| toolset.to_string().contains(&arena.tenant)) {
        ensure!(toolset["type"] == "http", "{name} of a tenant is {toolset}");
    }
    let packets = arena.check(&batch, &targets).await?;
    let happened = "Listed under a name with the tenant's namespace, as an entry of `type: http`.";
    for (service, name) in names {
        let vector = format!("toolset-name: {name}, on the Service {service}");
        let conflict = rejects(&config, service, "NameConflict");
        table::add("name games", &vector, if conflict { "`NameConflict`" } else { happened }, packets)?;
    }
    let vector = "the names and types of the trusted Prometheus and Grafana, with an opt-in";
    table::add("spoofing a trusted tool", vector, happened, packets)?;
    arena.clear().await
}

fn config_tools(config: &kube::api::DynamicObject) -> Vec<Value> {
    config.data.pointer("/status/tools").and_then(Value::as_array).cloned().unwrap_or_default()
}
