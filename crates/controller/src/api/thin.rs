//! Thin API objects. Only the fields that the operator reads are parsed, so events are cheap and pages of a list are
//! small.
//!
//! Half of a typical object is `managedFields`, and parsing it as a tree of JSON values costs more than the rest.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{
    ClusterResourceScope, NamespaceResourceScope,
    api::{
        core::v1::{ConfigMap, Namespace, Service, ServiceSpec},
        discovery::v1::{EndpointConditions, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference, Time},
};
use kube::Resource;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use toolset::convert::EndpointParts;

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ThinService {
    #[serde(deserialize_with = "metadata")]
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: Option<ServiceSpec>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ThinSlice {
    #[serde(deserialize_with = "metadata")]
    pub(crate) metadata: ObjectMeta,
    /// `null` in a slice without endpoints.
    pub(crate) endpoints: Option<Vec<ThinEndpoint>>,
}

/// An endpoint of an EndpointSlice.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThinEndpoint {
    conditions: Option<EndpointConditions>,
    target_ref: Option<ThinTarget>,
}

/// What an address of an EndpointSlice belongs to.
#[derive(Clone, Debug, Deserialize)]
struct ThinTarget {
    #[serde(default)]
    kind: Box<str>,
    namespace: Option<Box<str>>,
}

impl ThinEndpoint {
    pub(crate) fn parts(&self) -> EndpointParts<'_> {
        let target = self.target_ref.as_ref();
        EndpointParts {
            conditions: self.conditions.as_ref(),
            target: target.map(|target| (&*target.kind, target.namespace.as_deref())),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ThinNamespace {
    #[serde(deserialize_with = "metadata")]
    pub(crate) metadata: ObjectMeta,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(from = "ConfigMapParts")]
pub(crate) struct ThinConfigMap {
    pub(crate) metadata: ObjectMeta,
    pub(crate) field_managers: Vec<FieldManager>,
    pub(crate) data: BTreeMap<String, Arc<str>>,
    /// The keys of `binaryData`.
    pub(crate) binary_keys: BTreeSet<String>,
    pub(crate) immutable: bool,
}

/// An entry of `managedFields`: who owns which fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct FieldManager {
    pub(crate) manager: String,
    operation: String,
    /// When it last changed a field, in a form that sorts.
    pub(crate) time: String,
    #[serde(rename = "fieldsV1")]
    fields: OwnedFields,
}

impl FieldManager {
    /// The keys of `data` that it owns.
    pub(crate) fn data_keys(&self) -> &[String] {
        &self.fields.data.0
    }

    /// The labels that it owns.
    pub(crate) fn labels(&self) -> &[String] {
        &self.fields.metadata.labels.0
    }

    /// The annotations that it owns.
    pub(crate) fn annotations(&self) -> &[String] {
        &self.fields.metadata.annotations.0
    }

    /// Whether it wrote by other means than server-side apply.
    pub(crate) fn is_update(&self) -> bool {
        self.operation == "Update"
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct OwnedFields {
    #[serde(rename = "f:data")]
    data: OwnedKeys,
    #[serde(rename = "f:metadata")]
    metadata: OwnedMetadata,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct OwnedMetadata {
    #[serde(rename = "f:labels")]
    labels: OwnedKeys,
    #[serde(rename = "f:annotations")]
    annotations: OwnedKeys,
}

/// The keys of `{"f:<key>": …}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OwnedKeys(Vec<String>);

impl<'de> Deserialize<'de> for OwnedKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = OwnedKeys;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of owned fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OwnedKeys, A::Error> {
                let mut keys = Vec::new();
                while let Some((field, _)) = map.next_entry::<Cow<'de, str>, IgnoredAny>()? {
                    keys.extend(field.strip_prefix("f:").map(str::to_owned));
                }
                Ok(OwnedKeys(keys))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::zero_sized_map_values, reason = "serde reads the keys of a map only as a map")]
struct ConfigMapParts {
    metadata: Metadata<Vec<FieldManager>>,
    data: Option<BTreeMap<String, Box<str>>>,
    binary_data: Option<BTreeMap<String, IgnoredAny>>,
    immutable: Option<bool>,
}

impl From<ConfigMapParts> for ThinConfigMap {
    fn from(mut parts: ConfigMapParts) -> Self {
        Self {
            field_managers: std::mem::take(&mut parts.metadata.managed_fields),
            metadata: parts.metadata.fields(),
            data: parts.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into())).collect(),
            binary_keys: parts.binary_data.unwrap_or_default().into_keys().collect(),
            immutable: parts.immutable == Some(true),
        }
    }
}

