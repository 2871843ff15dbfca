//! Attacks on credentials, ToolsetConfigs, the operator's objects, and the operator's ports.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{DEFAULT_CONFIG_MAP, net::Network, prelude::*, toolset_config, toolset_configs},
};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, from_value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{
    arena::{Arena, PORT, socket},
    table,
};
use crate::{
    harness::{skipped, without_network},
    stage::{CONFIG, data, patch},
};

pub(super) const THREATS: &[&str] = &[
    "credential redirection",
    "a ToolsetConfig of one's own",
    "writing where it is not allowed",
    "the operator's own ports",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_gets_no_credentials_and_writes_nothing_of_the_operator() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(network) = Network::create()? else { return without_network() };
    scenario("attack-spec", async |world| {
        let arena = Arena::set(world, network, json!({})).await?;
        writing(&arena).await?;
        own_config(&arena).await?;
        ports(&arena).await?;
        credentials(&arena).await?;
        table::complete(THREATS)
    })
    .await
}

fn is_forbidden<T>(answer: &Result<T, kube::Error>) -> bool {
    matches!(answer, Err(kube::Error::Api(error)) if error.code == 403)
}

/// Objects of the operator and of the platform.
async fn writing(arena: &Arena<'_>) -> Result<()> {
    let batch = arena.begin().await?;
    let outputs: Api<ConfigMap> = Api::namespaced(arena.admin.clone(), &arena.agent);
    let change = json!({"data": {"custom_toolset.yaml": "toolsets: {}\n"}});
    let params = kube::api::PatchParams::default();
    let merge = kube::api::Patch::Merge(change);
    ensure!(is_forbidden(&outputs.patch(DEFAULT_CONFIG_MAP, &params, &merge).await));
    let configs = toolset_configs(&arena.admin, &arena.agent);
    let merge = kube::api::Patch::Merge(json!({"spec": {"sources": []}}));
    ensure!(is_forbidden(&configs.patch(CONFIG, &params, &merge).await));
    let platforms: Api<Service> = Api::namespaced(arena.admin.clone(), &arena.dashboards);
    let merge = kube::api::Patch::Merge(json!({"metadata": {"annotations": {"kubernaut.io/toolset": "disabled"}}}));
    ensure!(is_forbidden(&platforms.patch("grafana", &params, &merge).await));
    let packets = arena.check(&batch, &[]).await?;
    let vector = "changes of the output, of the ToolsetConfig and of trusted Services";
    table::add("writing where it is not allowed", vector, "The API server forbids it.", packets)?;

    // In the tenant's own namespace, under the operator's names.
    let own: ConfigMap = from_value(json!({
        "metadata": {
            "namespace": arena.tenant, "name": DEFAULT_CONFIG_MAP,
            "labels": arena.output().await?.labels(),
        },
        "data": {"custom_toolset.yaml": "toolsets: {}\n"},
    }))?;
    let own = arena.create(&own).await?;
    touch(arena).await?;
    let after: ConfigMap = arena.world.api::<ConfigMap>(&arena.tenant).get(DEFAULT_CONFIG_MAP).await?;
    ensure!(after.resource_version() == own.resource_version(), "{after:?}");
    let packets = arena.check(&batch, &[]).await?;
    let vector = "a ConfigMap with the name and the labels of the output, in the tenant's namespace";
    table::add("writing where it is not allowed", vector, "It stays as it is, and nobody reads it.", packets)?;
    arena.is_calm().await
}

/// Waits until the operator has reacted to something that happens after everything else.
async fn touch(arena: &Arena<'_>) -> Result<()> {
    let service = arena.announced("touch").annotation("kubernaut.io/toolset-path", "@").build();
    arena.create(&service).await?;
    arena.config_is("it is rejected", |config| crate::tenants::rejects(config, "touch", "InvalidAnnotation")).await?;
    arena.clear().await
}

async fn own_config(arena: &Arena<'_>) -> Result<()> {
    let batch = arena.begin().await?;
    let spec = json!({
        "sources": [{"name": "all", "trust": "Trusted", "namespaces": {"from": "All"}}],
        "output": {"configMapName": "inventory"},
    });
    let config = toolset_config(&arena.tenant, "mine", &spec);
    let made = toolset_configs(&arena.admin, &arena.tenant).create(&PostParams::default(), &config).await;
    ensure!(is_forbidden(&made), "{made:?}");
    let forbidden = "The API server forbids it.";
    table::add(THREATS[1], "a ToolsetConfig in the tenant's namespace", forbidden, 0)?;

    // The same object, as if an administrator had granted the tenant the permission to create it.
    arena.world.configure(&arena.tenant, "mine", &spec).await?;
    touch(arena).await?;
    let configs = toolset_configs(&arena.world.client(), &arena.tenant);
    let config: DynamicObject = configs.get("mine").await?;
    ensure!(config.data.get("status").is_none_or(Value::is_null), "{:?}", config.data);
    let config_maps: Api<ConfigMap> = arena.world.api(&arena.tenant);
    ensure!(config_maps.get_opt("inventory").await?.is_none());
    let packets = arena.check(&batch, &[]).await?;
    let vector = "the same, where an administrator allows it";
    table::add(THREATS[1], vector, "The operator ignores it: the namespace is not one for ToolsetConfigs.", packets)
}

