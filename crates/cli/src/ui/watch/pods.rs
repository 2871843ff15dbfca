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

use crate::{
    live::{Tasks, is_of_service},
    pods::wanted,
    snapshot::default_config,
    text::capitalised,
    ui::state::{Known, PodsRead, State},
};

/// The pause after a round.
const PAUSE: Duration = Duration::from_secs(1);
/// The name of the problem that the page shows.
const PROBLEM: &str = "Pods";

/// Reads Pods forever.
pub(super) async fn follow(state: State, client: Client) {
    let mut changes = state.changes().await;
    loop {
        changes.mark_unchanged();
        round(&state, &client, None).await;
        time::sleep(PAUSE).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Reads the Pods that changed. `further` is a ToolsetConfig that the cluster does not have.
pub(in crate::ui) async fn round(state: &State, client: &Client, further: Option<&ToolsetConfig>) {
    let Some(tasks) = due(&mut *state.known().await, further) else { return };
    let answers = tasks.read(client).await;
    let mut known = state.known().await;
    let snapshot = &mut known.snapshot;
    let notes = answers.apply(&mut snapshot.index, &mut snapshot.pods);
    for note in notes {
        known.problems.insert(PROBLEM.to_owned(), capitalised(&note) + ".");
    }
    known.changed();
}

/// The Pods to read now. `None` if there is nothing to read.
fn due(known: &mut Known, further: Option<&ToolsetConfig>) -> Option<Tasks> {
    if !known.waiting.is_empty() {
        return None;
    }
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
        tasks.add(&key, now.pods.clone());
        known.pods_read.insert(key, now);
    }
    any.then_some(tasks)
}
