//! `evidence.identity: Probe`: the operator finds out which product a Service is, once for each template of its Pods.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{Backend, prelude::*, services::ServiceBuilder},
};
use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};

use crate::{
    harness::skipped,
    identity_programs::{Debian, Program, Recording},
    probe_stage::{ProbeStage, reason_of},
    stage::{patch, told, version},
};

pub(crate) const NO_PODS: &str = "EndpointSlices need kube-controller-manager";
const NO_PROGRAMS: &str = "no Prometheus, Pushgateway and node exporter: `cargo xtask test api` brings them";

/// Labels that older versions of the community's chart set on Prometheus and on other programs.
pub(crate) const LIKE_PROMETHEUS: &[(&str, &str)] =
    &[("app.kubernetes.io/name", "prometheus"), ("app.kubernetes.io/component", "server")];

pub(crate) fn prometheus(namespace: &str, name: &str) -> Service {
    ServiceBuilder::new(namespace, name).labels(LIKE_PROMETHEUS).port("http", 9090, 9090).build()
}

/// A Service that is perhaps Prometheus, and perhaps the metrics of another program.
fn perhaps_prometheus(namespace: &str) -> Service {
    let labels = [("app", "api")];
    ServiceBuilder::new(namespace, "api-prometheus").labels(&labels).selector(&labels).port("http", 9090, 9090).build()
}

/// The tool of a Service in the status.
pub(crate) fn tool<'a>(config: &'a DynamicObject, namespace: &str, name: &str) -> Option<&'a Value> {
    let tools = config.data.pointer("/status/tools")?.as_array()?;
    tools.iter().find(|tool| tool["namespace"] == namespace && tool["service"] == name)
}

pub(crate) fn text<'a>(tool: Option<&'a Value>, field: &str) -> &'a str {
    tool.and_then(|tool| tool[field].as_str()).unwrap_or_default()
}

/// Adds a ready Pod of a template. The server on this local port responds in place of the Pod.
async fn pod_of(stage: &ProbeStage<'_>, service: &Service, template: &str, port: u16) -> Result<Backend> {
    let namespace = service.namespace().context("it has a namespace")?;
    let container = json!({"name": "app", "image": "app.example/app:1"});
    let backend = Backend::not_ready(&stage.stage.world.client(), service, container).await?;
    let pods: Api<Pod> = stage.stage.world.api(&namespace);
    patch(&pods, backend.name(), json!({"metadata": {"labels": {"pod-template-hash": template}}})).await?;
    stage.redirect(&format!("{}:9090", backend.address()), port)?;
    backend.set_ready(true).await?;
    Ok(backend)
}