/// Sends requests that never end to the ports for health and metrics.
async fn ports(arena: &Arena<'_>) -> Result<()> {
    const CONNECTIONS: usize = 300;
    let batch = arena.begin().await?;
    let mut open = Vec::new();
    for number in 0..CONNECTIONS {
        let port = if number % 2 == 0 { arena.controller.health_port() } else { arena.controller.metrics_port() };
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        // The operator may have closed the connection.
        _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
        open.push(stream);
    }
    touch(arena).await?;
    drop(open);
    eventually("it is ready", async || {
        let (status, body) = arena.controller.health("/ready").await?;
        ensure!(status == 200, "{status}: {body}");
        Ok(())
    })
    .await?;
    let packets = arena.check(&batch, &[]).await?;
    let vector = format!("{CONNECTIONS} requests that never end, to the ports for health and metrics");
    table::add(THREATS[3], &vector, "A change is handled meanwhile.", packets)
}

async fn credentials(arena: &Arena<'_>) -> Result<()> {
    let service = arena.create(&arena.announced("prometheus-server").build()).await?;
    let target = socket(&arena.backend(&service).await?, PORT)?;
    let listed = format!("prometheus-server-{}", arena.tenant);
    arena.world.tools(&arena.agent, "it is listed", |tools| tools.names().contains(&listed.as_str())).await?;
    let configs = toolset_configs(&arena.world.client(), &arena.agent);
    let wide =
        json!([{"name": "wide", "match": {"type": "Prometheus"}, "credentials": {"type": "Bearer", "env": "T"}}]);
    ensure!(patch(&configs, CONFIG, json!({"spec": {"overrides": wide}})).await.is_err());
    table::add(THREATS[0], "credentials for a type", "The API server rejects the ToolsetConfig.", 0)?;

    let batch = arena.begin().await?;
    let for_tenant = json!([{
        "name": "token", "match": {"namespace": arena.tenant, "service": "prometheus-server"},
        "credentials": {"type": "Bearer", "env": "TOKEN_OF_THE_PLATFORM"},
    }]);
    patch(&configs, CONFIG, json!({"spec": {"overrides": for_tenant}})).await?;
    arena
        .config_is("the credentials are withheld", |config| {
            config.data.get("status").is_some_and(|status| status.to_string().contains("CredentialsNotAllowed"))
        })
        .await?;
    ensure!(!data(&arena.output().await?, "custom_toolset.yaml").contains("TOKEN_OF_THE_PLATFORM"));
    let packets = arena.check(&batch, &[target]).await?;
    table::add(THREATS[0], "credentials for a Service of the tenant", "`CredentialsNotAllowed`", packets)?;

    // The trusted Service of the same name has credentials.
    let for_trusted = json!([{
        "name": "token", "match": {"namespace": arena.platform, "service": "prometheus-server"},
        "credentials": {"type": "Bearer", "env": "TOKEN_OF_THE_PLATFORM"},
    }]);
    patch(&configs, CONFIG, json!({"spec": {"overrides": for_trusted}})).await?;
    let outputs: Api<ConfigMap> = arena.world.api(&arena.agent);
    let output = present(&outputs, DEFAULT_CONFIG_MAP, "has the credentials", |output| {
        data(output, "custom_toolset.yaml").contains("TOKEN_OF_THE_PLATFORM")
    })
    .await?;
    let file: Value = serde_saphyr::from_str(data(&output, "custom_toolset.yaml"))?;
    let toolsets = file["toolsets"].as_object().context("the file has toolsets")?;
    for (name, toolset) in toolsets {
        let text = toolset.to_string();
        ensure!(!(text.contains(&arena.tenant) && text.contains("TOKEN_OF_THE_PLATFORM")), "{name}: {text}");
    }
    let vector = "a Service with the name of a trusted one that has credentials";
    table::add(THREATS[0], vector, "Only the entry of the trusted one has them.", 0)
}
