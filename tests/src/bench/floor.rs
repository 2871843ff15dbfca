//! The least that could do the job: a loop that watches the Services of one namespace and applies a ConfigMap.
//!
//! It recognises nothing, compares nothing, keeps nothing and reports nothing. What it takes is what the API server and the
//! client library take; the operator's own part is what comes on top.

use std::{path::Path, pin::pin};

use anyhow::Result;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde_json::json;

use crate::controlplane::client;

/// The annotation whose value it writes.
pub(super) const ANNOTATION: &str = "floor.example/path";
/// The ConfigMap that it writes, in the namespace that it watches.
pub(super) const CONFIG_MAP: &str = "floor";
/// The key that the annotation's value is written to.
pub(super) const KEY: &str = "change";

/// Runs until it is killed. A watch that breaks comes back; a refused write is an error.
pub async fn run(kubeconfig: &Path, namespace: &str) -> Result<()> {
    let client = client(kubeconfig).await?;
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let config_maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    let params = PatchParams::apply("floor").force();
    let mut events = pin!(watcher(services, watcher::Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        if let Ok(Event::Apply(service) | Event::InitApply(service)) = event
            && let Some(value) = service.annotations().get(ANNOTATION)
        {
            let config_map = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": CONFIG_MAP},
                "data": {KEY: value},
            });
            config_maps.patch(CONFIG_MAP, &params, &Patch::Apply(config_map)).await?;
        }
    }
    Ok(())
}
