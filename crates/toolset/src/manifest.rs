//! The `ConfigMap` as it is applied, whose it is, and whether it still is as applied.

use std::collections::BTreeMap;

use crd_types::{DeletionPolicy, ToolsetConfig};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::{
    render::{DATA_KEYS, Rendered},
    select::Context,
};

/// The field manager of everything that the operator applies.
pub const FIELD_MANAGER: &str = "toolset-operator";
/// Holds [`Rendered::hash`].
pub const HASH_ANNOTATION: &str = "kubernaut.io/content-hash";
/// The labels of our `ConfigMap`; nothing is copied from the `ToolsetConfig`, or Argo CD would take it for its own.
pub const LABELS: [(&str, &str); 3] = [
    ("app.kubernetes.io/name", "toolset"),
    ("app.kubernetes.io/component", "dynamic-toolset"),
    (MANAGED_BY, FIELD_MANAGER),
];
/// Says who manages an object.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The predecessor's labels; it wrote them with and without the prefix.
const PREDECESSOR: &str = "kubernaut";

/// What matters of a `ConfigMap` that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigMapView {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The owner that is its controller.
    pub controller: Option<Owner>,
    /// Whether its controller owner reference blocks deletion of the owner, as ours does.
    pub blocks_owner_deletion: bool,
    /// All data keys.
    pub data: BTreeMap<String, String>,
    /// Field managers other than ours that own one of our keys, for naming the other side of a fight.
    pub other_managers: Vec<String>,
    /// Whether it is being deleted.
    pub terminating: bool,
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

/// Whose a `ConfigMap` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// This `ToolsetConfig`'s.
    Ours,
    /// The predecessor's; adopted without asking.
    Predecessor,
    /// Somebody else's.
    Stranger {
        /// In words, for the condition.
        who: String,
    },
}

/// Whose an existing `ConfigMap` is: ours if its controller owner is this `ToolsetConfig`, or if it has no controller owner
/// and carries our managed-by label or the predecessor's.
pub fn ownership(config: &ToolsetConfig, existing: &ConfigMapView) -> Ownership {
    match &existing.controller {
        Some(owner) if Some(&owner.uid) == config.uid().as_ref() => Ownership::Ours,
        Some(owner) => Ownership::Stranger { who: format!("{} {}", owner.kind, owner.name) },
        None => {
            let label = |key: &str| existing.labels.get(key).map(String::as_str);
            let managed_by = label(MANAGED_BY).or_else(|| label("managed-by"));
            let component = label("app.kubernetes.io/component").or_else(|| label("component"));
            match (managed_by, component) {
                (Some(FIELD_MANAGER), _) => Ownership::Ours,
                (Some(PREDECESSOR), Some("dynamic-toolset")) => Ownership::Predecessor,
                (Some(manager), _) => Ownership::Stranger { who: format!("something managed by {manager}") },
                (None, _) => Ownership::Stranger {
                    who: "somebody who left no owner reference and no managed-by label".to_owned(),
                },
            }
        }
    }
}

/// What the `ConfigMap` lacks of what it should be. `None` if nothing: then nothing is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// It does not exist.
    Missing,
    /// A key of ours is absent, different, or there although its format is not asked for.
    Data(String),
    /// A label is absent or different.
    Label(String),
    /// The hash annotation is absent or different.
    Annotation,
    /// The owner reference is absent, or there although the policy is Orphan.
    Owner,
}

/// The first difference between an existing `ConfigMap` and what it should be.
pub fn drift(config: &ToolsetConfig, existing: &ConfigMapView, rendered: &Rendered) -> Option<Drift> {
    let differs = |key: &&str| existing.data.get(*key) != rendered.data.get(*key);
    if let Some(key) = DATA_KEYS.iter().copied().find(|key| differs(key)) {
        return Some(Drift::Data(key.to_owned()));
    }
    let lacks = |(key, value): &&(&str, &str)| existing.labels.get(*key).map(String::as_str) != Some(*value);
    if let Some((key, _)) = LABELS.iter().find(lacks) {
        return Some(Drift::Label((*key).to_owned()));
    }
    if existing.annotations.get(HASH_ANNOTATION) != Some(&rendered.hash) {
        return Some(Drift::Annotation);
    }
    let owned = existing.controller.as_ref().is_some_and(|owner| Some(&owner.uid) == config.uid().as_ref());
    let wanted = config.spec.output.deletion_policy == DeletionPolicy::Delete;
    let as_wanted = if wanted { owned && existing.blocks_owner_deletion } else { !owned };
    (!as_wanted).then_some(Drift::Owner)
}

/// The object for server-side apply. `uid` is that of the `ConfigMap` that was looked at: if it has been replaced since, the
/// API server refuses the apply, and a stranger's object is safe. Without a uid the object is created.
pub fn config_map(ctx: &Context<'_>, rendered: &Rendered, uid: Option<&str>) -> Value {
    let config = ctx.config;
    let mut metadata = json!({
        "name": config.spec.output.config_map_name,
        "namespace": config.namespace(),
        "labels": LABELS.iter().copied().collect::<BTreeMap<_, _>>(),
        "annotations": {HASH_ANNOTATION: rendered.hash},
    });
    if let Some(uid) = uid {
        metadata["uid"] = json!(uid);
    }
    if config.spec.output.deletion_policy == DeletionPolicy::Delete
        && let Some(owner) = config.controller_owner_ref(&())
    {
        // kube leaves this out, and without it a foreground deletion would not wait for the ConfigMap.
        metadata["ownerReferences"] = json!([OwnerReference { block_owner_deletion: Some(true), ..owner }]);
    }
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": rendered.data})
}

#[cfg(test)]
mod tests;
