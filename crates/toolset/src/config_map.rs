//! The `ConfigMap` as it is applied, who owns it, and whether it still is as applied.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use crd_types::{DeletionPolicy, Output, OutputFormat, ToolsetConfig};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use serde::{Serialize, Serializer, ser::SerializeMap};

pub use crate::plan::legacy::LEGACY_OVERRIDES_KEY;
use crate::render::{DataKey, Rendered, is_of_a_format};

/// The field manager of everything that the operator applies.
pub const FIELD_MANAGER: &str = "toolset-operator";
/// Holds [`Rendered::hash`].
pub const HASH_ANNOTATION: &str = "kubernaut.io/content-hash";
/// The labels of our `ConfigMap`. Nothing is copied from the `ToolsetConfig`, because Argo CD would then treat the
/// `ConfigMap` as its own.
pub const LABELS: [(&str, &str); 3] = [
    ("app.kubernetes.io/name", "toolset"),
    ("app.kubernetes.io/component", "dynamic-toolset"),
    (MANAGED_BY, FIELD_MANAGER),
];
/// The label that says who manages an object.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The same label, as the predecessor also wrote it.
const MANAGED_BY_WITHOUT_PREFIX: &str = "managed-by";
/// The predecessor's value of the managed-by label. It wrote the label with and without the prefix.
const PREDECESSOR: &str = "kubernaut";

/// What matters of a `ConfigMap` that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigMapView {
    /// `metadata.uid`.
    pub uid: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The owner that is its controller.
    pub controller: Option<Owner>,
    /// Whether its controller owner reference blocks deletion of the owner, as ours does.
    pub blocks_owner_deletion: bool,
    /// All data keys.
    pub data: BTreeMap<String, Arc<str>>,
    /// The keys of `binaryData`. A key cannot be in `data` and in `binaryData`.
    pub binary_keys: BTreeSet<String>,
    /// Whether the API server refuses every change of its data.
    pub immutable: bool,
    /// Field managers other than ours that own one of our fields, to name the other side of a conflict. If none does,
    /// this is the other field manager that wrote last.
    pub other_managers: Vec<String>,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// What delays its deletion.
    pub finalizers: Vec<String>,
}

/// The finalizers by which the garbage collector delays a deletion. It removes them by itself.
const OF_THE_GARBAGE_COLLECTOR: [&str; 2] = ["foregroundDeletion", "orphan"];

impl ConfigMapView {
    /// The finalizers that somebody has to remove before it can be deleted.
    pub fn foreign_finalizers(&self) -> Vec<&str> {
        let foreign = |finalizer: &&str| !OF_THE_GARBAGE_COLLECTOR.contains(finalizer);
        self.finalizers.iter().map(String::as_str).filter(foreign).collect()
    }
}

/// An owner reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `kind`.
    pub kind: String,
    /// `name`.
    pub name: String,
    /// `uid`.
    pub uid: String,
}

/// Who owns a `ConfigMap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// This `ToolsetConfig`.
    Ours,
    /// The predecessor. Its `ConfigMap` is adopted without asking.
    Predecessor,
    /// Another owner. The `ConfigMap` can be adopted if the spec allows it.
    Stranger {
        /// Who, for the condition.
        who: String,
    },
    /// Another object, whose controller owner reference it has. It cannot be adopted, because an object has at most one
    /// controller.
    Controlled {
        /// The controller, as text for the condition.
        by: String,
    },
}

/// Who owns an existing `ConfigMap`. It is ours if its controller owner is this `ToolsetConfig`, or if it has no
/// controller owner and carries our managed-by label or the predecessor's.
pub fn ownership(config: &ToolsetConfig, existing: &ConfigMapView) -> Ownership {
    match &existing.controller {
        Some(owner) if Some(&owner.uid) == config.uid().as_ref() => Ownership::Ours,
        Some(owner) => Ownership::Controlled { by: format!("{} {}", owner.kind, owner.name) },
        None => {
            let label = |key: &str| existing.labels.get(key).map(String::as_str);
            let managed_by = label(MANAGED_BY).or_else(|| label(MANAGED_BY_WITHOUT_PREFIX));
            let component = label("app.kubernetes.io/component").or_else(|| label("component"));
            match (managed_by, component) {
                (Some(FIELD_MANAGER), _) => Ownership::Ours,
                (Some(PREDECESSOR), Some("dynamic-toolset")) => Ownership::Predecessor,
                (Some(manager), _) => Ownership::Stranger { who: format!("{manager}, according to its label app.kubernetes.io/managed-by") },
                (None, _) => Ownership::Stranger {
                    who: "an unknown owner, because it has no controller owner reference and no label app.kubernetes.io/managed-by".to_owned(),
                },
            }
        }
    }
}

