//! The floor, which is a loop that watches the Services of one namespace and applies a ConfigMap.
//!
//! It recognises, compares, stores and reports nothing. Its cost is that of the API server and the client library. The
//! difference is the cost of the operator itself.

use std::{path::Path, pin::pin};

use anyhow::{Context as _, Result, ensure};
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
use serde_json::{Value, json};

use crate::{
    controlplane::{Process, client, command},
    harness::{Account, World},
};

/// The annotation whose value it writes.
pub(super) const ANNOTATION: &str = "floor.example/path";
/// The ConfigMap that it writes, in the namespace that it watches.
pub(super) const CONFIG_MAP: &str = "floor";
/// The key that the annotation's value is written to.
const KEY: &str = "change";
/// The key that makes the object as large as the operator's.
const PADDING: &str = "padding";
/// What it is filled with: text with quotes and line ends, which JSON escapes, as in the operator's files.
const LINE: &str = "    url: \"http://prometheus.monitoring.svc.cluster.local:9090\"\n";

/// Runs until it is killed. `bytes` is the size of all keys and values of the ConfigMap. Without it, the ConfigMap
/// contains only the annotation's value. A broken watch is restarted, and a refused write is an error.
pub async fn run(kubeconfig: &Path, namespace: &str, bytes: Option<usize>) -> Result<()> {
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
                "data": data(value, bytes)?,
            });
            config_maps.patch(CONFIG_MAP, &params, &Patch::Apply(config_map)).await?;
        }
    }
    Ok(())
}

/// What it writes.
fn data(value: &str, bytes: Option<usize>) -> Result<Value> {
    let Some(bytes) = bytes else { return Ok(json!({KEY: value})) };
    let others = KEY.len() + value.len() + PADDING.len();
    let padding = bytes.checked_sub(others).with_context(|| format!("a ConfigMap of {bytes} bytes is too small"))?;
    Ok(json!({KEY: value, PADDING: LINE.chars().cycle().take(padding).collect::<String>()}))
}

/// How long all keys and values of a ConfigMap are together.
pub(super) fn size(config_map: &ConfigMap) -> usize {
    let data = config_map.data.iter().flatten();
    data.map(|(key, value)| key.len() + value.len()).sum()
}

/// Starts the loop as a process of its own.
pub(super) fn start(world: &World, account: &Account, namespace: &str, bytes: Option<usize>) -> Result<Process> {
    let mut command = command(std::env::current_exe()?);
    command.arg("floor").arg(account.kubeconfig()).arg(namespace);
    if let Some(bytes) = bytes {
        ensure!(bytes > 0, "the operator's ConfigMap is empty");
        command.arg("--bytes").arg(bytes.to_string());
    }
    Process::spawn("floor", &mut command, world.folder().join(format!("{namespace}.log")), world.watchdog())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_map(data: &Value) -> ConfigMap {
        serde_json::from_value(json!({ "data": data })).unwrap()
    }

    #[test]
    fn the_config_map_is_as_large_as_it_is_asked_for() {
        for bytes in [40, 41, 8000] {
            assert_eq!(size(&config_map(&data("/change-000001", Some(bytes)).unwrap())), bytes);
        }
        assert_eq!(size(&config_map(&data("/change-000001", None).unwrap())), "change/change-000001".len());
        assert_eq!(size(&ConfigMap::default()), 0);
    }

    #[test]
    fn a_size_below_that_of_the_value_is_refused() {
        let error = data("/change-000001", Some(10)).unwrap_err();
        assert_eq!(error.to_string(), "a ConfigMap of 10 bytes is too small");
    }
}
