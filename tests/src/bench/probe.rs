//! A Service that changes again and again, and when each change is seen in the ConfigMaps.
//!
//! Each change has a number, which is part of the Service's path and with that of every endpoint that is rendered from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
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
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use crate::harness::services::ServiceBuilder;

/// The annotation of the operator's Services that changes. It is part of the endpoint, so every change is an effective one.
pub(super) const PATH: &str = "kubernaut.io/toolset-path";
/// How long the last change may take to be seen.
const DEADLINE: Duration = Duration::from_secs(60);

/// The name of a change, before its number. No word may end in another one.
pub(super) type Word = &'static str;

/// A Prometheus, whose path changes.
pub(super) fn prometheus(namespace: &str, name: &str, word: Word) -> Service {
    let pods = [("app.kubernetes.io/name", "prometheus"), ("app.kubernetes.io/component", "server")];
    ServiceBuilder::new(namespace, name)
        .labels(&pods)
        .selector(&pods)
        .annotation(PATH, &path(word, 0))
        .port("http", 9090, 9090)
        .build()
}

/// A Service under change.
pub(super) struct Probe {
    services: Api<Service>,
    name: String,
    annotation: &'static str,
    word: Word,
    sightings: Sightings,
    /// The number of the last change.
    changes: usize,
}

/// A ConfigMap that shows a change.
#[derive(Clone, Debug)]
struct Sighting {
    namespace: String,
    number: usize,
    at: Instant,
}

/// The watch of the ConfigMaps.
struct Sightings {
    received: mpsc::UnboundedReceiver<Sighting>,
    watch: JoinHandle<()>,
}

impl Probe {
    /// Changes this annotation of a Service; the changes are seen in the ConfigMaps of this name.
    pub(super) fn new(
        (services, name): (Api<Service>, &str),
        annotation: &'static str,
        word: Word,
        (config_maps, config_map): (Api<ConfigMap>, &str),
    ) -> Self {
        let sightings = Sightings::watch(config_maps, config_map, word);
        Self { services, name: name.to_owned(), annotation, word, sightings, changes: 0 }
    }

    /// The number of the last change.
    pub(super) fn changes(&self) -> usize {
        self.changes
    }

    /// Makes the next change; returns when it was acknowledged.
    pub(super) async fn change(&mut self) -> Result<Instant> {
        self.changes += 1;
        let annotations = json!({self.annotation: path(self.word, self.changes)});
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        self.services.patch(&self.name, &PatchParams::default(), &patch).await?;
        Ok(Instant::now())
    }

    /// When each change from `first` to the last one was first seen, in their order. A change that was overtaken by a later
    /// one is seen with that.
    pub(super) async fn seen_since(&mut self, first: usize) -> Result<Vec<Instant>> {
        let mut seen = BTreeMap::new();
        let mut next = first;
        while next <= self.changes {
            let sighting = self.next(next).await?;
            for number in next..=sighting.number {
                seen.insert(number, sighting.at);
            }
            next = next.max(sighting.number + 1);
        }
        Ok(seen.into_values().collect())
    }

    /// When the last of so many ConfigMaps, each in a namespace of its own, showed the last change.
    pub(super) async fn seen_in(&mut self, config_maps: usize) -> Result<Instant> {
        let mut namespaces = BTreeSet::new();
        loop {
            let sighting = self.next(self.changes).await?;
            if sighting.number == self.changes {
                namespaces.insert(sighting.namespace);
            }
            if namespaces.len() >= config_maps {
                return Ok(sighting.at);
            }
        }
    }

    async fn next(&mut self, number: usize) -> Result<Sighting> {
        let next = timeout(DEADLINE, self.sightings.received.recv()).await;
        next.with_context(|| format!("change {number} of {} was not seen within {DEADLINE:?}", self.name))?
            .context("the watch of the ConfigMaps has ended")
    }
}

impl Sightings {
    fn watch(config_maps: Api<ConfigMap>, name: &str, word: Word) -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        let named = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let watch = tokio::spawn(async move {
            let mut events = pin!(watcher(config_maps, named).default_backoff());
            while let Some(event) = events.next().await {
                let at = Instant::now();
                if let Ok(Event::Apply(config_map) | Event::InitApply(config_map)) = event
                    && let Some(number) = number_of(&config_map, word)
                    && let Some(namespace) = config_map.namespace()
                    && sender.send(Sighting { namespace, number, at }).is_err()
                {
                    return;
                }
            }
        });
        Self { received, watch }
    }
}

impl Drop for Sightings {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// Always as long, so that the size of a ConfigMap does not depend on the number.
fn path(word: Word, number: usize) -> String {
    format!("/{word}-{number:06}")
}

/// The number of the change that a ConfigMap shows, the operator's or the floor's.
fn number_of(config_map: &ConfigMap, word: Word) -> Option<usize> {
    let before = format!("/{word}-");
    let texts = config_map.data.as_ref()?.values();
    let after = texts.filter_map(|text| text.split_once(&before)).map(|(_, after)| after).next()?;
    after.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

/// From one moment to another, in milliseconds; negative if the second one came first. A watch event may be faster than the
/// acknowledgement of the change that it is about.
pub(super) fn milliseconds(from: Instant, to: Instant) -> f64 {
    if to >= from { (to - from).as_secs_f64() * 1000.0 } else { -(from - to).as_secs_f64() * 1000.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_change_is_read_from_a_config_map() {
        let config_map = |key: &str, value: String| ConfigMap {
            data: Some(BTreeMap::from([("a".to_owned(), "{}".to_owned()), (key.to_owned(), value)])),
            ..ConfigMap::default()
        };
        let json = format!("{{\"endpoint\": \"http://probe.x.svc:9090{}\", \"n\": 1}}", path("one", 42));
        assert_eq!(number_of(&config_map("toolset.json", json.clone()), "one"), Some(42));
        assert_eq!(number_of(&config_map("toolset.json", json), "all"), None);
        assert_eq!(number_of(&config_map("change", path("all", 1_000_000)), "all"), Some(1_000_000));
        assert_eq!(number_of(&ConfigMap::default(), "one"), None);
    }

    #[test]
    fn an_event_before_the_acknowledgement_is_a_negative_time() {
        let now = Instant::now();
        assert!((milliseconds(now, now + Duration::from_millis(2)) - 2.0).abs() < 1e-9);
        assert!((milliseconds(now + Duration::from_millis(2), now) + 2.0).abs() < 1e-9);
    }
}
