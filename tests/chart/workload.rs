//! The main job from end to end, as one installation sees it: everything that the operator has a right for happens.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{
    Backend, DEFAULT_CONFIG_MAP, FakeAgent, Reply, World, eventually, present,
    services::{self, ServiceBuilder},
    toolset_configs,
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service},
    events::v1::Event,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The agent's Deployment, which may be restarted.
pub(crate) const AGENT: &str = "holmes-holmes";

/// The agent that may be asked, in the value `agents`.
pub(crate) const OBSERVED: &str = "{toolsetConfig: default, service: holmes, port: 80}";

/// The port of the agent in its Pod.
const AGENTS_PORT: u16 = 5050;

/// The environment of a controller that asks an agent without a network, and soon.
pub(crate) fn agents_environment(world: &World) -> Vec<(String, String)> {
    let redirects = world.folder().join("redirects").display().to_string();
    vec![
        ("TOOLSET_TEST_REDIRECTS".to_owned(), redirects),
        ("TOOLSET_TEST_AGENT_TIMING".to_owned(), "500,2000,900000,30000".to_owned()),
    ]
}

/// Where the Services are, and where ToolsetConfigs and the agent are.
pub(crate) struct Namespaces<'a> {
    pub watched: &'a str,
    pub agent: &'a str,
    /// `spec.sources[].namespaces`.
    pub selection: Value,
}

/// Lets all of it happen, one after the other, and waits for each.
pub(crate) async fn whole_job(world: &World, namespaces: &Namespaces<'_>) -> Result<()> {
    let (watched, agent) = (namespaces.watched, namespaces.agent);
    agent_deployment(world, agent).await?;
    predecessors_config_map(world, agent).await?;

    let service = world.create(&services::prometheus_server(watched)).await?;
    world.backend(&service).await?;
    let sources = json!([{"name": "platform", "trust": "Trusted", "namespaces": namespaces.selection}]);
    let consumer = json!({
        "reload": "RolloutRestart", "restartOn": "AnyChange", "deploymentRef": {"name": AGENT},
        "observe": "HolmesGPT", "serviceRef": {"name": "holmes"},
    });
    world.configure(agent, "default", &json!({"sources": sources, "consumer": consumer})).await?;
    world.ready(agent, "default", ("True", "AsExpected")).await?;
    world.tools(agent, "prometheus-server is listed", |tools| tools.names() == ["prometheus-server"]).await?;

    let output = json!({"configMapName": "predecessor", "formats": ["HolmesGPT"]});
    world.configure(agent, "adopter", &json!({"sources": sources, "output": output})).await?;
    world.ready(agent, "adopter", ("True", "AsExpected")).await?;

    let grafana = world.create(&services::grafana(watched)).await?;
    world.backend(&grafana).await?;
    world.tools(agent, "grafana joins", |tools| tools.names() == ["grafana", "prometheus-server"]).await?;

    repaired_after_deletion(world, agent).await?;
    rejected_twice(world, watched).await?;
    conflict_is_said_twice(world, agent, &sources).await?;
    Box::pin(restarted(world, agent)).await?;
    Box::pin(observed(world, agent)).await
}

/// The agent is found and asked.
async fn observed(world: &World, namespace: &str) -> Result<()> {
    let body = json!({"version": "0.45.0", "toolsets": []});
    let server = FakeAgent::start(Reply::json(&body)).await?;
    let service = ServiceBuilder::new(namespace, "holmes").port("http", 80, i32::from(AGENTS_PORT)).build();
    let service = world.create(&service).await?;
    let container = json!({"name": "holmes", "image": "robustadev/holmes:0.45.0"});
    let pod = Backend::not_ready(&world.client(), &service, container).await?;
    let redirect = format!("{}:{AGENTS_PORT}=127.0.0.1:{}\n", pod.address(), server.port());
    fs::write(world.folder().join("redirects"), redirect)?;
    pod.set_ready(true).await?;
    present(&toolset_configs(&world.client(), namespace), "default", "the agent has answered", |config| {
        config.data.pointer("/status/agent/loaded") == Some(&json!("0/1"))
    })
    .await?;
    eventually("it is asked again while it is behind", async || {
        ensure!(server.requests().len() > 1);
        Ok(())
    })
    .await
}

async fn agent_deployment(world: &World, namespace: &str) -> Result<()> {
    let labels = json!({"app": "holmes"});
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": {"name": AGENT, "namespace": namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "holmes", "image": "agent.example/holmes:1"}]},
            },
        },
    }))?;
    world.create(&deployment).await.map(drop)
}

/// Its keys are taken over, which reads the object once.
async fn predecessors_config_map(world: &World, namespace: &str) -> Result<()> {
    let config_map: ConfigMap = serde_json::from_value(json!({
        "metadata": {
            "name": "predecessor",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "kubernaut", "app.kubernetes.io/component": "dynamic-toolset"},
        },
        "data": {"toolset.json": "{\"tools\":[]}", "notes": "of somebody else"},
    }))?;
    world.create(&config_map).await.map(drop)
}