/// A ToolsetConfig whose spec and status are parsed only if they are needed. So a malformed object does not break the
/// list, and the spec is not parsed when only our own status changed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ThinToolsetConfig {
    /// Of its managed fields there is at most one entry, with the name of the manager that last wrote the spec.
    #[serde(deserialize_with = "metadata_with_author")]
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: Option<Box<RawValue>>,
    pub(crate) status: Option<Box<RawValue>>,
}

/// The answer to a write of which only the metadata was asked for. `M` is what is read of the managed fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "M: Default + Deserialize<'de>"))]
pub(crate) struct Answer<M = IgnoredAny> {
    metadata: AnswerMetadata<M>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "M: Default + Deserialize<'de>"))]
struct AnswerMetadata<M> {
    uid: String,
    resource_version: String,
    managed_fields: M,
}

impl<M> Answer<M> {
    pub(crate) fn managed_fields(&self) -> &M {
        &self.metadata.managed_fields
    }

    pub(crate) fn resource_version(&self) -> &str {
        &self.metadata.resource_version
    }

    pub(crate) fn uid(&self) -> &str {
        &self.metadata.uid
    }

    pub(crate) fn version(&self) -> u64 {
        version(Some(&self.metadata.resource_version))
    }
}

/// A resource version as a number. Since 1.35, Kubernetes guarantees that the versions of an object are ordered. With
/// etcd they always were. Zero if it is not a number. Such a version says nothing, so what comes later is newer.
pub(crate) fn version(resource_version: Option<&str>) -> u64 {
    resource_version.and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// The fields of `metadata` that the operator reads. `M` is what it reads of the managed fields.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "M: Default + Deserialize<'de>"))]
struct Metadata<M> {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    owner_references: Option<Vec<OwnerReference>>,
    finalizers: Option<Vec<String>>,
    managed_fields: M,
}

impl<M> Metadata<M> {
    /// All but the managed fields.
    fn fields(self) -> ObjectMeta {
        ObjectMeta {
            name: self.name,
            namespace: self.namespace,
            uid: self.uid,
            resource_version: self.resource_version,
            generation: self.generation,
            labels: self.labels,
            annotations: self.annotations,
            creation_timestamp: self.creation_timestamp,
            deletion_timestamp: self.deletion_timestamp,
            owner_references: self.owner_references,
            finalizers: self.finalizers,
            ..ObjectMeta::default()
        }
    }
}

pub(super) fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    Metadata::<IgnoredAny>::deserialize(deserializer).map(Metadata::fields)
}

fn metadata_with_author<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let mut parts = Metadata::<Vec<Author>>::deserialize(deserializer)?;
    let authors = std::mem::take(&mut parts.managed_fields);
    let last = authors.into_iter().filter(|one| one.fields.spec.is_some() && one.subresource.is_empty());
    let last = last.max_by(|a, b| a.time.cmp(&b.time));
    let entry = |author: Author| ManagedFieldsEntry { manager: Some(author.manager), ..ManagedFieldsEntry::default() };
    Ok(ObjectMeta { managed_fields: last.map(|author| vec![entry(author)]), ..parts.fields() })
}

/// An entry of `managedFields`, as far as it says who wrote the spec.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Author {
    manager: String,
    subresource: String,
    /// When it last changed a field, in a form that sorts.
    time: String,
    #[serde(rename = "fieldsV1")]
    fields: WrittenFields,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WrittenFields {
    #[serde(rename = "f:spec")]
    spec: Option<IgnoredAny>,
}

