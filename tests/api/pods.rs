//! The Pods behind Services as evidence: what they show that no Service shows.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::{Options, controllers_run},
    harness::{
        DEFAULT_CONFIG_MAP, Tools,
        prelude::*,
        services::{self, ServiceBuilder},
    },
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, from_value, json};

use crate::{
    harness::skipped,
    rights,
    stage::{CONFIG, Stage, data, patch, without_health},
};

/// Grafana, whose server is configured to be under a path.
pub(crate) fn grafana_under(path: &str) -> Value {
    json!({
        "name": "grafana", "image": "docker.io/grafana/grafana:12.0.0", "ports": [{"containerPort": 3000}],
        "env": [
            {"name": "GF_SERVER_SERVE_FROM_SUB_PATH", "value": "true"},
            {"name": "GF_SERVER_ROOT_URL", "value": format!("https://example.com{path}/")},
            {"name": "GF_SECURITY_ADMIN_PASSWORD", "value": "hunter2"},
        ],
    })
}

fn jaeger_under(path: &str) -> Value {
    json!({
        "name": "jaeger", "image": "jaegertracing/all-in-one:1.60", "ports": [{"containerPort": 16686}],
        "env": [{"name": "QUERY_BASE_PATH", "value": path}],
    })
}

/// The path of the endpoint of the tool with this name.
pub(crate) fn path<'a>(tools: &'a Tools, name: &str) -> Option<&'a str> {
    let (_, rest) = tools.endpoint(name)?.split_once("://")?;
    Some(rest.find('/').map_or("", |at| &rest[at..]))
}

/// Waits until the endpoint of a tool has this path.
pub(crate) async fn has_path(world: &World, agent: &str, name: &str, expected: &str) -> Result<Tools> {
    let what = format!("{name} is under {expected:?}");
    world.tools(agent, &what, |tools| path(tools, name) == Some(expected)).await
}

/// Changes the container of a Deployment's template.
async fn roll_out(world: &World, namespace: &str, name: &str, container: Value) -> Result<()> {
    let deployments: Api<Deployment> = world.api(namespace);
    let change = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
    patch(&deployments, name, change).await.map(drop)
}

