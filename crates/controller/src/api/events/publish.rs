//! Writes one Event.
//!
//! The name of an Event contains a digest of its text, so a create fails if the Event exists. If an Event about a
//! Service exists, it has been reported, by this process, by another one, or before a restart. A repeated Event about a
//! ToolsetConfig is counted.

use std::sync::Arc;

use crd_types::ToolsetConfig;
use k8s_openapi::{
    api::{
        core::v1::{ObjectReference, Service},
        events::v1::Event as ApiEvent,
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    core::PartialObjectMeta,
};
use serde_json::{Value, json};
use toolset::digest;

use super::event::{About, Event, Kind, Observed};
use crate::api::{
    client::within_timeout,
    error::{Cause, Error},
    writer::{Lane, Writer},
};

/// The most bytes of a note. The API server refuses more than 1024 bytes.
const NOTE: usize = 1000;
/// The number of attempts to count a repeated Event, because it can change or expire between the requests.
const ATTEMPTS: u32 = 3;

/// Writes Events.
#[derive(Clone)]
pub(super) struct Publisher {
    writer: Writer,
    instance: Arc<str>,
}

impl Publisher {
    pub(super) fn new(writer: Writer) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let instance = if host.trim().is_empty() { "toolset-controller" } else { host.trim() };
        Self { writer, instance: instance.into() }
    }

    /// Writes an Event. Fails with `NotFound` if its object or the namespace does not exist any more.
    pub(super) async fn publish(&self, observed: &Observed) -> Result<(), Error> {
        let event = &observed.event;
        let regarding = self.regarding(&event.about).await?;
        let object = self.object(observed, regarding);
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        let api: Api<ApiEvent> = Api::namespaced(self.writer.client(), &namespace);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let created = self.send(event, api.create(&PostParams::default(), &object)).await;
            let exists = matches!(&created, Err(Error::Api(kube::Error::Api(status))) if status.is_already_exists());
            if !exists || !event.repeats {
                return if exists { Ok(()) } else { created.map(drop) };
            }
            match self.repeat(observed, &api, &object.name_any()).await {
                Err(error) if matches!(error.cause(), Cause::Conflict | Cause::NotFound) && attempt < ATTEMPTS => {}
                other => return other,
            }
        }
    }

    /// Counts an Event that exists.
    async fn repeat(&self, observed: &Observed, api: &Api<ApiEvent>, name: &str) -> Result<(), Error> {
        let event = &observed.event;
        let patch = async |change: Value| {
            let patch = Patch::Merge(change);
            self.send(event, api.patch(name, &PatchParams::default(), &patch)).await
        };
        // A patch without a change answers with the Event, so the operator needs no permission to read Events.
        let existing = patch(json!({})).await?;
        let last = existing.series.as_ref().map(|series| &series.last_observed_time);
        let at = MicroTime(observed.at);
        // An attempt whose answer did not arrive has written it.
        if existing.event_time.as_ref() == Some(&at) || last == Some(&at) {
            return Ok(());
        }
        let count = existing.series.as_ref().map_or(1, |series| series.count).saturating_add(1);
        let change = json!({
            "metadata": {"resourceVersion": existing.resource_version()},
            "series": {"count": count, "lastObservedTime": at},
        });
        patch(change).await.map(drop)
    }

    async fn send<T>(&self, event: &Event, request: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
        let lane = match event.about {
            About::Config { .. } => Lane::Event,
            About::Service(_) => Lane::ServiceEvent,
        };
        self.writer.send(event.term, lane, request).await
    }

    fn object(&self, observed: &Observed, regarding: ObjectReference) -> ApiEvent {
        let event = &observed.event;
        ApiEvent {
            metadata: ObjectMeta {
                name: Some(event_name(&regarding, event)),
                namespace: regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(observed.at)),
            type_: Some(match event.kind {
                Kind::Normal => "Normal".to_owned(),
                Kind::Warning => "Warning".to_owned(),
            }),
            reason: Some(event.reason.to_owned()),
            action: Some(event.action.to_owned()),
            note: Some(cut(&event.note)),
            regarding: Some(regarding),
            reporting_controller: Some("kubernaut.io/toolset-operator".to_owned()),
            reporting_instance: Some(self.instance.to_string()),
            ..ApiEvent::default()
        }
    }

    async fn regarding(&self, about: &About) -> Result<ObjectReference, Error> {
        let (api_version, kind, name, uid) = match about {
            About::Config { name, uid } => (
                ToolsetConfig::api_version(&()),
                ToolsetConfig::kind(&()),
                name,
                Some(uid.clone()).filter(|uid| !uid.is_empty()),
            ),
            About::Service(name) => {
                let api: Api<PartialObjectMeta<Service>> = Api::namespaced(self.writer.client(), &name.namespace);
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
}

/// The name of an Event. Events with the same text about the same object have the same name, in every version of the
/// operator.
fn event_name(regarding: &ObjectReference, event: &Event) -> String {
    let digest = digest::of_parts([regarding.uid.as_deref().unwrap_or_default(), event.reason, &event.note]);
    let name = regarding.name.as_deref().unwrap_or_default();
    // 253 characters at most, of which the digest and its dot take 17.
    format!("{}.{}", name.get(..236).unwrap_or(name), digest.get(..16).unwrap_or(&digest))
}

fn cut(note: &str) -> String {
    let end =
        note.char_indices().map(|(at, char)| at + char.len_utf8()).take_while(|end| *end <= NOTE).last().unwrap_or(0);
    note[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{fence::Fence, name::NamespacedName};

    fn event(note: &str) -> Event {
        let about = About::Service(NamespacedName::new("n", "s"));
        let term = Fence::without_election().term().unwrap();
        Event {
            term,
            about,
            kind: Kind::Warning,
            reason: "InvalidAnnotation",
            action: "Select",
            note: note.to_owned(),
            repeats: false,
        }
    }

    #[test]
    fn the_same_text_about_the_same_object_is_one_event() {
        let object = ObjectReference { name: Some("s".to_owned()), uid: Some("u".to_owned()), ..Default::default() };
        let reborn = ObjectReference { uid: Some("v".to_owned()), ..object.clone() };
        assert_eq!(event_name(&object, &event("a")), "s.0b0049e586bb4702");
        assert_ne!(event_name(&object, &event("a")), event_name(&object, &event("b")));
        assert_ne!(event_name(&object, &event("a")), event_name(&reborn, &event("a")));
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        assert_eq!(cut(&"ä".repeat(600)).len(), 1000);
        assert_eq!(cut("short"), "short");
    }
}