/// Lets kube use a thin type as the kind that it stands for.
macro_rules! stands_for {
    ($thin:ty, $kind:ty, $scope:ty) => {
        impl Resource for $thin {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> Cow<'_, str> {
                <$kind>::kind(&())
            }

            fn group((): &()) -> Cow<'_, str> {
                <$kind>::group(&())
            }

            fn version((): &()) -> Cow<'_, str> {
                <$kind>::version(&())
            }

            fn plural((): &()) -> Cow<'_, str> {
                <$kind>::plural(&())
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

pub(super) use stands_for;

stands_for!(ThinService, Service, NamespaceResourceScope);
stands_for!(ThinSlice, EndpointSlice, NamespaceResourceScope);
stands_for!(ThinNamespace, Namespace, ClusterResourceScope);
stands_for!(ThinConfigMap, ConfigMap, NamespaceResourceScope);
stands_for!(ThinToolsetConfig, crd_types::ToolsetConfig, NamespaceResourceScope);

#[cfg(test)]
mod tests {
    use kube::core::WatchEvent;

    use super::*;

    #[test]
    fn a_watch_event_is_read_with_its_spec_left_as_it_is() {
        let line = r#"{"type":"MODIFIED","object":{"apiVersion":"x/v1","kind":"T","metadata":{"name":"c","namespace":"n",
            "managedFields":[{"manager":"m","fieldsV1":{"f:spec":{}}}]},"spec":{"sources":"nonsense"}}}"#;
        let WatchEvent::Modified(object) = serde_json::from_str::<WatchEvent<ThinToolsetConfig>>(line).unwrap() else {
            panic!("another event");
        };
        assert_eq!(object.metadata.name.as_deref(), Some("c"));
        assert_eq!(object.spec.unwrap().get(), r#"{"sources":"nonsense"}"#);
    }

    #[test]
    fn of_those_who_wrote_the_spec_the_last_one_is_known() {
        let entry = |manager: &str, time: &str, subresource: &str, fields: serde_json::Value| serde_json::json!({"manager": manager, "time": time, "subresource": subresource, "fieldsV1": fields});
        let spec = || serde_json::json!({"f:spec": {"f:sources": {}}});
        let object: ThinToolsetConfig = serde_json::from_value(serde_json::json!({"metadata": {"managedFields": [
            entry("kubectl-edit", "2026-01-02T00:00:00Z", "", spec()),
            entry("helm", "2026-01-01T00:00:00Z", "", spec()),
            entry("labeller", "2026-01-03T00:00:00Z", "", serde_json::json!({"f:metadata": {}})),
            entry("toolset-operator", "2026-01-04T00:00:00Z", "status", serde_json::json!({"f:status": {}})),
        ]}}))
        .unwrap();
        let managers: Vec<_> = object.metadata.managed_fields.iter().flatten().map(|entry| &entry.manager).collect();
        assert_eq!(managers, [&Some("kubectl-edit".to_owned())]);
    }

    #[test]
    fn field_managers_are_read_with_the_data_keys_that_they_own() {
        let object: ThinConfigMap = serde_json::from_value(serde_json::json!({
            "metadata": {
                "name": "c", "uid": "u",
                "managedFields": [
                    {"manager": "a", "operation": "Apply", "fieldsV1": {"f:data": {".": {}, "f:k": {}}, "f:metadata": {}}},
                    {"manager": "b", "operation": "Update", "fieldsV1": {"f:metadata": {}}},
                    {"operation": "Update"}
                ]
            },
            "data": {"k": "v"}
        }))
        .unwrap();
        let owned: Vec<_> = object.field_managers.iter().map(|one| (one.manager.as_str(), one.data_keys())).collect();
        assert_eq!(owned, [("a", &["k".to_owned()][..]), ("b", &[]), ("", &[])]);
        assert_eq!((&*object.data["k"], object.metadata.uid.as_deref()), ("v", Some("u")));
    }

    #[test]
    fn a_slice_without_endpoints_is_read() {
        let slice: ThinSlice = serde_json::from_str(r#"{"metadata": {"name": "s"}, "endpoints": null}"#).unwrap();
        assert!(slice.endpoints.is_none());
    }
}