#[tokio::test]
async fn paths_are_found_in_the_pods_of_deployments_and_follow_a_rollout() -> Result<()> {
    if !controllers_run() {
        return skipped("Deployments need kube-controller-manager");
    }
    scenario("pods-paths", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let (world, apps, agent) = (&*stage.world, &stage.apps, &stage.agent);
        let _kubelet = world.kubelet(apps).await?;
        let grafana = world.create(&services::grafana(apps)).await?;
        world.deploy(&grafana, "grafana", grafana_under("/grafana")).await?;
        let jaeger = world.create(&services::jaeger_query(apps)).await?;
        world.deploy(&jaeger, "jaeger", jaeger_under("/jaeger")).await?;
        has_path(world, agent, "grafana", "/grafana").await?;
        has_path(world, agent, "tracing-query", "/jaeger").await?;
        stage
            .config_is("the status notes it", |config| {
                let tools = config.data.pointer("/status/tools").and_then(Value::as_array);
                let of = |tool: &Value| tool["fromPods"].as_array().is_some_and(|parts| parts.contains(&"Path".into()));
                tools.is_some_and(|tools| tools.len() == 2 && tools.iter().all(of))
            })
            .await?;

        let moment = world.moment(agent).await?;
        roll_out(world, apps, "grafana", grafana_under("/dashboards")).await?;
        has_path(world, agent, "grafana", "/dashboards").await?;
        let steps = moment.steps(DEFAULT_CONFIG_MAP).await?;
        ensure!(steps.len() == 1, "it changes once: {steps:?}");
        let output = stage.output().await?;
        ensure!(!format!("{output:?}{:?}", stage.config().await?).contains("hunter2"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_an_owner_or_the_spec_states_is_not_changed_by_pods() -> Result<()> {
    if !controllers_run() {
        return skipped("Deployments need kube-controller-manager");
    }
    scenario("pods-stated", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let (world, apps, agent) = (&*stage.world, &stage.apps, &stage.agent);
        let _kubelet = world.kubelet(apps).await?;
        let mut grafana = services::grafana(apps);
        let stated = [("toolset-path", "/stated"), ("toolset-scheme", "https")];
        let stated = stated.map(|(key, value)| (format!("kubernaut.io/{key}"), value.to_owned()));
        grafana.metadata.annotations = Some(stated.into());
        let grafana = world.create(&grafana).await?;
        world.deploy(&grafana, "grafana", grafana_under("/grafana")).await?;
        let jaeger = world.create(&services::jaeger_query(apps)).await?;
        world.deploy(&jaeger, "jaeger", jaeger_under("/jaeger")).await?;
        let tools = has_path(world, agent, "tracing-query", "/jaeger").await?;
        let endpoint = tools.endpoint("grafana").context("Grafana is listed")?;
        ensure!(endpoint.starts_with("https://") && endpoint.ends_with("/stated"), "{endpoint}");

        let adjusted = json!({"name": "o", "match": {"service": "tracing-query"}, "endpoint": {"path": "/by-spec"}});
        stage.respec(json!({"overrides": [adjusted]})).await?;
        has_path(world, agent, "tracing-query", "/by-spec").await?;
        stage.respec(json!({"overrides": []})).await?;
        has_path(world, agent, "tracing-query", "/jaeger").await?;
        stage.respec(json!({"evidence": {"pods": "Disabled"}})).await?;
        has_path(world, agent, "tracing-query", "").await.map(drop)
    })
    .await
}

#[tokio::test]
async fn pods_of_several_controllers_that_differ_are_noted_and_only_what_they_share_counts() -> Result<()> {
    if !controllers_run() {
        return skipped("Deployments need kube-controller-manager");
    }
    scenario("pods-ambiguous", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let (world, apps, agent) = (&*stage.world, &stage.apps, &stage.agent);
        let _kubelet = world.kubelet(apps).await?;
        let grafana = world.create(&services::grafana(apps)).await?;
        world.deploy(&grafana, "blue", grafana_under("/blue")).await?;
        has_path(world, agent, "grafana", "/blue").await?;
        world.deploy(&grafana, "green", grafana_under("/green")).await?;
        has_path(world, agent, "grafana", "").await?;
        stage
            .config_is("the tool has the reason", |config| {
                config.data.pointer("/status/tools/0/reason") == Some(&json!("AmbiguousPods"))
            })
            .await?;
        let deployments: Api<Deployment> = world.api(apps);
        deployments.delete("blue", &DeleteParams::default()).await?;
        has_path(world, agent, "grafana", "/green").await?;
        stage
            .config_is("the reason is gone", |config| {
                config.data.pointer("/status/tools/0/reason") == Some(&json!("Selected"))
            })
            .await
            .map(drop)
    })
    .await
}

/// Creates a Pod with this name that the Service selects, and makes it ready.
async fn pod(world: &World, service: &Service, name: &str, container: Value) -> Result<()> {
    let pod: Pod = from_value(json!({
        "metadata": {
            "namespace": service.namespace(), "name": name,
            "labels": service.spec.as_ref().and_then(|spec| spec.selector.clone()),
        },
        "spec": {"nodeName": "e2e", "automountServiceAccountToken": false, "containers": [container]},
    }))?;
    world.create(&pod).await.map(drop)
}

#[tokio::test]
async fn a_pod_that_comes_back_under_its_name_is_read_again() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("pods-stateful", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let (world, apps, agent) = (&*stage.world, &stage.apps, &stage.agent);
        let _kubelet = world.kubelet(apps).await?;
        let prometheus = world.create(&services::prometheus_server(apps)).await?;
        let with_prefix = |prefix: &str| {
            json!({
                "name": "prometheus", "image": "quay.io/prometheus/prometheus:v3.0.0",
                "args": ["--config.file=/etc/prometheus.yml", format!("--web.route-prefix={prefix}")],
                "ports": [{"containerPort": 9090}],
            })
        };
        for name in ["prometheus-0", "prometheus-1"] {
            pod(world, &prometheus, name, with_prefix("/one")).await?;
        }
        has_path(world, agent, "prometheus-server", "/one").await?;
        let pods: Api<Pod> = world.api(apps);
        for name in ["prometheus-1", "prometheus-0"] {
            pods.delete(name, &DeleteParams::default()).await?;
            absent(&pods, name).await?;
            pod(world, &prometheus, name, with_prefix("/two")).await?;
        }
        has_path(world, agent, "prometheus-server", "/two").await.map(drop)
    })
    .await
}

