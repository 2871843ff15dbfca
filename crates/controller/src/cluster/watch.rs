//! One watch. It keeps errors out of the streams that trigger reconciles.

use std::{fmt::Debug, pin::pin, sync::Arc};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource,
    runtime::watcher::{self, Event},
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until};
use toolset::status::Input;
use tracing::{info, warn};

use super::{
    state::Cluster,
    triggers::Triggers,
    watch_health::{HealthChange, WatchHealth, WatchId},
};
use crate::{
    api::{
        Cause, Observer,
        client::within_timeout,
        watching::{Problem, Watching},
    },
    metrics::Metrics,
};

/// Objects per page of a list. A page is parsed as a whole, so small pages keep the peak of memory low.
const PAGE: u32 = 100;

/// Receives the objects of one watch. Each object is converted and dropped at once.
///
/// `received` is when the event was read from the connection. Freshness counts from then.
pub(super) trait Feed: Send + 'static {
    /// What the watch yields.
    type Object;

    /// Begins a list. The objects of an earlier list that did not complete are dropped.
    fn begin(&mut self);

    /// Adds an object to the list.
    fn collect(&mut self, object: Self::Object);

    /// Completes the list, which replaces what was known. Only the list shows what was deleted while no watch ran.
    fn complete(&mut self, received: Instant);

    /// A new or changed object.
    fn applied(&mut self, object: Self::Object, received: Instant);

    /// A deleted object.
    fn deleted(&mut self, object: Self::Object, received: Instant);

    /// etcd was restored, so the versions that were seen cannot be compared with the next ones. A list follows.
    fn restored(&mut self) {}
}

/// One watch and what it reports to.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) id: WatchId,
    pub(super) cluster: Arc<Cluster>,
    pub(super) triggers: Arc<Triggers>,
    pub(super) metrics: Arc<Metrics>,
}

impl Observer for Watch {
    fn answered(&self) {
        self.recovered(self.cluster.watches.answered(&self.id, Instant::now()));
    }

    fn contact(&self) {
        self.recovered(self.cluster.watches.contact(&self.id, Instant::now()));
    }
}

