//! The agent: whether a workload of the namespace reads the ConfigMap.

use crd_types::{OutputFormat, ToolsetConfig};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::PodSpec,
};
use kube::{Api, Client, ResourceExt, api::ListParams};

use super::Section;
use crate::{live, text::quoted};

/// A workload that can be an agent.
struct Workload {
    /// The kind and the name.
    title: String,
    ready: i32,
    wanted: i32,
    pods: PodSpec,
}

/// How a workload reads the ConfigMap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// A volume. Changes arrive in the files.
    Volume,
    /// A volume with `subPath`. The kubelet never updates such a file.
    SubPath,
    /// Environment variables. They change only with a restart.
    Environment,
}

pub(super) async fn check(
    client: &Client,
    config: &ToolsetConfig,
    namespace: &str,
    config_map: &str,
    section: &mut Section,
) {
    let all = match workloads(client, namespace).await {
        Ok(all) => all,
        Err(error) => {
            section.warn(
                format!(
                    "The agent is unknown, because Deployments cannot be listed in namespace {namespace}: {}",
                    live::of_request(&error)
                ),
                "",
            );
            return;
        }
    };
    let users: Vec<(&Workload, Use)> =
        all.iter().filter_map(|one| Some((one, use_of(&one.pods, config_map)?))).collect();
    if users.is_empty() && config.spec.output.writes(OutputFormat::GrafanaDatasources) {
        // A sidecar of Grafana reads it by its labels.
        return;
    }
    if users.is_empty() {
        section.warn(
            format!("No Deployment or StatefulSet in namespace {namespace} uses ConfigMap {config_map}, so no agent reads it."),
            "Mount it into the agent. See \"Connect HolmesGPT\" in the documentation.",
        );
    }
    for (one, how) in users {
        let message =
            format!("{} uses ConfigMap {config_map}; {} of {} replicas are ready.", one.title, one.ready, one.wanted);
        match how {
            Use::SubPath => section.broken(
                format!("{} mounts ConfigMap {config_map} with subPath, so changes never reach its Pods.", one.title),
                "Mount the whole volume instead.",
            ),
            Use::Volume | Use::Environment if one.ready == 0 && one.wanted > 0 => {
                section.broken(message, &format!("kubectl get pods -n {}", quoted(namespace)));
            }
            Use::Volume => section.ok(message),
            Use::Environment => {
                section.ok(format!("{message} A change to an environment variable requires a restart."));
            }
        }
    }
}

async fn workloads(client: &Client, namespace: &str) -> kube::Result<Vec<Workload>> {
    let params = ListParams::default();
    let deployments = Api::<Deployment>::namespaced(client.clone(), namespace).list(&params).await?;
    let mut all: Vec<Workload> = Vec::new();
    for one in deployments {
        let title = format!("Deployment {}", one.name_any());
        let ready = one.status.and_then(|status| status.ready_replicas).unwrap_or_default();
        if let Some(spec) = one.spec {
            let wanted = spec.replicas.unwrap_or(1);
            all.extend(spec.template.spec.map(|pods| Workload { title, ready, wanted, pods }));
        }
    }
    // Not every user may list them, and an agent is rarely one.
    let sets = Api::<StatefulSet>::namespaced(client.clone(), namespace).list(&params).await;
    for one in sets.map(|list| list.items).unwrap_or_default() {
        let title = format!("StatefulSet {}", one.name_any());
        let ready = one.status.and_then(|status| status.ready_replicas).unwrap_or_default();
        if let Some(spec) = one.spec {
            let wanted = spec.replicas.unwrap_or(1);
            all.extend(spec.template.spec.map(|pods| Workload { title, ready, wanted, pods }));
        }
    }
    Ok(all)
}

fn use_of(pods: &PodSpec, config_map: &str) -> Option<Use> {
    let volumes: Vec<&str> = pods
        .volumes
        .iter()
        .flatten()
        .filter(|volume| {
            let direct = volume.config_map.as_ref().is_some_and(|source| source.name == config_map);
            let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
            let mut projected = sources.filter_map(|source| source.config_map.as_ref());
            direct || projected.any(|source| source.name == config_map)
        })
        .map(|volume| volume.name.as_str())
        .collect();
    let containers = || pods.containers.iter().chain(pods.init_containers.iter().flatten());
    let mounts = containers().flat_map(|container| container.volume_mounts.iter().flatten());
    let mounts: Vec<_> = mounts.filter(|mount| volumes.contains(&mount.name.as_str())).collect();
    let is_partial = |path: &Option<String>| path.as_ref().is_some_and(|path| !path.is_empty());
    if mounts.iter().any(|mount| !is_partial(&mount.sub_path) && !is_partial(&mount.sub_path_expr)) {
        return Some(Use::Volume);
    }
    if !mounts.is_empty() {
        return Some(Use::SubPath);
    }
    let mut sources = containers().flat_map(|container| container.env_from.iter().flatten());
    let from_all = sources.any(|source| source.config_map_ref.as_ref().is_some_and(|found| found.name == config_map));
    let mut variables = containers().flat_map(|container| container.env.iter().flatten());
    let from_one = variables.any(|variable| {
        let source = variable.value_from.as_ref().and_then(|source| source.config_map_key_ref.as_ref());
        source.is_some_and(|source| source.name == config_map)
    });
    (from_all || from_one).then_some(Use::Environment)
}
