//! One watch: kube's `watcher` with its errors kept out of every stream.

use std::{fmt::Debug, pin::pin, sync::Arc, time::Duration};

use futures::StreamExt;
use kube::{
    Api, Client, Resource,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::{Input, Shift, WATCH_TIMEOUT_SECONDS, WatchId, sink::Sink};
use crate::{
    client::announcing,
    error::{Cause, told_by_watch},
    world::World,
};

/// Objects per page of a list: typed objects are large (11 KB a Service), and a page is parsed as a whole.
const PAGE: u32 = 100;

/// How long a watcher must have lived to be replaced by one that lists at once: an API server that wants a list again and
/// again meets the backoff.
const LIST_AGAIN: Duration = Duration::from_secs(5);

/// Watches until the task is dropped. `api` makes the typed API of a client.
pub async fn run<S>(
    world: Arc<World>,
    client: Client,
    id: WatchId,
    api: impl FnOnce(Client) -> Api<S::Object>,
    mut sink: S,
) where
    S: Sink,
    S::Object: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let contact = {
        let (world, id) = (world.clone(), id.clone());
        move || recovered(&world, &id, world.inputs.contact(&id, Instant::now()))
    };
    let api = api(announcing(&client, contact));
    let mut config = watcher::Config::default().timeout(WATCH_TIMEOUT_SECONDS).page_size(PAGE);
    config.field_selector = id.name.as_ref().map(|name| format!("metadata.name={name}"));
    loop {
        let begun = Instant::now();
        let mut events = pin!(watcher(api.clone(), config.clone()).default_backoff());
        loop {
            let stale_at = world.inputs.stale_at(&id, Instant::now());
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => take(&world, &id, &mut sink, event),
                    Some(Err(error)) => {
                        failed(&world, &id, &error);
                        // The API server's own wish for a list, and no trouble: kube's watcher would grant it only after its
                        // backoff, which an outage before has grown to up to 30 s. A new one lists at once.
                        if Cause::of_watch(&error) == Cause::Gone && begun.elapsed() >= LIST_AGAIN {
                            break;
                        }
                    }
                    None => break,
                },
                () = sleep_until(stale_at) => {
                    // A quiet watch is in contact without an event.
                    if world.inputs.stale_at(&id, Instant::now()) > stale_at {
                        continue;
                    }
                    warn!(input = id.input.as_str(), watch = %id, "stale: not heard from for three watch timeouts");
                    world.metrics.standing(id.input, world.inputs.summary(id.input, Instant::now()).standing);
                    world.wakes.all(None);
                    // Start over with a list: a resourceVersion of an etcd that was restored since never works again.
                    world.inputs.restarted(&id, Instant::now());
                    break;
                }
            }
        }
    }
}

fn take<S: Sink>(world: &World, id: &WatchId, sink: &mut S, event: Event<S::Object>) {
    let received = Instant::now();
    match event {
        Event::Init => sink.begin(),
        Event::InitApply(object) => sink.collect(object),
        Event::InitDone => {
            let shift = world.inputs.listed(id, received);
            sink.complete(received);
            recovered(world, id, shift);
            world.metrics.event_received(id.input);
        }
        Event::Apply(object) => {
            sink.applied(object, received);
            world.metrics.event_received(id.input);
        }
        Event::Delete(object) => {
            sink.deleted(object, received);
            world.metrics.event_received(id.input);
        }
    }
}

fn recovered(world: &World, id: &WatchId, shift: Shift) {
    if shift.trouble {
        info!(input = id.input.as_str(), watch = %id, "in contact again");
    }
    reconsider(world, id, shift);
}

fn failed(world: &World, id: &WatchId, error: &watcher::Error) {
    let cause = Cause::of_watch(error);
    world.metrics.watch_failed(id.input, cause);
    let words = told_by_watch(error);
    let shift = world.inputs.failed(id, cause, &words, Instant::now());
    // An expired resourceVersion is how the API server asks for a new list.
    if shift.trouble && cause != Cause::Gone {
        let hint = match (id.input, cause) {
            (Input::ToolsetConfig, Cause::NotFound) => " (is the CustomResourceDefinition installed?)",
            _ => "",
        };
        warn!(input = id.input.as_str(), watch = %id, reason = %cause, error = %words, "watch failed, trying again{hint}");
    }
    reconsider(world, id, shift);
}

fn reconsider(world: &World, id: &WatchId, shift: Shift) {
    if shift.standing {
        world.metrics.standing(id.input, world.inputs.summary(id.input, Instant::now()).standing);
        world.wakes.all(None);
    }
}