impl Watch {
    /// Watches until the task is dropped. `api` makes the typed API of a client.
    pub(super) async fn run<F>(self, client: Client, api: impl FnOnce(Client) -> Api<F::Object>, mut feed: F)
    where
        F: Feed,
        F::Object: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let mut config = watcher::Config::default().page_size(PAGE);
        config.field_selector = self.id.name.as_ref().map(|name| format!("metadata.name={name}"));
        let mut watching = Watching::new(&client, api, config, self.clone());
        let mut restored = self.cluster.restores.subscribe();
        let mut listed_since_restore = true;
        let mut look_again = pin!(sleep_until(self.look_again_at()));
        loop {
            tokio::select! {
                event = watching.next() => match event {
                    Ok(event) => {
                        listed_since_restore |= matches!(event, Event::InitDone);
                        self.take(&mut feed, event, watching.last_read());
                    }
                    Err(problem) if self.namespace_is_gone(&client, &problem).await => {
                        listed_since_restore = true;
                        self.nothing_left(&mut feed);
                    }
                    Err(problem) => {
                        self.failed(&problem);
                        look_again.as_mut().reset(self.look_again_at());
                    }
                },
                // Several requests may find the same restore. The list that it requires is made once.
                () = restored.wait() => if std::mem::take(&mut listed_since_restore) {
                    feed.restored();
                    self.outdated();
                    watching.list_at_once();
                },
                () = &mut look_again => {
                    self.aged();
                    // The watch may have been in contact in the meantime, with or without an event.
                    if self.cluster.watches.must_restart(&self.id, Instant::now()) {
                        self.restarted();
                        watching.list_again();
                    }
                    look_again.as_mut().reset(self.look_again_at());
                }
            }
        }
    }

    /// Whether the watch is refused because its namespace does not exist. A Role is deleted with its namespace, so the
    /// operator needs a permission from a ClusterRole for this.
    async fn namespace_is_gone(&self, client: &Client, problem: &Problem) -> bool {
        let Some(namespace) = self.id.namespace.as_deref() else { return false };
        if problem.cause() != Cause::Forbidden {
            return false;
        }
        let namespaces: Api<Namespace> = Api::all(client.clone());
        matches!(within_timeout(namespaces.get_metadata_opt(namespace)).await, Ok(None))
    }

    /// The namespace of the watch does not exist, so nothing is left of what was known.
    fn nothing_left<F: Feed>(&self, feed: &mut F) {
        let now = Instant::now();
        feed.begin();
        let change = self.cluster.watches.namespace_gone(&self.id, now);
        feed.complete(now);
        self.recovered(change);
    }

    fn take<F: Feed>(&self, feed: &mut F, event: Event<F::Object>, received: Instant) {
        match event {
            Event::Init => {
                self.cluster.watches.begun(&self.id);
                return feed.begin();
            }
            Event::InitApply(object) => {
                feed.collect(object);
                return self.report(self.cluster.watches.collected(&self.id, Instant::now()));
            }
            Event::InitDone => {
                let change = self.cluster.watches.listed(&self.id, received);
                feed.complete(received);
                self.recovered(change);
            }
            Event::Apply(object) => feed.applied(object, received),
            Event::Delete(object) => feed.deleted(object, received),
        }
        self.metrics.event_received(self.id.input);
    }

    fn recovered(&self, change: HealthChange) {
        if change.problem {
            info!(input = self.id.input.as_str(), watch = %self.id, "watch recovered");
        }
        self.report(change);
    }

    fn failed(&self, problem: &Problem) {
        let (cause, message) = (problem.cause(), problem.message());
        self.metrics.watch_failed(self.id.input, cause);
        let change = self.cluster.watches.failed(&self.id, cause, &message, Instant::now());
        // If the resource version has expired, the API server only requires a new list.
        if change.problem && cause != Cause::Gone {
            let hint = match (self.id.input, cause) {
                (Input::ToolsetConfig, Cause::NotFound) => " (is the CustomResourceDefinition installed?)",
                _ => "",
            };
            let input = self.id.input.as_str();
            warn!(input, watch = %self.id, reason = %cause, error = %message, "watch failed, trying again{hint}");
        }
        self.report(change);
    }

    fn look_again_at(&self) -> Instant {
        self.cluster.watches.look_again_at(&self.id, Instant::now())
    }

    /// Reports what time alone has changed.
    fn aged(&self) {
        let change = self.cluster.watches.aged(&self.id, Instant::now());
        if change.health {
            warn!(input = self.id.input.as_str(), watch = %self.id, "watch is stale, because it has no contact or has not completed its first list");
        }
        self.report(change);
    }

    /// The watch starts again with a list, because it has had no contact for too long. If etcd was restored from a
    /// backup, the old resource version never works again.
    fn restarted(&self) {
        let now = Instant::now();
        let change = self.cluster.watches.restarted(&self.id, now);
        let health = self.cluster.watches.health_of(now, std::slice::from_ref(&self.id)).health;
        // While it is stale, its message changes too.
        self.report(HealthChange { health: change.health || health == WatchHealth::Stale, ..change });
    }

    /// Reports that what is known is outdated until the next list is complete.
    fn outdated(&self) {
        self.report(self.cluster.watches.restarted(&self.id, Instant::now()));
    }

    fn report(&self, change: HealthChange) {
        if change.health {
            let health = self.cluster.watches.input_health(self.id.input, Instant::now()).health;
            self.metrics.watch_synced(self.id.input, health == WatchHealth::Synced);
            self.cluster.trigger_dependents(&self.triggers, &self.id);
        }
    }
}

#[cfg(test)]
mod tests;