/// Waits until the EndpointSlices of a Service list exactly these Pods.
async fn lists_pods(stage: &ProbeStage<'_>, service: &Service, pods: &[&Backend]) -> Result<()> {
    let slices: Api<EndpointSlice> = stage.stage.world.api(&service.namespace().context("it has a namespace")?);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={}", service.name_any()));
    let mut expected: Vec<&str> = pods.iter().map(|pod| pod.address()).collect();
    expected.sort_unstable();
    eventually(&format!("the Service has {expected:?}"), async || {
        let list = slices.list(&of_service).await?;
        let endpoints = list.items.iter().flat_map(|slice| &slice.endpoints);
        let mut found: Vec<&str> = endpoints.flat_map(|one| one.addresses.iter().map(String::as_str)).collect();
        found.sort_unstable();
        ensure!(found == expected, "{found:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn real_programs_are_identified_with_their_scheme_and_path() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("identity-real", async |world| {
        let Some(debian) = Debian::find(world.folder()) else { return skipped(NO_PROGRAMS) };
        let plain = debian.prometheus(&[]).await?;
        let prefixed = debian.prometheus(&["--web.route-prefix=/prom"]).await?;
        let with_tls = debian.prometheus_with_tls().await?;
        let pushgateway = debian.pushgateway().await?;
        let node_exporter = debian.node_exporter().await?;
        // A namespace gets one request per second, so each Service has its own namespace.
        let cases: [(&str, &Program, &str); 5] = [
            ("plain", &plain, "http://prometheus.NAMESPACE.svc.cluster.local:9090"),
            ("prefix", &prefixed, "http://prometheus.NAMESPACE.svc.cluster.local:9090/prom"),
            ("tls", &with_tls, "https://prometheus.NAMESPACE.svc.cluster.local:9090"),
            ("pushgateway", &pushgateway, "NotTheProduct"),
            ("node-exporter", &node_exporter, "NotTheProduct"),
        ];
        let mut namespaces = Vec::new();
        for (name, ..) in cases {
            namespaces.push(world.namespace(name).await?);
        }
        let stage = ProbeStage::asking(world, &namespaces, json!({})).await?;
        for ((_, program, _), namespace) in cases.iter().zip(&namespaces) {
            let service = stage.stage.world.create(&prometheus(namespace, "prometheus")).await?;
            stage.pod(&service, program.port()).await?;
        }
        let weak = stage.stage.world.create(&perhaps_prometheus(&stage.stage.apps)).await?;
        stage.pod(&weak, plain.port()).await?;

        for ((_, _, expected), namespace) in cases.iter().zip(&namespaces) {
            let expected = expected.replace("NAMESPACE", namespace);
            let is_so = |config: &DynamicObject| match tool(config, namespace, "prometheus") {
                Some(tool) => tool["endpoint"] == *expected && text(Some(tool), "identity").ends_with(": confirmed"),
                None => rejected(config, namespace).is_some_and(|one| one["reason"] == *expected),
            };
            let config = stage.stage.config_is(&format!("{namespace} is {expected}"), is_so).await?;
            if expected == "NotTheProduct" {
                let message = text(rejected(&config, namespace), "message");
                ensure!(message.contains("GET /") && message.contains("is that of"), "{message}");
                told(stage.stage.world, namespace, "prometheus", "NotTheProduct").await?;
            }
        }
        let apps = stage.stage.apps.clone();
        let is_known = |config: &DynamicObject| text(tool(config, &apps, "api-prometheus"), "confidence") == "High";
        let config = stage.stage.config_is("what had too little evidence is known", is_known).await?;
        let tool = tool(&config, &apps, "api-prometheus");
        ensure!(tool.is_some_and(|tool| tool["fromIdentity"].to_string().contains("Product")), "{tool:?}");
        Ok(())
    })
    .await
}

fn rejected<'a>(config: &'a DynamicObject, namespace: &str) -> Option<&'a Value> {
    let rejected = config.data.pointer("/status/rejected")?.as_array()?;
    rejected.iter().find(|one| one["namespace"] == namespace)
}

