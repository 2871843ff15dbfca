//! The changes that the demo makes to the cluster, and how long the operator takes to answer.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;

use super::sightings::{Sightings, since};
use crate::harness::{Backend, DEADLINE, DEFAULT_CONFIG_MAP};

/// The key that the agent reads.
pub(super) const FILE: &str = "custom_toolset.yaml";
/// A wrong address, as an edit by hand could write it.
pub(super) const WRONG: &str = "http://somewhere.else.example:9090";

/// The answer to a change.
#[derive(Debug)]
pub(super) struct Answer {
    /// From the API server's acknowledgement of the change to the watch event of the ConfigMap that answers it.
    pub(super) took: Duration,
    /// How much of it passed until Kubernetes had published the endpoints, where the operator waits for them.
    pub(super) endpoints: Option<Duration>,
    /// The file afterwards.
    pub(super) file: String,
}

/// Creates a Service, with a ready Pod behind it that is there before if `with_pod` says so.
pub(super) async fn add_service(
    client: &Client,
    sightings: &mut Sightings,
    service: &Service,
    with_pod: bool,
) -> Result<Answer> {
    if with_pod {
        Backend::create(client, service).await?;
    }
    let namespace = service.namespace().context("the Service names no namespace")?;
    let slices = endpoints_of(client, &namespace, &service.name_any()).await?;
    let api: Api<Service> = Api::namespaced(client.clone(), &namespace);
    api.create(&PostParams::default(), service).await.context("cannot create the Service")?;
    let acknowledged = Instant::now();

    let url = format!("//{}.{namespace}.svc", service.name_any());
    let answer =
        sightings.next("the new tool is in the ConfigMap", |config_map| file(config_map).contains(&url)).await?;
    let endpoints = if with_pod {
        let published = tokio::time::timeout(DEADLINE, slices).await.context("Kubernetes published no endpoints")??;
        Some(published?.saturating_duration_since(acknowledged))
    } else {
        None
    };
    Ok(Answer { took: since(acknowledged, &answer), endpoints, file: file(answer.config_map.as_ref()).to_owned() })
}

/// Writes a wrong address into the agent's file, as somebody with an editor would; the operator must put it back.
pub(super) async fn edit_by_hand(client: &Client, sightings: &mut Sightings, namespace: &str) -> Result<Answer> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let right = api.get(DEFAULT_CONFIG_MAP).await?;
    let content = file(Some(&right)).to_owned();
    let edited = content.replacen(prometheus_url(&content).context("the file names no Prometheus")?, WRONG, 1);
    let params = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    let edit = api.patch(DEFAULT_CONFIG_MAP, &params, &Patch::Merge(json!({"data": {FILE: edited}}))).await?;
    let acknowledged = Instant::now();

    let version = edit.resource_version();
    sightings.next("the edit is seen", |seen| seen.and_then(ConfigMap::resource_version) == version).await?;
    let answer = sightings.next("the edit is undone", |config_map| file(config_map) == content).await?;
    Ok(Answer { took: since(acknowledged, &answer), endpoints: None, file: content })
}

/// Deletes the ConfigMap; the operator must write it again.
pub(super) async fn delete(client: &Client, sightings: &mut Sightings, namespace: &str) -> Result<Answer> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let content = file(Some(&api.get(DEFAULT_CONFIG_MAP).await?)).to_owned();
    api.delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
    let acknowledged = Instant::now();

    sightings.next("the deletion is seen", |config_map| config_map.is_none()).await?;
    let answer = sightings.next("the ConfigMap is back", |config_map| file(config_map) == content).await?;
    Ok(Answer { took: since(acknowledged, &answer), endpoints: None, file: content })
}

/// The agent's file in the ConfigMap; empty where there is none.
pub(super) fn file(config_map: Option<&ConfigMap>) -> &str {
    config_map.and_then(|config_map| config_map.data.as_ref()?.get(FILE)).map_or("", String::as_str)
}

/// The first Prometheus address in the agent's file. Long ones stand on a line of their own, as YAML's folded text.
pub(super) fn prometheus_url(file: &str) -> Option<&str> {
    let (_, rest) = file.split_once("prometheus_url:")?;
    rest.split_whitespace().find(|word| word.starts_with("http"))
}

/// When Kubernetes has published an endpoint of a Service. The watch runs when this returns.
async fn endpoints_of(
    client: &Client,
    namespace: &str,
    service: &str,
) -> Result<tokio::task::JoinHandle<Result<Instant>>> {
    let api: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let params = WatchParams::default().labels(&format!("kubernetes.io/service-name={service}"));
    let events = api.watch(&params, "0").await?;
    Ok(tokio::spawn(async move {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            if let WatchEvent::Added(slice) | WatchEvent::Modified(slice) = event?
                && !slice.endpoints.is_empty()
            {
                return Ok(Instant::now());
            }
        }
        anyhow::bail!("the watch has ended")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prometheus_address_is_found_on_its_line_and_folded() {
        let line = "  - name: a/b\n    prometheus_url: http://b.a.svc:9090\n  - name: c\n";
        assert_eq!(prometheus_url(line), Some("http://b.a.svc:9090"));
        let folded = "    prometheus_url: >-\n      https://long.a.svc:9090\n    other: x\n";
        assert_eq!(prometheus_url(folded), Some("https://long.a.svc:9090"));
        assert_eq!(prometheus_url("toolsets: {}\n"), None);
    }
}
