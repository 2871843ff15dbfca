//! Keeps the objects of a cluster up to date with watches, with the permissions of the user.
//!
//! Each kind of object has its own watch. A watch that is refused in the whole cluster continues in one namespace, and
//! the page says so. Errors are shown on the page, and the watch tries again.

mod config_maps;
mod kinds;
pub(super) mod pods;

use std::{fmt::Debug, pin::pin};

use futures::StreamExt as _;
use k8s_openapi::{NamespaceResourceScope, api::core::v1::Namespace};
use kube::{
    Api, Client, Resource,
    runtime::{WatchStreamExt as _, watcher, watcher::Event},
};
use serde::de::DeserializeOwned;

use self::kinds::{Configs, Kind, Namespaces, Services, Slices};
use super::state::{Known, State};
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

/// The kinds that must be read before the page is complete.
pub(super) const KINDS: [&str; 4] = [Services::NAME, Slices::NAME, Namespaces::NAME, Configs::NAME];

/// The name of the problem with Namespaces.
pub(super) const NAMESPACES: &str = Namespaces::NAME;

/// Starts all watches. They run until the runtime ends.
pub(super) fn start(state: &State, client: &Client) {
    let namespace = client.default_namespace().to_owned();
    spawn(state, client, Services::default(), Some(namespace.clone()), namespaced);
    spawn(state, client, Slices::default(), Some(namespace.clone()), namespaced);
    spawn(state, client, Configs::default(), Some(namespace), namespaced);
    // A Namespace is in no namespace, so there is nowhere else to look.
    spawn(state, client, Namespaces::default(), None, |client, _| Api::<Namespace>::all(client));
    tokio::spawn(config_maps::follow(state.clone(), client.clone()));
    tokio::spawn(pods::follow(state.clone(), client.clone()));
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

fn spawn<T: Kind + Send + 'static>(
    state: &State,
    client: &Client,
    kind: T,
    fallback: Option<String>,
    api: impl Fn(Client, &Scope) -> Api<T::Object> + Send + 'static,
) where
    T::Object: Clone + Debug + DeserializeOwned + Resource + Send + 'static,
{
    let (state, client) = (state.clone(), client.clone());
    tokio::spawn(async move { follow(state, client, kind, fallback, api).await });
}

/// Follows one kind forever.
async fn follow<T: Kind>(
    state: State,
    client: Client,
    mut kind: T,
    fallback: Option<String>,
    api: impl Fn(Client, &Scope) -> Api<T::Object>,
) where
    T::Object: Clone + Debug + DeserializeOwned + Resource + Send + 'static,
{
    let mut scope = Scope::Cluster;
    loop {
        let mut next = None;
        let events = watcher(api(client.clone(), &scope), watcher::Config::default()).default_backoff();
        let mut events = pin!(events.ready_chunks(AT_ONCE));
        while let Some(some) = events.next().await {
            let mut known = state.known().await;
            let mut changed = false;
            for event in some {
                match event {
                    Ok(event) => changed |= take(&mut kind, &mut known, event, &scope),
                    Err(error) => {
                        let forbidden = is_forbidden(&error);
                        if let (true, Scope::Cluster, Some(namespace)) = (forbidden, &scope, &fallback) {
                            next = Some(Scope::Namespace(namespace.clone()));
                        }
                        changed |= report(&mut kind, &mut known, &error, &scope);
                    }
                }
            }
            if changed {
                known.changed();
            }
            if next.is_some() {
                break;
            }
        }
        if let Some(next) = next {
            scope = next;
        }
    }
}

/// Takes an event. Returns whether a page can change.
fn take<T: Kind>(kind: &mut T, known: &mut Known, event: Event<T::Object>, scope: &Scope) -> bool {
    let namespace = match scope {
        Scope::Cluster => None,
        Scope::Namespace(namespace) => Some(namespace.as_str()),
    };
    match event {
        Event::Init => {
            kind.begin(known, namespace);
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
            match namespace {
                None => known.limited.remove(T::NAME),
                Some(namespace) => known.limited.insert(T::NAME, namespace.to_owned()),
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
                "The cluster has no CRD for ToolsetConfigs, so this page shows what a ToolsetConfig with one Trusted \
                 source for all namespaces gives."
                    .to_owned()
            }
            (error, Scope::Cluster) => format!("{what} cannot be read: {}.", of_request(error)),
            (error, Scope::Namespace(namespace)) => {
                format!("{what} cannot be read, also not in namespace {namespace}: {}.", of_request(error))
            }
        },
    };
    kind.unreadable(known);
    let waited = known.waiting.remove(what);
    let before = known.problems.insert(what.to_owned(), text.clone());
    waited || before.as_ref() != Some(&text)
}

fn is_forbidden(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if status.code == 403)
}
