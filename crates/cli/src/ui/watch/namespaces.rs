//! Follows Namespaces. Whoever may not list them can often get one.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, runtime::watcher::DefaultBackoff};
use tokio::time;

use super::{
    Ended, Scope,
    kinds::{Kind as _, Namespaces},
    pause, watch,
};
use crate::{
    live,
    text::capitalised,
    ui::{known::Known, state::State},
};

/// How often the one Namespace is read.
const PAUSE: Duration = Duration::from_secs(20);

/// Follows Namespaces forever.
pub(super) async fn follow(state: State, client: Client) {
    let api = Api::<Namespace>::all(client.clone());
    let mut backoff = DefaultBackoff::default();
    loop {
        match watch(&state, api.clone(), &mut Namespaces::default(), &Scope::Cluster).await {
            Ended::Forbidden(error) => {
                let name = client.default_namespace();
                let one = api.get_opt(name).await.ok().flatten();
                let text = capitalised(&live::namespaces_note(name, one.is_some(), &error)) + ".";
                take_one(&mut *state.known().await, one, &text);
                time::sleep(PAUSE).await;
            }
            Ended::NotStarted => pause(&mut backoff).await,
        }
    }
}

/// Takes the one Namespace that can be read.
fn take_one(known: &mut Known, one: Option<Namespace>, text: &str) {
    let waited = known.waiting.remove(Namespaces::NAME);
    let before = known.problems.insert(Namespaces::NAME.to_owned(), text.to_owned());
    let mut list = Namespaces::default();
    list.begin(known);
    if let Some(namespace) = one {
        list.collect(known, namespace);
    }
    if list.finish_changes(known) || waited || before.as_deref() != Some(text) {
        known.changed();
    }
}
