//! Services that become ready in namespaces of their own, and when each operator adds their tools.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde_json::json;
use tokio::task::JoinHandle;

use super::{
    super::{probe::milliseconds, probe::prometheus},
    LABEL, PATIENCE,
};
use crate::harness::{Backend, DEFAULT_CONFIG_MAP, World, within};

/// The name of each such Service, before its number.
pub(super) const NAME: &str = "arrival-";
/// The time between two of them.
const EVERY: Duration = Duration::from_secs(1);

/// Services whose Pods are not ready yet.
pub(super) struct Arrivals {
    waiting: std::vec::IntoIter<(String, Backend)>,
}

/// When each of them was first seen in a ConfigMap.
pub(super) struct Seen {
    first: Arc<Mutex<BTreeMap<String, Instant>>>,
    watch: JoinHandle<()>,
}

impl Arrivals {
    /// Creates so many, each in a namespace of its own with this value of the label.
    pub(super) async fn create(world: &mut World, count: usize, label: &str) -> Result<Self> {
        let mut waiting = Vec::new();
        for number in 0..count {
            let name = format!("{NAME}{number:05}");
            let namespace = world.namespace_with_labels(&format!("new-{number}"), &[(LABEL, label)]).await?;
            let service = world.create(&prometheus(&namespace, &name, "new")).await?;
            let container = json!({"name": "app", "image": "app.example/app:1"});
            waiting.push((name, Backend::not_ready(&world.client(), &service, container).await?));
        }
        Ok(Self { waiting: waiting.into_iter() })
    }

    /// So many of them become ready, one after the other. Returns how long it took until each was in each ConfigMap, in
    /// milliseconds.
    pub(super) async fn arrive<const N: usize>(&mut self, count: usize, seen: &[Seen; N]) -> Result<[Vec<f64>; N]> {
        let mut ready = Vec::new();
        let mut ticks = tokio::time::interval(EVERY);
        for _ in 0..count {
            let (name, backend) = self.waiting.next().context("too few Services were created")?;
            ticks.tick().await;
            backend.set_ready(true).await?;
            ready.push((name, Instant::now()));
        }
        let mut times: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
        for (seen, times) in seen.iter().zip(&mut times) {
            for (name, from) in &ready {
                times.push(milliseconds(*from, seen.when(name).await?));
            }
        }
        Ok(times)
    }
}

impl Seen {
    /// Watches the ConfigMap of an agent.
    pub(super) fn watch(config_maps: Api<ConfigMap>) -> Self {
        let first = Arc::new(Mutex::default());
        let shared = first.clone();
        let watch = tokio::spawn(async move {
            let named = watcher::Config::default().fields(&format!("metadata.name={DEFAULT_CONFIG_MAP}"));
            let mut events = pin!(watcher(config_maps, named).default_backoff());
            while let Some(event) = events.next().await {
                let at = Instant::now();
                if let Ok(Event::Apply(config_map) | Event::InitApply(config_map)) = event {
                    let mut first = lock(&shared);
                    for name in names(&config_map) {
                        first.entry(name).or_insert(at);
                    }
                }
            }
        });
        Self { first, watch }
    }

    async fn when(&self, name: &str) -> Result<Instant> {
        within(PATIENCE, &format!("{name} is a tool"), async || {
            lock(&self.first).get(name).copied().context("it is not in the ConfigMap")
        })
        .await
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

fn lock(first: &Mutex<BTreeMap<String, Instant>>) -> MutexGuard<'_, BTreeMap<String, Instant>> {
    first.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The arrivals that a ConfigMap names.
fn names(config_map: &ConfigMap) -> impl Iterator<Item = String> {
    let texts = config_map.data.iter().flatten().map(|(_, text)| text);
    texts.flat_map(|text| text.split(NAME).skip(1)).filter_map(|after| Some(format!("{NAME}{}", after.get(..5)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_arrivals_are_read_from_a_config_map() {
        let data = BTreeMap::from([("a".to_owned(), "x arrival-00001.new.svc, arrival-00012\narriv".to_owned())]);
        let config_map = ConfigMap { data: Some(data), ..ConfigMap::default() };
        assert_eq!(names(&config_map).collect::<Vec<_>>(), ["arrival-00001", "arrival-00012"]);
        assert_eq!(names(&ConfigMap::default()).count(), 0);
    }
}
