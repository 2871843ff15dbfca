//! Watches the ConfigMaps that the ToolsetConfigs name: outputs and base files.

use std::{collections::BTreeMap, pin::pin};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt as _, watcher,
        watcher::{DefaultBackoff, Event},
    },
};
use tokio::task::AbortHandle;

use super::pause;
use crate::{
    live::of_request,
    ui::{
        known::{Known, config_map_problem as problem},
        state::State,
    },
};

/// A namespace and a name.
type Name = (String, String);

/// Keeps a watch for each of the ConfigMaps.
pub(super) async fn follow(state: State, client: Client) {
    let mut changes = state.changes().await;
    let mut running: BTreeMap<Name, AbortHandle> = BTreeMap::new();
    loop {
        let wanted = state.known().await.config_map_names();
        let (kept, ended): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut running).into_iter().partition(|(name, _)| wanted.contains(name));
        running = kept;
        for (name, watch) in ended {
            watch.abort();
            let mut known = state.known().await;
            known.problems.remove(&problem(&name));
            known.maps_read.remove(&name);
            known.snapshot.config_maps.remove(&name);
            known.changed();
        }
        for name in wanted {
            running
                .entry(name.clone())
                .or_insert_with(|| tokio::spawn(watch(state.clone(), client.clone(), name)).abort_handle());
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Follows one ConfigMap forever.
async fn watch(state: State, client: Client, name: Name) {
    let api = Api::<ConfigMap>::namespaced(client, &name.0);
    let mut backoff = DefaultBackoff::default();
    loop {
        watch_once(&state, api.clone(), &name).await;
        pause(&mut backoff).await;
    }
}

/// Follows one ConfigMap until its watch does not start again. As for other kinds, only a new list tells when it does.
async fn watch_once(state: &State, api: Api<ConfigMap>, name: &Name) {
    let config = watcher::Config::default().fields(&format!("metadata.name={}", name.1));
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut listed = None;
    while let Some(event) = events.next().await {
        let mut known = state.known().await;
        let maps = &mut known.snapshot.config_maps;
        let mut ended = false;
        let changed = match event {
            Ok(Event::Init) => {
                listed = None;
                false
            }
            Ok(Event::InitApply(map)) => {
                listed = Some(map);
                false
            }
            Ok(Event::InitDone) => {
                match listed.take() {
                    Some(map) => maps.insert(name.clone(), map),
                    None => maps.remove(name),
                };
                known.problems.remove(&problem(name));
                known.maps_read.insert(name.clone());
                true
            }
            Ok(Event::Apply(map)) => {
                maps.insert(name.clone(), map);
                true
            }
            Ok(Event::Delete(_)) => maps.remove(name).is_some(),
            Err(error @ (watcher::Error::InitialListFailed(_) | watcher::Error::WatchStartFailed(_))) => {
                ended = matches!(error, watcher::Error::WatchStartFailed(_));
                report(&mut known, name, &error)
            }
            Err(_) => false,
        };
        if changed {
            known.changed();
        }
        if ended {
            return;
        }
    }
}

/// Says that the ConfigMap cannot be read. Returns whether that is new.
fn report(known: &mut Known, name: &Name, error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    let key = problem(name);
    let effect = if known.maps_read.contains(name) { "this is its last known content" } else { "it counts as missing" };
    let text = format!("{key} cannot be read, so {effect}: {}.", of_request(error));
    known.problems.insert(key, text.clone()).as_ref() != Some(&text)
}
