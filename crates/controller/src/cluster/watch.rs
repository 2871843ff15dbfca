//! One watch. It uses kube's `watcher`, and keeps errors out of the streams that trigger reconciles.

use std::{fmt::Debug, pin::pin, sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until};
use toolset::status::Input;
use tracing::{info, warn};

use super::{
    state::Cluster,
    triggers::Triggers,
    watch_health::{HealthChange, WATCH_TIMEOUT_SECONDS, WatchHealth, WatchId},
};
use crate::{
    api::{
        Cause,
        client::{observed, within_timeout},
        error::watch_message,
    },
    metrics::Metrics,
};

/// Objects per page of a list. A page is parsed as a whole, so small pages keep the peak of memory low.
const PAGE: u32 = 100;

/// How long a watcher must have run before a new one replaces it to list at once. If the API server requires a list
/// more often, the backoff applies.
const LIST_AGAIN: Duration = Duration::from_secs(5);

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
}

/// One watch and what it reports to.
pub(super) struct Watch {
    pub(super) id: WatchId,
    pub(super) cluster: Arc<Cluster>,
    pub(super) triggers: Arc<Triggers>,
    pub(super) metrics: Arc<Metrics>,
}

impl Watch {
    /// Watches until the task is dropped. `api` makes the typed API of a client.
    pub(super) async fn run<F>(self, client: Client, api: impl FnOnce(Client) -> Api<F::Object>, mut feed: F)
    where
        F: Feed,
        F::Object: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let this = Arc::new(self);
        let contact = {
            let this = this.clone();
            move || this.recovered(this.cluster.watches.contact(&this.id, Instant::now()))
        };
        let plain = client.clone();
        let (client, last_read) = observed(&client, contact);
        let api = api(client);
        let mut config = watcher::Config::default().timeout(WATCH_TIMEOUT_SECONDS).page_size(PAGE);
        config.field_selector = this.id.name.as_ref().map(|name| format!("metadata.name={name}"));
        loop {
            let begun = Instant::now();
            let mut events = pin!(watcher(api.clone(), config.clone()).default_backoff());
            let mut stale = pin!(sleep_until(this.cluster.watches.stale_at(&this.id, begun)));
            loop {
                tokio::select! {
                    event = events.next() => match event {
                        Some(Ok(event)) => this.take(&mut feed, event, last_read.get()),
                        Some(Err(error)) if this.namespace_is_gone(&plain, &error).await => this.nothing_left(&mut feed),
                        Some(Err(error)) => {
                            this.failed(&error);
                            // The API server requires a new list, which is not a problem. kube's watcher would list
                            // after its backoff, which is up to 30 s after an outage. A new watcher lists at once.
                            if Cause::of_watch(&error) == Cause::Gone && begun.elapsed() >= LIST_AGAIN {
                                break;
                            }
                        }
                        None => break,
                    },
                    () = &mut stale => {
                        let now = Instant::now();
                        let stale_at = this.cluster.watches.stale_at(&this.id, now);
                        if stale_at <= now {
                            this.stale();
                            break;
                        }
                        // The watch has been in contact in the meantime, with or without an event.
                        stale.as_mut().reset(stale_at);
                    }
                }
            }
        }
    }

    /// Whether the watch is refused because its namespace does not exist. A Role goes with its namespace, so only a
    /// permission from a ClusterRole can show this.
    async fn namespace_is_gone(&self, client: &Client, error: &watcher::Error) -> bool {
        let Some(namespace) = self.id.namespace.as_deref() else { return false };
        if Cause::of_watch(error) != Cause::Forbidden {
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
            Event::Init => return feed.begin(),
            Event::InitApply(object) => return feed.collect(object),
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

    fn failed(&self, error: &watcher::Error) {
        let cause = Cause::of_watch(error);
        self.metrics.watch_failed(self.id.input, cause);
        let message = watch_message(error);
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

    fn stale(&self) {
        // A refused watch, or one that has never listed, has no contact either.
        if self.cluster.watches.health_of(Instant::now(), std::slice::from_ref(&self.id)).health == WatchHealth::Stale {
            let input = self.id.input.as_str();
            warn!(input, watch = %self.id, "watch is stale, no contact for three watch timeouts");
            self.report(HealthChange { health: true, problem: false });
        }
        // Start again with a list. If etcd was restored from a backup, the old resource version never works again.
        self.cluster.watches.restarted(&self.id, Instant::now());
    }

    fn report(&self, change: HealthChange) {
        if change.health {
            let health = self.cluster.watches.input_health(self.id.input, Instant::now()).health;
            self.metrics.watch_synced(self.id.input, health == WatchHealth::Synced);
            self.cluster.trigger_dependents(&self.triggers, &self.id);
        }
    }
}