/// Why a `ConfigMap` cannot be `spec.output.base`, if it cannot: it is an output itself. Two outputs that are each
/// other's base would keep a tool forever after its Service is deleted.
pub fn refused_as_base(existing: &ConfigMapView) -> Option<String> {
    let by_owner = existing.controller.as_ref().filter(|owner| owner.kind == "ToolsetConfig");
    let who = by_owner.map(|owner| format!("of ToolsetConfig {}", owner.name)).or_else(|| {
        let labels = [MANAGED_BY, MANAGED_BY_WITHOUT_PREFIX].into_iter().filter_map(|key| existing.labels.get(key));
        let mut managers = labels.filter(|manager| [FIELD_MANAGER, PREDECESSOR].contains(&manager.as_str()));
        managers.next().map(|manager| format!("of {manager}, according to its label managed-by"))
    })?;
    Some(format!("the ConfigMap is itself an output {who}. Move your own toolsets to another ConfigMap"))
}

/// What a `ConfigMap` lacks of what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// It does not exist.
    Missing,
    /// A data key of ours is absent or different, or it is there although its format is not wanted.
    Data(String),
    /// A label of ours is absent or different, or it is there although it is not wanted.
    Label(String),
    /// The hash annotation is absent or different.
    Annotation,
    /// The owner reference is absent, or it is there although the policy is Orphan.
    Owner,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the ConfigMap does not exist"),
            Self::Data(key) => write!(f, "the data key {key} differs"),
            Self::Label(key) => write!(f, "the label {key} differs"),
            Self::Annotation => f.write_str("the hash annotation differs"),
            Self::Owner => f.write_str("the owner reference differs"),
        }
    }
}

/// The fields of a `ConfigMap` that our field manager owns. An apply removes those of them that it does not contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedFields {
    /// Data keys.
    pub data: BTreeSet<String>,
    /// The keys of labels.
    pub labels: BTreeSet<String>,
}

/// The `ConfigMap` that is wanted: the body of a server-side apply. A clone shares everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest(Arc<Wanted>);

#[derive(Debug, PartialEq)]
struct Wanted {
    name: String,
    namespace: Option<String>,
    config_uid: Option<String>,
    /// `None` where the `ConfigMap` outlives its `ToolsetConfig`.
    owner: Option<OwnerReference>,
    hash: Arc<str>,
    labels: BTreeMap<String, String>,
    data: BTreeMap<DataKey, Arc<str>>,
}

impl Manifest {
    /// The `ConfigMap` of a `ToolsetConfig` with this content.
    pub fn new(config: &ToolsetConfig, rendered: &Rendered) -> Self {
        let owner = (config.spec.output.deletion_policy == DeletionPolicy::Delete)
            .then(|| config.controller_owner_ref(&()))
            .flatten()
            // kube leaves this out, and without it a foreground deletion would not wait for the ConfigMap.
            .map(|owner| OwnerReference { block_owner_deletion: Some(true), ..owner });
        Self(Arc::new(Wanted {
            name: config.spec.output.config_map_name.clone(),
            namespace: config.namespace(),
            config_uid: config.uid(),
            owner,
            hash: Arc::clone(&rendered.hash),
            labels: labels(&config.spec.output),
            data: rendered.data.clone(),
        }))
    }

    /// The name of the `ConfigMap`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Why the API server would refuse this content for an existing `ConfigMap`, and what to do. `None` if it would
    /// accept it.
    pub fn obstacle(&self, existing: &ConfigMapView, owned: &OwnedFields) -> Option<String> {
        let name = self.name();
        if let Some(key) = self.0.data.keys().find(|key| existing.binary_keys.contains(&***key)) {
            return Some(format!("ConfigMap {name} has the key {key} in binaryData. Remove the key from binaryData."));
        }
        let differs = matches!(self.drift(existing, owned), Some(Drift::Data(_)));
        (existing.immutable && differs)
            .then(|| format!("ConfigMap {name} is immutable. Delete it, and the operator creates it again."))
    }

    /// Its content, by data key.
    pub fn data(&self) -> &BTreeMap<DataKey, Arc<str>> {
        &self.0.data
    }

    /// What our field manager owns after the apply.
    pub fn owned_fields(&self) -> OwnedFields {
        OwnedFields {
            data: self.0.data.keys().map(|key| key.clone().into_owned()).collect(),
            labels: self.0.labels.keys().cloned().collect(),
        }
    }

    /// The body of a server-side apply. `uid` is that of the `ConfigMap` that was read. If the `ConfigMap` was
    /// replaced since then, the API server refuses the apply, so it overwrites no other object. Without a uid, this is
    /// the object to create.
    pub fn to_json(&self, uid: Option<&str>) -> Vec<u8> {
        // Only string keys and no failing values, so it always serialises.
        serde_json::to_vec(&Body { wanted: &self.0, uid }).unwrap_or_default()
    }

