//! Events about ToolsetConfigs and about rejected Services.
//!
//! The name of an Event contains a hash of its text, so a restart or another replica does not create it again. The
//! queue and the rate are limited, so many Services do not cause many Events at once.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use crd_types::ToolsetConfig;
use k8s_openapi::{
    api::{
        core::v1::{ObjectReference, Service},
        events::v1::Event as ApiEvent,
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    core::PartialObjectMeta,
};
use serde_json::json;
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tracing::{debug, warn};

use super::{
    client::within_timeout,
    error::{Cause, Error},
    fence::{Leadership, Term},
    name::NamespacedName,
    writer::{Lane, Writer},
};

/// How many Events may wait. More are dropped, because the status and the metrics report the same.
const QUEUE: usize = 512;
/// The shortest time between two Events.
const PACE: Duration = Duration::from_millis(100);
/// The most bytes of a note. The API server refuses more than 1024 bytes.
const NOTE: usize = 1000;

/// What an Event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// A ToolsetConfig.
    Config { name: NamespacedName, uid: String },
    /// A Service. Its uid is read when the Event is sent, because `kubectl describe` finds Events by uid.
    Service(NamespacedName),
}

/// Whether somebody should act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// For information.
    Normal,
    /// Somebody should act.
    Warning,
}

/// One Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The term in which the cause was observed. The Event is not sent in another term.
    pub(crate) term: Term,
    /// The object.
    pub(crate) about: About,
    pub(crate) kind: Kind,
    /// One of a closed set.
    pub(crate) reason: &'static str,
    /// What the operator was doing.
    pub(crate) action: &'static str,
    pub(crate) note: String,
}

/// Queues Events for the task that sends them.
#[derive(Clone)]
pub(crate) struct Events(mpsc::Sender<Event>);

impl Events {
    /// The queue, and the task that empties it.
    pub(crate) fn new(writer: Writer, leadership: Leadership) -> (Self, impl Future<Output = ()>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), run(writer, leadership, receiver))
    }

    /// Queues an Event. False if the queue is full.
    pub(crate) fn send(&self, event: Event) -> bool {
        self.0.try_send(event).is_ok()
    }
}

async fn run(writer: Writer, mut leadership: Leadership, mut queue: mpsc::Receiver<Event>) {
    let instance: Arc<str> = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().into();
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_failure = None;
    while let Some(event) = queue.recv().await {
        // An Event of an old term is dropped, because the new term reports what it observes.
        if leadership.term() == Some(event.term) {
            pace.tick().await;
        }
        while leadership.term() == Some(event.term) {
            let Err(error) = publish(&writer, &instance, &event).await else {
                last_failure = None;
                break;
            };
            match error.cause() {
                // The renewal of the lease is late. The Event is sent after it.
                Cause::NotLeading => leadership.reopened().await,
                // The object or its namespace is being deleted.
                Cause::NotFound | Cause::Terminating => break,
                cause => {
                    if last_failure.replace(cause) == Some(cause) {
                        debug!(reason = %cause, %error, "cannot write an Event");
                    } else {
                        warn!(reason = %cause, %error, "cannot write Events");
                    }
                    break;
                }
            }
        }
    }
}

async fn publish(writer: &Writer, instance: &str, event: &Event) -> Result<(), Error> {
    let regarding = regarding(writer, &event.about).await?;
    let namespace = regarding.namespace.clone().unwrap_or_default();
    let name = event_name(&regarding, event);
    let now = MicroTime(Timestamp::now());
    let object = ApiEvent {
        metadata: ObjectMeta { name: Some(name.clone()), namespace: Some(namespace.clone()), ..ObjectMeta::default() },
        event_time: Some(now.clone()),
        type_: Some(match event.kind {
            Kind::Normal => "Normal".to_owned(),
            Kind::Warning => "Warning".to_owned(),
        }),
        reason: Some(event.reason.to_owned()),
        action: Some(event.action.to_owned()),
        note: Some(cut(&event.note)),
        regarding: Some(regarding),
        reporting_controller: Some("kubernaut.io/toolset-operator".to_owned()),
        reporting_instance: Some(if instance.is_empty() { "toolset-controller" } else { instance }.to_owned()),
        ..ApiEvent::default()
    };
    let api: Api<ApiEvent> = Api::namespaced(writer.client(), &namespace);
    match writer.send(event.term, Lane::Event, api.create(&PostParams::default(), &object)).await {
        // The Event exists already. Only its time is updated, as for any repeated Event.
        Err(Error::Api(kube::Error::Api(status))) if status.is_already_exists() => {
            let series = json!({"series": {"count": 2, "lastObservedTime": now}});
            writer
                .send(event.term, Lane::Event, api.patch(&name, &PatchParams::default(), &Patch::Merge(&series)))
                .await
                .map(drop)
        }
        other => other.map(drop),
    }
}

async fn regarding(writer: &Writer, about: &About) -> Result<ObjectReference, Error> {
    let (api_version, kind, name, uid) = match about {
        About::Config { name, uid } => (
            ToolsetConfig::api_version(&()),
            ToolsetConfig::kind(&()),
            name,
            Some(uid.clone()).filter(|uid| !uid.is_empty()),
        ),
        About::Service(name) => {
            let api: Api<PartialObjectMeta<Service>> = Api::namespaced(writer.client(), &name.namespace);
            let service = within_timeout(api.get(&name.name)).await?;
            (Service::api_version(&()), Service::kind(&()), name, service.uid())
        }
    };
    Ok(ObjectReference {
        api_version: Some(api_version.into_owned()),
        kind: Some(kind.into_owned()),
        namespace: Some(name.namespace.to_string()),
        name: Some(name.name.to_string()),
        uid,
        ..ObjectReference::default()
    })
}

/// The name of an Event. Events with the same text about the same object have the same name.
fn event_name(regarding: &ObjectReference, event: &Event) -> String {
    let mut hash = DefaultHasher::new();
    (&regarding.uid, event.reason, &event.note).hash(&mut hash);
    let name = regarding.name.as_deref().unwrap_or_default();
    // 253 characters at most, of which the hash and its dot take 17.
    format!("{}.{:016x}", name.get(..236).unwrap_or(name), hash.finish())
}

fn cut(note: &str) -> String {
    let end =
        note.char_indices().map(|(at, char)| at + char.len_utf8()).take_while(|end| *end <= NOTE).last().unwrap_or(0);
    note[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fence::Fence;

    fn event(note: &str) -> Event {
        let about = About::Service(NamespacedName::new("n", "s"));
        let term = Fence::without_election().term().unwrap();
        Event { term, about, kind: Kind::Warning, reason: "InvalidAnnotation", action: "Select", note: note.to_owned() }
    }

    #[test]
    fn the_same_text_about_the_same_object_is_one_event() {
        let object = ObjectReference { name: Some("s".to_owned()), uid: Some("u".to_owned()), ..Default::default() };
        let reborn = ObjectReference { uid: Some("v".to_owned()), ..object.clone() };
        assert_eq!(event_name(&object, &event("a")), event_name(&object, &event("a")));
        assert_ne!(event_name(&object, &event("a")), event_name(&object, &event("b")));
        assert_ne!(event_name(&object, &event("a")), event_name(&reborn, &event("a")));
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        assert_eq!(cut(&"ä".repeat(600)).len(), 1000);
        assert_eq!(cut("short"), "short");
    }
}