async fn repaired_after_deletion(world: &World, namespace: &str) -> Result<()> {
    let config_maps: Api<ConfigMap> = world.api(namespace);
    let old = config_maps.get(DEFAULT_CONFIG_MAP).await?.metadata.uid;
    config_maps.delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
    present(&config_maps, DEFAULT_CONFIG_MAP, "it is written again", |new| new.metadata.uid != old).await.map(drop)
}

/// A Service is rejected, repaired and rejected again: the second time its Event is patched.
async fn rejected_twice(world: &World, namespace: &str) -> Result<()> {
    let broken = ServiceBuilder::new(namespace, "broken")
        .annotation("kubernaut.io/toolset", "enabled")
        .annotation("kubernaut.io/toolset-type", "NOT A TYPE")
        .port("http", 8080, 8080)
        .build();
    world.create(&broken).await?;
    let said = async |times: i32| {
        eventually("the rejection is told beside the Service", async || {
            let count = event_count(world, namespace, "InvalidAnnotation").await?;
            ensure!(count >= times, "it was told {count} times");
            Ok(())
        })
        .await
    };
    said(1).await?;
    let services: Api<Service> = world.api(namespace);
    for (value, times) in [("vector-database", 1), ("NOT A TYPE", 2)] {
        let patch = json!({"metadata": {"annotations": {"kubernaut.io/toolset-type": value}}});
        services.patch("broken", &PatchParams::default(), &Patch::Merge(patch)).await?;
        if times == 1 {
            unrejected(world).await?;
        }
        said(times).await?;
    }
    Ok(())
}

async fn unrejected(world: &World) -> Result<()> {
    eventually("nobody counts it as malformed any more", async || {
        for config in toolset_configs_everywhere(world).await? {
            let rejected = config.pointer("/status/rejected").and_then(Value::as_array).cloned().unwrap_or_default();
            ensure!(!rejected.iter().any(|one| one["reason"] == "InvalidAnnotation"), "{rejected:?}");
        }
        Ok(())
    })
    .await
}

async fn toolset_configs_everywhere(world: &World) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for namespace in world.namespaces() {
        let configs = toolset_configs(&world.client(), namespace).list(&ListParams::default()).await?;
        all.extend(configs.items.into_iter().map(|config| config.data));
    }
    Ok(all)
}

/// The agent's namespace has Events about ToolsetConfigs, the second of the same kind patched.
async fn conflict_is_said_twice(world: &World, namespace: &str, sources: &Value) -> Result<()> {
    let stranger: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": "taken", "namespace": namespace}, "data": {"key": "of a stranger's"},
    }))?;
    let config_maps: Api<ConfigMap> = world.api(namespace);
    world.create(&stranger).await?;
    world.configure(namespace, "late", &json!({"sources": sources, "output": {"configMapName": "taken"}})).await?;
    for times in [1, 2] {
        world.ready(namespace, "late", ("False", "OutputConflict")).await?;
        eventually("the conflict is told", async || {
            let count = event_count(world, namespace, "OutputConflict").await?;
            ensure!(count >= times, "it was told {count} times");
            Ok(())
        })
        .await?;
        if times == 1 {
            config_maps.delete("taken", &DeleteParams::default()).await?;
            world.ready(namespace, "late", ("True", "AsExpected")).await?;
            // In one step, so that no repair comes between.
            let take = json!({
                "metadata": {"labels": null, "ownerReferences": null, "annotations": null},
                "data": {"custom_toolset.yaml": null, "toolset.json": null, "key": "of a stranger's"},
            });
            config_maps.patch("taken", &PatchParams::default(), &Patch::Merge(take)).await?;
        }
    }
    Ok(())
}

/// How often an Event with this reason was said, its repetitions counted.
async fn event_count(world: &World, namespace: &str, reason: &str) -> Result<i32> {
    let events: Api<Event> = world.api(namespace);
    let all = events.list(&ListParams::default()).await?;
    let of_reason = all.items.iter().filter(|event| event.reason.as_deref() == Some(reason));
    Ok(of_reason.map(|event| event.series.as_ref().map_or(1, |series| series.count)).max().unwrap_or(0))
}

async fn restarted(world: &World, namespace: &str) -> Result<()> {
    let config_maps: Api<ConfigMap> = world.api(namespace);
    let output = config_maps.get(DEFAULT_CONFIG_MAP).await?;
    let file =
        output.data.as_ref().and_then(|data| data.get("custom_toolset.yaml")).context("no file for the agent")?;
    let digest = Sha256::digest(file).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let deployments: Api<Deployment> = world.api(namespace);
    present(&deployments, AGENT, &format!("it carries the hash of its file, {digest}"), |deployment| {
        carried(deployment).is_some_and(|carried| *carried == digest)
    })
    .await
    .map(drop)
}

fn carried(deployment: &Deployment) -> Option<&String> {
    let template = deployment.spec.as_ref()?.template.metadata.as_ref()?;
    template.annotations.as_ref()?.get("kubernaut.io/toolset-hash")
}