    /// How the `ConfigMap` looks after the apply onto `before`. Keys, labels and annotations of others stay.
    /// What our field manager owns and is no longer wanted goes.
    pub fn applied_onto(&self, before: Option<&ConfigMapView>, uid: &str, ours: &OwnedFields) -> ConfigMapView {
        let mut view = before.cloned().unwrap_or_default();
        uid.clone_into(&mut view.uid);
        view.labels.retain(|key, _| !ours.labels.contains(key));
        view.labels.extend(self.0.labels.clone());
        view.annotations.insert(HASH_ANNOTATION.to_owned(), self.0.hash.to_string());
        let takes_over = self.0.data.iter().any(|(key, text)| view.data.get(&**key) != Some(text));
        if takes_over {
            // A forced apply takes a key away from every field manager that set another value.
            view.other_managers.clear();
        }
        view.data.retain(|key, _| !ours.data.contains(key));
        view.data.extend(self.0.data.iter().map(|(key, text)| (key.clone().into_owned(), Arc::clone(text))));
        match &self.0.owner {
            Some(owner) => {
                view.controller =
                    Some(Owner { kind: owner.kind.clone(), name: owner.name.clone(), uid: owner.uid.clone() });
                view.blocks_owner_deletion = true;
            }
            None if self.owns(&view) => (view.controller, view.blocks_owner_deletion) = (None, false),
            None => {}
        }
        view
    }

    /// The first difference between an existing `ConfigMap` and the one that is wanted; `None` if there is nothing to
    /// write.
    ///
    /// The data key of a format that is not wanted is a difference only if our field manager owns it. Otherwise it belongs
    /// to somebody else and stays. A webhook can add keys and labels to our own writes, and then our field manager owns them
    /// too. So a further key or label is no difference. A label of the spec that is no longer wanted changes the hash.
    pub fn drift(&self, existing: &ConfigMapView, owned: &OwnedFields) -> Option<Drift> {
        let lacks = |(key, text): &(&DataKey, &Arc<str>)| existing.data.get(&***key) != Some(*text);
        let left = |key: &&String| {
            is_of_a_format(key) && existing.data.contains_key(*key) && !self.0.data.contains_key(key.as_str())
        };
        let lacking = self.0.data.iter().find(lacks).map(|(key, _)| key.clone().into_owned());
        if let Some(key) = lacking.or_else(|| owned.data.iter().find(left).cloned()) {
            return Some(Drift::Data(key));
        }
        let lacks = |(key, value): &(&String, &String)| existing.labels.get(*key) != Some(*value);
        if let Some((key, _)) = self.0.labels.iter().find(lacks) {
            return Some(Drift::Label(key.clone()));
        }
        if existing.annotations.get(HASH_ANNOTATION).map(String::as_str) != Some(&*self.0.hash) {
            return Some(Drift::Annotation);
        }
        let as_wanted = match &self.0.owner {
            Some(_) => self.owns(existing) && existing.blocks_owner_deletion,
            None => !self.owns(existing),
        };
        (!as_wanted).then_some(Drift::Owner)
    }

    /// Whether the controller owner of an existing `ConfigMap` is the `ToolsetConfig`.
    fn owns(&self, existing: &ConfigMapView) -> bool {
        existing.controller.as_ref().is_some_and(|owner| Some(&owner.uid) == self.0.config_uid.as_ref())
    }
}

/// The label by which the sidecar of Grafana's chart finds files with data sources.
const GRAFANA_LABEL: (&str, &str) = ("grafana_datasource", "1");

/// The labels of the `ConfigMap`. Those by which we recognise it win over the user's, and the user's over the default.
fn labels(output: &Output) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let default = output.writes(OutputFormat::GrafanaDatasources).then_some(&GRAFANA_LABEL).map(owned);
    default.into_iter().chain(output.labels.clone()).chain(LABELS.iter().map(owned)).collect()
}

impl Serialize for Manifest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Body { wanted: &self.0, uid: None }.serialize(serializer)
    }
}

/// The object, with the uid that only an apply onto an existing object carries.
struct Body<'a> {
    wanted: &'a Wanted,
    uid: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    annotations: BTreeMap<&'static str, &'a str>,
    labels: &'a BTreeMap<String, String>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_references: Option<[&'a OwnerReference; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Wanted { name, namespace, owner, hash, labels, data, .. } = self.wanted;
        let data: BTreeMap<&str, &str> = data.iter().map(|(key, text)| (&**key, &**text)).collect();
        let metadata = Metadata {
            annotations: BTreeMap::from([(HASH_ANNOTATION, &**hash)]),
            labels,
            name,
            namespace: namespace.as_deref(),
            owner_references: owner.as_ref().map(|owner| [owner]),
            uid: self.uid,
        };
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("apiVersion", "v1")?;
        map.serialize_entry("data", &data)?;
        map.serialize_entry("kind", "ConfigMap")?;
        map.serialize_entry("metadata", &metadata)?;
        map.end()
    }
}

#[cfg(test)]
mod tests;
