//! The main job from end to end, as one installation sees it: everything that the operator has a right for happens.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{
    Backend, DEFAULT_CONFIG_MAP, FakeAgent, Reply, Tools, World, eventually, present,
    services::{self, ServiceBuilder},
    toolset_configs,
};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Service},
        events::v1::Event,
    },
    apimachinery::pkg::util::intstr::IntOrString,
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
pub(crate) const OBSERVED: &str = "{toolsetConfig: default, namespace: NAMESPACE, service: holmes, port: 80}";

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

/// What happens in an installation.
pub(crate) struct Job<'a> {
    /// Where the Services are.
    pub watched: &'a [String],
    /// Where the ToolsetConfigs and the agents are.
    pub agents: &'a [String],
    /// `spec.sources[].namespaces`.
    pub selection: Value,
    /// Whether the operator may restart the agents.
    pub restarts: bool,
    /// Whether the operator may ask the agents.
    pub observes: bool,
    /// Whether the operator probes the Services.
    pub probes: bool,
}

/// Lets all of it happen, one after the other, and waits for each.
pub(crate) async fn whole_job(world: &World, job: &Job<'_>) -> Result<()> {
    // It answers all probes as Grafana and Prometheus would.
    let build = json!({"status": "success", "data": {"version": "3.5.0", "revision": "r", "goVersion": "go1.24"}});
    let product = FakeAgent::start(Reply::json(&build)).await?;
    for namespace in job.watched {
        backed(world, &services::prometheus_server(namespace), &product).await?;
    }
    let sources = json!([{"name": "platform", "trust": "Trusted", "namespaces": job.selection}]);
    for agent in job.agents {
        configured(world, job, agent, &sources).await?;
    }
    for namespace in job.watched {
        backed(world, &services::grafana(namespace), &product).await?;
    }
    for agent in job.agents {
        has_tools(world, job, agent, &["grafana", "prometheus"]).await?;
        repaired_after_deletion(world, agent).await?;
    }
    for namespace in job.watched {
        rejected_twice(world, namespace).await?;
    }
    for agent in job.agents {
        conflict_is_said_twice(world, agent, &sources).await?;
        if job.probes {
            probed(world, agent).await?;
        }
        if job.restarts {
            Box::pin(restarted(world, agent)).await?;
        }
        if job.observes {
            Box::pin(observed(world, agent)).await?;
        }
    }
    Ok(())
}

/// A Service with a ready Pod, in whose place the server answers.
async fn backed(world: &World, service: &Service, server: &FakeAgent) -> Result<()> {
    let service = world.create(service).await?;
    let container = json!({"name": "app", "image": "app.example/app:1"});
    let pod = Backend::not_ready(&world.client(), &service, container).await?;
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let targets = ports.filter_map(|port| match &port.target_port {
        Some(IntOrString::Int(number)) => Some(number),
        _ => None,
    });
    let lines = targets.map(|target| format!("{}:{target}=127.0.0.1:{}\n", pod.address(), server.port()));
    redirects(world, &lines.collect::<String>())?;
    pod.set_ready(true).await
}

/// A ToolsetConfig that creates its ConfigMap, and one that takes over an existing one.
async fn configured(world: &World, job: &Job<'_>, namespace: &str, sources: &Value) -> Result<()> {
    let mut consumer = json!({});
    if job.restarts {
        agent_deployment(world, namespace).await?;
        consumer = json!({"reload": "RolloutRestart", "restartOn": "AnyChange", "deploymentRef": {"name": AGENT}});
    }
    if job.observes {
        consumer["observe"] = json!("HolmesGPT");
        consumer["serviceRef"] = json!({"name": "holmes"});
    }
    let mut spec = json!({"sources": sources, "consumer": consumer});
    if job.probes {
        spec["health"] = json!({"mode": "Probe", "probe": {"periodSeconds": 1}});
        spec["evidence"] = json!({"identity": "Probe"});
    }
    world.configure(namespace, "default", &spec).await?;
    world.ready(namespace, "default", ("True", "AsExpected")).await?;
    has_tools(world, job, namespace, &["prometheus"]).await?;

    predecessors_config_map(world, namespace).await?;
    let output = json!({"configMapName": "predecessor", "formats": ["HolmesGPT"]});
    world.configure(namespace, "adopter", &json!({"sources": sources, "output": output})).await?;
    world.ready(namespace, "adopter", ("True", "AsExpected")).await.map(drop)
}

/// Waits until there is one tool of each type for each watched namespace.
async fn has_tools(world: &World, job: &Job<'_>, namespace: &str, types: &[&str]) -> Result<()> {
    let expected: Vec<_> = types.iter().flat_map(|kind| vec![*kind; job.watched.len()]).collect();
    let listed = |tools: &Tools| {
        let mut types = tools.types();
        types.sort_unstable();
        types == expected
    };
    world.tools(namespace, &format!("{types:?} are listed"), listed).await.map(drop)
}

/// A tool is healthy because its probe succeeded, and another probe has asked which product it is.
async fn probed(world: &World, namespace: &str) -> Result<()> {
    present(&toolset_configs(&world.client(), namespace), "default", "its tools are probed", |config| {
        let tools = config.data.pointer("/status/tools").and_then(Value::as_array).into_iter().flatten();
        let mut of_prometheus = tools.filter(|tool| tool["type"] == "Prometheus");
        of_prometheus
            .all(|tool| tool["health"] == "Healthy" && tool["identity"].as_str().is_some_and(|text| !text.is_empty()))
    })
    .await
    .map(drop)
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
    redirects(world, &redirect)?;
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

/// Adds lines to the file with the servers that answer for Pods.
fn redirects(world: &World, lines: &str) -> Result<()> {
    let file = world.folder().join("redirects");
    let before = fs::read_to_string(&file).unwrap_or_default();
    Ok(fs::write(file, before + lines)?)
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
            unrejected(world, namespace).await?;
        }
        said(times).await?;
    }
    Ok(())
}

async fn unrejected(world: &World, namespace: &str) -> Result<()> {
    eventually("nobody counts it as malformed any more", async || {
        for config in toolset_configs_everywhere(world).await? {
            let rejected = config.pointer("/status/rejected").and_then(Value::as_array).cloned().unwrap_or_default();
            let is_it = |one: &Value| one["namespace"] == namespace && one["reason"] == "InvalidAnnotation";
            ensure!(!rejected.iter().any(is_it), "{rejected:?}");
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
