//! What a watch sees of the ConfigMap, and when.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::harness::{DEADLINE, DEFAULT_CONFIG_MAP};

/// The ConfigMap as it is after a change; `None` after its deletion.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) at: Instant,
    pub(super) config_map: Option<ConfigMap>,
}

/// A watch of the ConfigMap.
#[derive(Debug)]
pub(super) struct Sightings {
    changes: mpsc::UnboundedReceiver<Sighting>,
    watch: JoinHandle<()>,
}

impl Sightings {
    /// Watches the ConfigMap of a namespace, from what is there now.
    pub(super) fn watch(client: &Client, namespace: &str) -> Self {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let (changes, receiver) = mpsc::unbounded_channel();
        let watch = tokio::spawn(async move {
            let named = watcher::Config::default().fields(&format!("metadata.name={DEFAULT_CONFIG_MAP}"));
            let mut events = pin!(watcher(api, named).default_backoff());
            while let Some(event) = events.next().await {
                let at = Instant::now();
                let config_map = match event {
                    Ok(Event::Apply(config_map) | Event::InitApply(config_map)) => Some(config_map),
                    Ok(Event::Delete(_)) => None,
                    // The watch comes back by itself.
                    Ok(Event::Init | Event::InitDone) | Err(_) => continue,
                };
                if changes.send(Sighting { at, config_map }).is_err() {
                    return;
                }
            }
        });
        Self { changes: receiver, watch }
    }

    /// The next change of which `condition` is true; those before it are passed over.
    pub(super) async fn next(
        &mut self,
        what: &str,
        condition: impl Fn(Option<&ConfigMap>) -> bool,
    ) -> Result<Sighting> {
        let search = async {
            loop {
                let sighting = self.changes.recv().await.context("the watch has ended")?;
                if condition(sighting.config_map.as_ref()) {
                    return Ok(sighting);
                }
            }
        };
        tokio::time::timeout(DEADLINE, search).await.unwrap_or_else(|_| Err(anyhow!("not within {DEADLINE:?}: {what}")))
    }
}

impl Drop for Sightings {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// Time from an acknowledged write to a sighting: zero if the watch was faster than the acknowledgement.
pub(super) fn since(acknowledged: Instant, sighting: &Sighting) -> Duration {
    sighting.at.saturating_duration_since(acknowledged)
}