#[tokio::test]
async fn the_pods_of_a_tenant_are_never_read_and_do_not_count_for_it() -> Result<()> {
    if !controllers_run() {
        return skipped("Deployments need kube-controller-manager");
    }
    scenario("pods-tenant", async |world| {
        let (apps, tenant) = (world.namespace("apps").await?, world.namespace("tenant").await?);
        let agent = world.namespace("agent").await?;
        let proxy = world.proxy().await?;
        let _controller = world.start_controller(crate::stage::behind(&proxy)).await?;
        let source = |name: &str, trust: &str, namespace: &str| {
            json!({"name": name, "trust": trust, "namespaces": {"from": "Names", "names": [namespace]}})
        };
        let both = json!({
            "sources": [source("apps", "Trusted", &apps), source("tenant", "Tenant", &tenant)],
            "health": {"mode": "None"},
        });
        world.configure(&agent, CONFIG, &both).await?;
        let as_tenant = json!({
            "sources": [source("apps", "Tenant", &apps)], "health": {"mode": "None"},
            "output": {"configMapName": "as-tenant", "formats": ["ToolsetJSON"]},
        });
        world.configure(&agent, "as-tenant", &as_tenant).await?;
        let (_one, _other) = (world.kubelet(&apps).await?, world.kubelet(&tenant).await?);
        for namespace in [&apps, &tenant] {
            let mut grafana = services::grafana(namespace);
            let stated = [("toolset", "enabled"), ("toolset-type", "grafana")];
            let stated = stated.map(|(key, value)| (format!("kubernaut.io/{key}"), value.to_owned()));
            grafana.metadata.annotations = Some(stated.into());
            let grafana = world.create(&grafana).await?;
            world.deploy(&grafana, "grafana", grafana_under("/grafana")).await?;
        }
        let tools = world
            .tools(&agent, "lists both, and the trusted one with its path", |tools| {
                tools.names().len() == 2 && path(tools, "grafana") == Some("/grafana")
            })
            .await?;
        ensure!(path(&tools, &format!("grafana-{tenant}")) == Some(""), "{tools:?}");
        let config_maps: Api<ConfigMap> = world.api(&agent);
        let other = present(&config_maps, "as-tenant", "lists it without a path", |output| {
            Tools::of(output).is_ok_and(|tools| tools.names().len() == 1)
        })
        .await?;
        let listed = Tools::of(&other)?;
        ensure!(path(&listed, listed.names()[0]) == Some(""), "{listed:?}");
        let read = proxy.exchanges_of(|request| request.is("get", "pods"));
        ensure!(!read.is_empty() && read.iter().all(|one| one.request.namespace == apps), "{}", read.len());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn slices_that_somebody_made_lead_to_no_pod_of_another_namespace_or_with_other_labels() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let options = Options { audit_log: true, ..Options::default() };
    isolated("pods-forged", options, async |world, plane| {
        let (apps, victim) = (world.namespace("apps").await?, world.namespace("victim").await?);
        let agent = world.namespace("agent").await?;
        let account = rights::operator(world, &agent).await?;
        let options = ControllerOptions {
            kubeconfig: Some(account.kubeconfig().to_owned()),
            ..ControllerOptions::unrestricted()
        };
        let _controller = world.start_controller(options).await?;
        world.configure(&agent, CONFIG, &without_health(&[&apps])).await?;
        let (_apps, _victim) = (world.kubelet(&apps).await?, world.kubelet(&victim).await?);
        let grafana = world.create(&services::grafana(&apps)).await?;
        world.deploy(&grafana, "grafana", grafana_under("/grafana")).await?;
        has_path(world, &agent, "grafana", "/grafana").await?;
        // A Pod of somebody else, and one in the namespace that the Service does not select.
        let mut target = Vec::new();
        for namespace in [&victim, &apps] {
            let other = ServiceBuilder::new(namespace, "other").selector(&[("app", "other")]).build();
            pod(world, &other, "other-0", grafana_under("/stolen")).await?;
            let uid = world.api::<Pod>(namespace).get("other-0").await?.metadata.uid;
            target.push(json!({"kind": "Pod", "namespace": namespace, "name": "other-0", "uid": uid}));
        }
        let endpoints: Vec<Value> =
            target.iter().map(|target| json!({"addresses": ["10.244.9.9"], "targetRef": target})).collect();
        let forged: EndpointSlice = from_value(json!({
            "metadata": {
                "namespace": apps, "name": "grafana-forged",
                "labels": {
                    "kubernetes.io/service-name": "grafana",
                    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                },
                "ownerReferences": [{
                    "apiVersion": "v1", "kind": "Service", "name": "grafana", "uid": grafana.metadata.uid,
                    "controller": true,
                }],
            },
            "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "service", "port": 3000}],
        }))?;
        let slices: Api<EndpointSlice> = world.api(&apps);
        let moment = world.moment(&agent).await?;
        for _ in 0..3 {
            slices.create(&PostParams::default(), &forged).await?;
            // The controller repairs it.
            eventually("the slice leads to its Pods no more", async || {
                let left = slices.get_opt("grafana-forged").await?;
                let endpoints = left.iter().flat_map(|slice| &slice.endpoints);
                ensure!(
                    endpoints
                        .filter_map(|one| one.target_ref.as_ref())
                        .all(|one| one.name.as_deref() != Some("other-0"))
                );
                Ok(())
            })
            .await?;
            slices.delete("grafana-forged", &DeleteParams::default()).await.ok();
            absent(&slices, "grafana-forged").await?;
        }
        let deployments: Api<Deployment> = world.api(&apps);
        let change = json!({"spec": {"template": {"spec": {"containers": [grafana_under("/after")]}}}});
        patch(&deployments, "grafana", change).await?;
        has_path(world, &agent, "grafana", "/after").await?;
        for step in moment.steps(DEFAULT_CONFIG_MAP).await? {
            let text = step.config_map().map(|output| data(output, "toolset.json").to_owned()).unwrap_or_default();
            ensure!(!text.contains("/stolen"), "{text}");
        }
        let elsewhere = plane.audited_requests()?.into_iter().filter(|request| {
            request.user == account.user() && request.resource == "pods" && request.namespace == victim
        });
        ensure!(elsewhere.count() == 0, "a Pod of another namespace was read");
        Ok(())
    })
    .await
}
