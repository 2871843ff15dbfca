//! Reads the Pods behind the Services for which something is open, as often as these Pods change.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use detectors::{PortView, ServiceKey, StringMap};
use kube::Client;
use tokio::time;
use toolset::pods::{PodRef, Representative, representatives};

use crate::{
    live::{Tasks, is_of_service},
    pods::wanted,
    snapshot::default_config,
    ui::state::{Known, State},
};

/// The pause after a round.
const PAUSE: Duration = Duration::from_secs(1);
/// The name of the problem that the page shows.
const PROBLEM: &str = "Pods";

/// What decides which Pods stand for a Service, and what they can say.
#[derive(PartialEq)]
struct Read {
    pods: Vec<Representative>,
    selector: StringMap,
    ports: Box<[PortView]>,
}

/// Reads Pods forever.
pub(super) async fn follow(state: State, client: Client) {
    let mut changes = state.changes().await;
    let mut read: BTreeMap<ServiceKey, Read> = BTreeMap::new();
    loop {
        changes.mark_unchanged();
        let tasks = due(&mut *state.known().await, &mut read);
        if let Some(tasks) = tasks {
            let answers = tasks.read(&client).await;
            let mut known = state.known().await;
            let snapshot = &mut known.snapshot;
            let notes = answers.apply(&mut snapshot.index, &mut snapshot.pods);
            for note in notes {
                known.problems.insert(PROBLEM.to_owned(), crate::text::capitalised(&note) + ".");
            }
            known.changed();
        }
        time::sleep(PAUSE).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// The Pods to read now. `None` if there is nothing to read.
fn due(known: &mut Known, read: &mut BTreeMap<ServiceKey, Read>) -> Option<Tasks> {
    if !known.waiting.is_empty() {
        return None;
    }
    let index = &known.snapshot.index;
    let mut keys: BTreeSet<ServiceKey> = known.configs.values().flat_map(|config| wanted(config, index)).collect();
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
    read.retain(|key, _| index.service(key).is_some());
    let mut tasks = Tasks::default();
    let mut any = false;
    for key in keys {
        let Some(service) = known.snapshot.index.service(&key) else { continue };
        let pods = behind.get(&key).map(|pods| representatives(pods)).unwrap_or_default();
        let now = Read { pods, selector: service.view.selector.clone(), ports: service.view.ports.clone() };
        if read.get(&key) == Some(&now) || now.pods.is_empty() && !read.contains_key(&key) {
            continue;
        }
        any = true;
        known.snapshot.pods.forget(&key);
        tasks.add(&key, now.pods.clone());
        read.insert(key, now);
    }
    any.then_some(tasks)
}