#[tokio::test]
async fn recorded_programs_are_identified_by_their_responses() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("identity-recorded", async |world| {
        let named = |name| [("app.kubernetes.io/name", name)];
        // The labels of the Service, its port, the recording that responds, and the expected result.
        let cases = [
            (named("alertmanager"), ("http", 9093), "alertmanager", "Alertmanager"),
            (named("alertmanager"), ("http", 9093), "pushgateway", "NotTheProduct"),
            (named("prometheus"), ("web", 9090), "thanos-query", "Prometheus"),
            (named("prometheus"), ("web", 9090), "victoria-logs", "NotTheProduct"),
        ];
        let mut namespaces = Vec::new();
        for number in 0..cases.len() {
            namespaces.push(world.namespace(&format!("n{number}")).await?);
        }
        let stage = ProbeStage::asking(world, &namespaces, json!({})).await?;
        let mut servers = Vec::new();
        for ((labels, (port, number), recording, _), namespace) in cases.iter().zip(&namespaces) {
            let service = ServiceBuilder::new(namespace, labels[0].1).labels(labels).port(port, *number, *number);
            let service = stage.stage.world.create(&service.build()).await?;
            let server = Recording::start(recording).await?;
            stage.pod(&service, server.port()).await?;
            servers.push(server);
        }
        for ((labels, _, recording, expected), namespace) in cases.iter().zip(&namespaces) {
            let is_so = |config: &DynamicObject| match tool(config, namespace, labels[0].1) {
                Some(tool) => tool["type"] == *expected && text(Some(tool), "identity").ends_with(": confirmed"),
                None => rejected(config, namespace).is_some_and(|one| one["reason"] == *expected),
            };
            stage.stage.config_is(&format!("{} with {recording} is {expected}", labels[0].1), is_so).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_pods_of_a_template_are_probed_once() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("identity-once", async |world| {
        let stage = ProbeStage::asking(world, &[], json!({})).await?;
        let apps = stage.stage.apps.clone();
        let (server, others) = (Recording::start("prometheus").await?, Recording::start("prometheus").await?);
        let service = stage.stage.world.create(&prometheus(&apps, "p")).await?;
        let first = pod_of(&stage, &service, "a", server.port()).await?;
        let is_confirmed = |name: &'static str| {
            let apps = apps.clone();
            move |config: &DynamicObject| text(tool(config, &apps, name), "identity").ends_with(": confirmed")
        };
        stage.stage.config_is("p is confirmed", is_confirmed("p")).await?;
        let asked = server.requests();
        ensure!(asked.first().is_some_and(|line| line.starts_with("GET /api/v1/query?query=1 ")), "{asked:?}");

        // Another Pod of the template replaces the first Pod, and an unrelated annotation of the Service changes.
        let second = pod_of(&stage, &service, "a", server.port()).await?;
        first.delete().await?;
        patch(&stage.stage.services(), "p", json!({"metadata": {"annotations": {"note": "new"}}})).await?;
        lists_pods(&stage, &service, &[&second]).await?;
        // Probes in a namespace start in the order of the changes. So after this one, a new probe of p would have
        // started.
        let later = stage.stage.world.create(&prometheus(&apps, "later")).await?;
        stage.pod(&later, others.port()).await?;
        stage.stage.config_is("later is confirmed", is_confirmed("later")).await?;
        ensure!(server.requests() == asked, "it was asked again: {:?}", server.requests());

        let third = pod_of(&stage, &service, "b", server.port()).await?;
        second.delete().await?;
        lists_pods(&stage, &service, &[&third]).await?;
        eventually("the new template is asked", async || {
            ensure!(server.requests().len() > asked.len());
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn the_status_shows_why_pods_are_not_probed_until_another_pod_is_probed() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("identity-not-asked", async |world| {
        let other = world.namespace("other").await?;
        let stage = ProbeStage::asking(world, std::slice::from_ref(&other), json!({})).await?;
        let apps = stage.stage.apps.clone();
        let server = Recording::start("prometheus").await?;
        let (weak, sure) = (perhaps_prometheus(&apps), prometheus(&other, "p"));
        let mut on_host = Vec::new();
        for service in [&weak, &sure] {
            let service = stage.stage.world.create(service).await?;
            let backend = Backend::on_host_network(&stage.stage.world.client(), &service).await?;
            stage.redirect(&format!("{}:9090", backend.address()), server.port())?;
            on_host.push(backend);
        }

        let why = "not sent, because its Pod uses the host network";
        let is_said = |config: &DynamicObject| {
            let rejected = text(rejected(config, &apps), "message");
            rejected.contains(why) && text(tool(config, &other, "p"), "identity").starts_with(why)
        };
        let config = stage.stage.config_is("both say why they are not asked", is_said).await?;
        ensure!(reason_of(&config, "api-prometheus") == Some("NotEnoughEvidence"), "{:?}", config.data);
        ensure!(!format!("{:?}", stage.stage.output().await?.data).contains("not sent"), "the output says it");
        ensure!(server.requests().is_empty(), "{:?}", server.requests());

        stage.pod(&weak, server.port()).await?;
        on_host[0].delete().await?;
        let is_confirmed =
            |config: &DynamicObject| text(tool(config, &apps, "api-prometheus"), "identity").ends_with(": confirmed");
        let config = stage.stage.config_is("another Pod is asked", is_confirmed).await?;
        ensure!(text(tool(&config, &other, "p"), "identity").starts_with(why), "{:?}", config.data);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_failover_keeps_what_a_response_has_proved_until_the_next_response() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("identity-failover", async |world| {
        let mut stage = ProbeStage::asking(world, &[], json!({})).await?;
        let apps = stage.stage.apps.clone();
        let server = Recording::start("prometheus-route-prefix").await?;
        let service = stage.stage.world.create(&perhaps_prometheus(&apps)).await?;
        stage.pod(&service, server.port()).await?;
        let endpoint = format!("http://api-prometheus.{apps}.svc.cluster.local:9090/prom");
        let is_confirmed = |config: &DynamicObject| {
            let tool = tool(config, &apps, "api-prometheus");
            text(tool, "endpoint") == endpoint && text(tool, "identity").ends_with(": confirmed")
        };
        stage.stage.config_is("it is confirmed", is_confirmed).await?;
        let before = stage.stage.output().await?;

        let mend = stage.cut_network()?;
        stage.restart().await?;

        let is_silent = |config: &DynamicObject| {
            let tool = tool(config, &apps, "api-prometheus");
            text(tool, "endpoint") == endpoint && !text(tool, "identity").ends_with(": confirmed")
        };
        let config = stage.stage.config_is("nobody answers, and it stays", is_silent).await?;
        ensure!(reason_of(&config, "api-prometheus") == Some("Selected"), "{:?}", config.data);
        ensure!(version(&stage.stage.output().await?) == version(&before), "the ConfigMap was written");

        mend()?;
        // The Service is probed again after a pause.
        stage.stage.config_is("it is confirmed again", is_confirmed).await?;
        ensure!(version(&stage.stage.output().await?) == version(&before), "the ConfigMap was written");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn services_of_tenants_get_no_identity_probes() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("identity-tenants", async |world| {
        let theirs = world.namespace("theirs").await?;
        let ours = world.namespace("ours").await?;
        let source = |name: &str, trust: &str, namespace: &str| {
            json!({"name": name, "trust": trust, "namespaces": {"from": "Names", "names": [namespace]}})
        };
        let sources = json!({"sources": [source("ours", "Trusted", &ours), source("theirs", "Tenant", &theirs)]});
        let stage = ProbeStage::asking(world, &[], sources).await?;
        let (server, others) = (Recording::start("prometheus").await?, Recording::start("prometheus").await?);
        let opted_in = ServiceBuilder::new(&theirs, "p")
            .labels(LIKE_PROMETHEUS)
            .annotation("kubernaut.io/toolset", "enabled")
            .annotation("kubernaut.io/toolset-type", "prometheus")
            .port("http", 9090, 9090);
        let service = stage.stage.world.create(&opted_in.build()).await?;
        stage.pod(&service, server.port()).await?;
        stage.stage.config_is("theirs is a tool", |config| tool(config, &theirs, "p").is_some()).await?;

        let service = stage.stage.world.create(&prometheus(&ours, "p")).await?;
        stage.pod(&service, others.port()).await?;
        let is_confirmed =
            |config: &DynamicObject| text(tool(config, &ours, "p"), "identity").ends_with(": confirmed");
        let config = stage.stage.config_is("ours is confirmed", is_confirmed).await?;
        ensure!(server.requests().is_empty(), "{:?}", server.requests());
        ensure!(text(tool(&config, &theirs, "p"), "identity").is_empty());
        Ok(())
    })
    .await
}
