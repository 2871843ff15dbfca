//! Services that change in turn, and when each change is seen in the ConfigMaps.
//!
//! Each change has a number, which is part of the Service's path and with that of every endpoint that is rendered from it.
//! The operator limits how often the same Service triggers, so a fast sequence of changes needs several Services.

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

/// A Prometheus, whose path changes. Its instance label tells it from others in the same namespace.
pub(super) fn prometheus(namespace: &str, name: &str, word: Word) -> Service {
    let pods = [
        ("app.kubernetes.io/name", "prometheus"),
        ("app.kubernetes.io/component", "server"),
        ("app.kubernetes.io/instance", name),
    ];
    ServiceBuilder::new(namespace, name)
        .labels(&pods)
        .selector(&pods)
        .annotation(PATH, &path(word, 0))
        .port("http", 9090, 9090)
        .build()
}

/// Services under change.
pub(super) struct Probe {
    /// They change in this order, again and again.
    services: Vec<(Api<Service>, String)>,
    /// How many watches of ConfigMaps there are.
    places: usize,
    annotation: &'static str,
    word: Word,
    sightings: Sightings,
    /// The number of the last change.
    changes: usize,
}

/// A ConfigMap that shows a change.
#[derive(Clone, Debug)]
struct Sighting {
    /// The number of the watch that showed it.
    place: usize,
    namespace: String,
    number: usize,
    at: Instant,
}

/// The watches of the ConfigMaps.
struct Sightings {
    received: mpsc::UnboundedReceiver<Sighting>,
    watches: Vec<JoinHandle<()>>,
}

impl Probe {
    /// Changes this annotation of one Service after the other. The changes are seen in the ConfigMaps of this name. If
    /// there are several places, the first Service is seen in the first one, the second Service in the second one, and so
    /// on from the beginning.
    pub(super) fn new(
        services: Vec<(Api<Service>, String)>,
        annotation: &'static str,
        word: Word,
        (places, config_map): (Vec<Api<ConfigMap>>, &str),
    ) -> Self {
        let places_count = places.len();
        let sightings = Sightings::watch(places, config_map, word);
        Self { services, places: places_count, annotation, word, sightings, changes: 0 }
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
        let (services, name) = &self.services[(self.changes - 1) % self.services.len()];
        services.patch(name, &PatchParams::default(), &patch).await?;
        Ok(Instant::now())
    }

    /// Counts a change that another one made of the same Services.
    pub(super) fn made(&mut self) {
        self.changes += 1;
    }

    /// When each change from `first` to the last one was first seen, in their order. A change that was overtaken by a later
    /// one is seen with that.
    pub(super) async fn seen_since(&mut self, first: usize) -> Result<Vec<Instant>> {
        let mut seen = BTreeMap::new();
        let mut missing: BTreeSet<_> = (first..=self.changes).collect();
        while let Some(&next) = missing.first() {
            let sighting = self.next(next).await?;
            let shown = |number: &usize| *number <= sighting.number && (number - 1) % self.places == sighting.place;
            seen.extend(missing.iter().copied().filter(shown).map(|number| (number, sighting.at)));
            missing.retain(|number| !seen.contains_key(number));
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
        next.with_context(|| format!("{} {number} was not seen within {DEADLINE:?}", self.word))?
            .context("the watch of the ConfigMaps has ended")
    }
}

impl Sightings {
    fn watch(places: Vec<Api<ConfigMap>>, name: &str, word: Word) -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        let named = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let watches = places.into_iter().enumerate().map(|(place, config_maps)| {
            let (sender, named) = (sender.clone(), named.clone());
            tokio::spawn(async move {
                let mut events = pin!(watcher(config_maps, named).default_backoff());
                while let Some(event) = events.next().await {
                    let at = Instant::now();
                    if let Ok(Event::Apply(config_map) | Event::InitApply(config_map)) = event
                        && let Some(number) = number_of(&config_map, word)
                        && let Some(namespace) = config_map.namespace()
                        && sender.send(Sighting { place, namespace, number, at }).is_err()
                    {
                        return;
                    }
                }
            })
        });
        let watches = watches.collect();
        Self { received, watches }
    }
}

impl Drop for Sightings {
    fn drop(&mut self) {
        self.watches.iter().for_each(JoinHandle::abort);
    }
}

/// Always as long, so that the size of a ConfigMap does not depend on the number.
fn path(word: Word, number: usize) -> String {
    format!("/{word}-{number:06}")
}

/// The number of the last change that a ConfigMap shows, the operator's or the floor's.
fn number_of(config_map: &ConfigMap, word: Word) -> Option<usize> {
    let before = format!("/{word}-");
    let after = config_map.data.as_ref()?.values().flat_map(|text| text.split(&before).skip(1));
    after.filter_map(|text| text.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()).max()
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
        let several = [41, 43, 42].map(|number| path("one", number)).join("\n");
        assert_eq!(number_of(&config_map("toolset.json", several), "one"), Some(43));
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
