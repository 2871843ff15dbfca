//! Keeps the objects of a cluster up to date with watches, with the permissions of the user.
//!
//! Each kind of object has its own watch. A watch that is refused in the whole cluster continues in one namespace, and
//! the page says so. Errors are shown on the page, and the watch tries again.

mod config_maps;
mod kinds;
mod namespaces;
pub(super) mod pods;

use std::{fmt::Debug, pin::pin, time::Duration};

use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource,
    runtime::{
        WatchStreamExt as _, watcher,
        watcher::{DefaultBackoff, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::time;

use self::kinds::{Configs, Kind, Namespaces, Services, Slices};
use super::{known::Known, state::State};
use crate::live::of_request;

/// The most events that are taken at once.
const AT_ONCE: usize = 500;

/// Where a watch looks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    Cluster,
    /// One namespace, because the user may not look everywhere.
    Namespace(String),
}

/// Why a watch ended.
enum Ended {
    /// The user may not read the objects there.
    Forbidden(kube::Error),
    /// It did not start again. Only a new list tells when the objects can be read again: a watch that starts has no event
    /// of its own.
    NotStarted,
}

/// The kinds that must be read before Pods are.
const OBJECTS: [&str; 4] = [Services::NAME, Slices::NAME, Namespaces::NAME, Configs::NAME];

/// The kinds that must be read before the page is complete. The ConfigMaps follow from the ToolsetConfigs.
pub(super) const KINDS: [&str; 5] = [Services::NAME, Slices::NAME, Namespaces::NAME, Configs::NAME, pods::NAME];

/// Starts all watches. They run until the runtime ends.
pub(super) fn start(state: &State, client: &Client) {
    spawn(state, client, Services::default());
    spawn(state, client, Slices::default());
    spawn(state, client, Configs::default());
    tokio::spawn(namespaces::follow(state.clone(), client.clone()));
    tokio::spawn(config_maps::follow(state.clone(), client.clone()));
    tokio::spawn(pods::follow(state.clone(), client.clone()));
}

/// The pause before a watch is started again.
async fn pause(backoff: &mut DefaultBackoff) {
    time::sleep(backoff.next().unwrap_or(Duration::from_secs(30))).await;
}

fn namespaced<K>(client: Client, scope: &Scope) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match scope {
        Scope::Cluster => Api::all(client),
        Scope::Namespace(namespace) => Api::namespaced(client, namespace),
    }
}

fn spawn<T: Kind + Send + 'static>(state: &State, client: &Client, kind: T)
where
    T::Object:
        Clone + Debug + DeserializeOwned + Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Send + 'static,
{
    let (state, client) = (state.clone(), client.clone());
    tokio::spawn(async move { follow(state, client, kind).await });
}

/// Follows one kind forever: in all namespaces, or in the one of the client if that is forbidden.
async fn follow<T: Kind>(state: State, client: Client, mut kind: T)
where
    T::Object:
        Clone + Debug + DeserializeOwned + Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Send + 'static,
{
    let mut scope = Scope::Cluster;
    let mut backoff = DefaultBackoff::default();
    loop {
        match watch(&state, namespaced(client.clone(), &scope), &mut kind, &scope).await {
            Ended::Forbidden(_) => scope = Scope::Namespace(client.default_namespace().to_owned()),
            Ended::NotStarted => pause(&mut backoff).await,
        }
    }
}

/// Follows the objects of one place, until something else has to be done.
async fn watch<T: Kind>(state: &State, api: Api<T::Object>, kind: &mut T, scope: &Scope) -> Ended
where
    T::Object: Clone + Debug + DeserializeOwned + Resource + Send + 'static,
{
    let events = watcher(api, watcher::Config::default()).default_backoff();
    let mut events = pin!(events.ready_chunks(AT_ONCE));
    while let Some(some) = events.next().await {
        let mut known = state.known().await;
        let mut changed = false;
        let mut ended = None;
        for event in some {
            match event {
                Ok(event) => changed |= take(kind, &mut known, event, scope),
                Err(watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error))
                    if is_forbidden(&error) && *scope == Scope::Cluster =>
                {
                    ended = Some(Ended::Forbidden(error));
                }
                Err(error) => {
                    if matches!(error, watcher::Error::WatchStartFailed(_)) {
                        ended = Some(Ended::NotStarted);
                    }
                    changed |= report(kind, &mut known, &error, scope);
                }
            }
        }
        if changed {
            known.changed();
        }
        if let Some(ended) = ended {
            return ended;
        }
    }
    Ended::NotStarted
}

/// Takes an event. Returns whether a page can change.
fn take<T: Kind>(kind: &mut T, known: &mut Known, event: Event<T::Object>, scope: &Scope) -> bool {
    match event {
        Event::Init => {
            kind.begin(known);
            false
        }
        Event::InitApply(object) => {
            kind.collect(known, object);
            false
        }
        Event::InitDone => {
            kind.finish(known);
            known.waiting.remove(T::NAME);
            known.problems.remove(T::NAME);
            match scope {
                Scope::Cluster => known.limited.remove(T::NAME),
                Scope::Namespace(namespace) => known.limited.insert(T::NAME, namespace.clone()),
            };
            true
        }
        Event::Apply(object) => kind.apply(known, object),
        Event::Delete(object) => kind.delete(known, &object),
    }
}

/// Says what cannot be read. Returns whether that is new.
fn report<T: Kind>(kind: &mut T, known: &mut Known, error: &watcher::Error, scope: &Scope) -> bool {
    let what = T::NAME;
    let text = match error {
        // The API server ends watches all the time, and the next list tells whether something is wrong.
        watcher::Error::WatchError(_) | watcher::Error::WatchFailed(_) | watcher::Error::NoResourceVersion => {
            return false;
        }
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => match (error, scope) {
            (kube::Error::Api(status), _) if status.code == 404 && what == Configs::NAME => {
                "The cluster has no CRD for ToolsetConfigs, so this page shows the tools for a ToolsetConfig with one \
                 Trusted source for all namespaces."
                    .to_owned()
            }
            (error, Scope::Cluster) => format!("{what} cannot be read: {}.", of_request(error)),
            (error, Scope::Namespace(namespace)) => {
                format!("{what} cannot be read in all namespaces or in namespace {namespace}: {}.", of_request(error))
            }
        },
    };
    kind.unreadable(known);
    let waited = known.waiting.remove(what);
    let before = known.problems.insert(what.to_owned(), text.clone());
    waited || before.as_ref() != Some(&text)
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}
