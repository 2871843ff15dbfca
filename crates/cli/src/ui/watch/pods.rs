//! Reads the Pods behind the Services for which something is open, as often as these Pods change.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crd_types::ToolsetConfig;
use detectors::ServiceKey;
use kube::Client;
use tokio::time;
use toolset::pods::{PodRef, representatives};

use super::OBJECTS;
use crate::{
    live::{Tasks, is_of_service, unreadable_namespaces},
    pods::wanted,
    snapshot::default_config,
    text::capitalised,
    ui::{
        known::{Known, PodsRead},
        state::State,
    },
};

/// The pause after a round.
const PAUSE: Duration = Duration::from_secs(1);
/// The first and the longest pause before Pods that could not be read are read again.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// The name of the kind, and of the problem that the page shows.
pub(super) const NAME: &str = "Pods";
/// The name of the problem with too many Pods.
const BEYOND: &str = "Pods beyond the maximum";

/// Reads Pods forever.
pub(super) async fn follow(state: State, client: Client) {
    let mut changes = state.changes().await;
    let mut retry = RETRY.0;
    loop {
        changes.mark_unchanged();
        round(&state, &client, None).await;
        let failed = !state.known().await.pods_failed.is_empty();
        if !failed {
            retry = RETRY.0;
        }
        time::sleep(PAUSE).await;
        tokio::select! {
            result = changes.changed() => if result.is_err() {
                return;
            },
            () = time::sleep(retry), if failed => {
                state.known().await.read_failed_pods_again();
                retry = (retry * 2).min(RETRY.1);
            }
        }
    }
}

/// Reads the Pods that changed. `further` is a ToolsetConfig that the cluster does not have.
pub(in crate::ui) async fn round(state: &State, client: &Client, further: Option<&ToolsetConfig>) {
    let due = {
        let mut known = state.known().await;
        if known.waiting.iter().any(|kind| OBJECTS.contains(kind)) {
            return;
        }
        let due = due(&mut known, further);
        if due.is_none() {
            if known.waiting.remove(NAME) {
                known.changed();
            }
            return;
        }
        due
    };
    let Some(tasks) = due else { return };
    let answers = tasks.read(client).await;
    let mut known = state.known().await;
    let failed = answers.failed();
    let snapshot = &mut known.snapshot;
    let (beyond, _) = answers.add(&mut snapshot.index, &mut snapshot.pods);
    known.pods_failed.extend(failed);
    if let Some(note) = beyond {
        known.problems.insert(BEYOND.to_owned(), capitalised(&note) + ".");
    }
    match unreadable_namespaces(&known.refused_pods()) {
        Some(note) => known.problems.insert(NAME.to_owned(), capitalised(&note) + "."),
        None => known.problems.remove(NAME),
    };
    known.waiting.remove(NAME);
    known.changed();
}

/// The Pods to read now. `None` if there is nothing to read.
fn due(known: &mut Known, further: Option<&ToolsetConfig>) -> Option<Tasks> {
    let index = &known.snapshot.index;
    let configs = known.configs.values().chain(further);
    let mut keys: BTreeSet<ServiceKey> = configs.flat_map(|config| wanted(config, index)).collect();
    if known.configs.is_empty() {
        keys.extend(wanted(&default_config(), index));
    }
    let mut behind: BTreeMap<ServiceKey, Vec<PodRef>> = BTreeMap::new();
    for slice in known.slices.values() {
        let key = ServiceKey::new(&*slice.view.namespace, &*slice.view.service);
        if keys.contains(&key) && is_of_service(index, &key, &slice.view) {
            behind.entry(key).or_default().extend(slice.pods.iter().cloned());
        }
    }
    known.pods_read.retain(|key, _| index.service(key).is_some());
    known.pods_failed.retain(|key, _| index.service(key).is_some());
    let mut tasks = Tasks::default();
    let mut any = false;
    for key in keys {
        let Some(service) = index.service(&key) else { continue };
        let pods = behind.get(&key).map(|pods| representatives(pods)).unwrap_or_default();
        let now = PodsRead { pods, selector: service.view.selector.clone(), ports: service.view.ports.clone() };
        let before = known.pods_read.get(&key);
        if before == Some(&now) || now.pods.is_empty() && before.is_none() {
            continue;
        }
        any = true;
        known.snapshot.pods.forget(&key);
        known.pods_failed.remove(&key);
        tasks.add(&key, now.pods.clone());
        known.pods_read.insert(key, now);
    }
    any.then_some(tasks)
}
