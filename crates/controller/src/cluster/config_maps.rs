//! The ConfigMaps that the operator writes, and the base files. Each is watched by name.
//!
//! A watch with a label selector could not see a ConfigMap of that name without our labels, and a forced apply would
//! overwrite its keys.
//!
//! The API server answers an apply, and the watch sends an event about it, the echo. The answer contains only the new
//! resource version. The echo is compared with what was sent, so the operator detects a change by a webhook or by
//! another field manager. The echo may arrive before the answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use toolset::{
    config_map::{ConfigMapView, FIELD_MANAGER, HASH_ANNOTATION, LABELS, OwnedFields, Owner},
    render::is_of_a_format,
};

use crate::api::{
    NamespacedName,
    thin::{FieldManager, ThinConfigMap, version},
};

/// A ConfigMap as last seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigMapState {
    version: u64,
    /// `None` if there is no such ConfigMap.
    pub(crate) view: Option<Arc<ConfigMapView>>,
    /// What our field manager owns.
    pub(crate) owned: OwnedFields,
    /// Whether our field manager owns fields by an update, and not only by server-side apply. A field that both own is
    /// not removed when the apply no longer contains it.
    pub(crate) updated_by_us: bool,
}

impl ConfigMapState {
    pub(crate) fn of(object: &ThinConfigMap) -> Self {
        Self {
            version: version(object.metadata.resource_version.as_deref()),
            view: Some(Arc::new(view(object))),
            owned: owned_fields(object),
            updated_by_us: ours(object).any(FieldManager::is_update),
        }
    }

    /// The resource version. Zero if there is no such ConfigMap, or after a restore of etcd.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }
}

#[derive(Debug, Default)]
struct Slot {
    /// `None` before the first list.
    seen: Option<ConfigMapState>,
    /// The ConfigMap that is expected after the write in progress.
    expected: Option<Expected>,
}

/// The expected result of a write.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) view: ConfigMapView,
    /// What our field manager then owns.
    pub(crate) owned: OwnedFields,
}

/// The ConfigMaps that are watched.
#[derive(Debug, Default)]
pub(crate) struct ConfigMaps(Mutex<BTreeMap<NamespacedName, Slot>>);

impl ConfigMaps {
    /// A ConfigMap as last seen. `None` if its watch has not listed yet.
    pub(crate) fn get(&self, name: &NamespacedName) -> Option<ConfigMapState> {
        self.lock().get(name)?.seen.clone()
    }

    /// Records what is expected after the write that is about to be sent.
    pub(crate) fn expect(&self, name: &NamespacedName, expected: Expected) {
        self.lock().entry(name.clone()).or_default().expected = Some(expected);
    }

    /// Records that the API server acknowledged the write, and that the object `uid` has this version. Returns false if
    /// the watch has already shown that the ConfigMap is not as expected. The caller must not wait for another event
    /// then, because a webhook that restores the previous content leaves the version unchanged.
    pub(crate) fn acknowledged(&self, name: &NamespacedName, uid: &str, version: u64) -> bool {
        let mut slots = self.lock();
        let Some(slot) = slots.get_mut(name) else { return true };
        let Some(expected) = slot.expected.take() else { return true };
        if let Some(seen) = slot.seen.as_ref().filter(|seen| version > 0 && seen.version >= version) {
            return seen.view.as_deref().is_some_and(|view| view.uid == uid && same_content(&expected.view, view));
        }
        let updated_by_us = slot.seen.take().is_some_and(|seen| seen.updated_by_us);
        let view = ConfigMapView { uid: uid.to_owned(), ..expected.view };
        slot.seen = Some(ConfigMapState { version, view: Some(Arc::new(view)), owned: expected.owned, updated_by_us });
        true
    }

    /// Records that the apply failed or that its outcome is unknown. Every change on the watch is unexpected then.
    pub(crate) fn failed(&self, name: &NamespacedName) {
        if let Some(slot) = self.lock().get_mut(name) {
            slot.expected = None;
        }
    }

    /// Stores a state from the watch, unless a newer one is known. Returns true if the state is neither the known one
    /// nor the one that is expected after an apply.
    pub(super) fn applied(&self, name: &NamespacedName, object: &ThinConfigMap) -> bool {
        self.observe(name, ConfigMapState::of(object))
    }

    /// Stores the state from a list, which replaces any other. Returns true if the state changed.
    pub(super) fn listed(&self, name: &NamespacedName, object: Option<&ThinConfigMap>) -> bool {
        let state = object.map(ConfigMapState::of).unwrap_or_default();
        let mut slots = self.lock();
        let slot = slots.entry(name.clone()).or_default();
        let news = slot.seen.as_ref().is_none_or(|seen| !same(seen.view.as_deref(), state.view.as_deref()));
        slot.seen = Some(state);
        news
    }

    /// Forgets the version, because etcd was restored and the next versions are lower.
    pub(super) fn restored(&self, name: &NamespacedName) {
        if let Some(seen) = self.lock().get_mut(name).and_then(|slot| slot.seen.as_mut()) {
            seen.version = 0;
        }
    }

    /// Records that the ConfigMap was deleted. Returns true if this was not known.
    pub(super) fn deleted(&self, name: &NamespacedName, object: &ThinConfigMap) -> bool {
        let version = version(object.metadata.resource_version.as_deref());
        self.observe(name, ConfigMapState { version, ..ConfigMapState::default() })
    }

    /// Removes a ConfigMap that no ToolsetConfig needs any more.
    pub(super) fn forget(&self, name: &NamespacedName) {
        self.lock().remove(name);
    }

    fn observe(&self, name: &NamespacedName, state: ConfigMapState) -> bool {
        let mut slots = self.lock();
        let slot = slots.entry(name.clone()).or_default();
        if slot.seen.as_ref().is_some_and(|seen| state.version > 0 && state.version < seen.version) {
            return false;
        }
        let as_known = slot.seen.as_ref().is_some_and(|seen| same(seen.view.as_deref(), state.view.as_deref()));
        let as_expected = slot.expected.as_ref().zip(state.view.as_deref()).is_some_and(|(expected, view)| {
            // The uid of an object that is being created is not known before the answer.
            let uid = if expected.view.uid.is_empty() { &view.uid } else { &expected.view.uid };
            *uid == view.uid && same_content(&expected.view, view)
        });
        slot.seen = Some(state);
        !as_known && !as_expected
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NamespacedName, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether two states are the same in everything that decisions depend on.
fn same(old: Option<&ConfigMapView>, new: Option<&ConfigMapView>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => old.uid == new.uid && same_content(old, new),
        (None, None) => true,
        _ => false,
    }
}

/// Field managers are not compared, because decisions do not depend on them and an apply may change them.
fn same_content(old: &ConfigMapView, new: &ConfigMapView) -> bool {
    old.data == new.data
        && old.labels == new.labels
        && old.annotations == new.annotations
        && old.controller == new.controller
        && old.blocks_owner_deletion == new.blocks_owner_deletion
        && old.binary_keys == new.binary_keys
        && old.immutable == new.immutable
        && old.terminating == new.terminating
        && old.finalizers == new.finalizers
}

fn view(object: &ThinConfigMap) -> ConfigMapView {
    let metadata = &object.metadata;
    let controller = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    ConfigMapView {
        uid: metadata.uid.clone().unwrap_or_default(),
        labels: metadata.labels.clone().unwrap_or_default(),
        annotations: metadata.annotations.clone().unwrap_or_default(),
        controller: controller.map(|owner| Owner {
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        }),
        blocks_owner_deletion: controller.is_some_and(|owner| owner.block_owner_deletion == Some(true)),
        data: object.data.clone(),
        binary_keys: object.binary_keys.clone(),
        immutable: object.immutable,
        other_managers: other_managers(object),
        terminating: metadata.deletion_timestamp.is_some(),
        finalizers: metadata.finalizers.clone().unwrap_or_default(),
    }
}

fn ours(object: &ThinConfigMap) -> impl Iterator<Item = &FieldManager> {
    object.field_managers.iter().filter(|one| one.manager == FIELD_MANAGER)
}

fn owned_fields(object: &ThinConfigMap) -> OwnedFields {
    OwnedFields {
        data: ours(object).flat_map(FieldManager::data_keys).cloned().collect(),
        labels: ours(object).flat_map(FieldManager::labels).cloned().collect(),
    }
}

/// The other field managers that own one of our fields. If there is none, this is the field manager that wrote last,
/// because it may have removed a field.
fn other_managers(object: &ThinConfigMap) -> Vec<String> {
    let others = || object.field_managers.iter().filter(|one| one.manager != FIELD_MANAGER);
    let owns_ours = |one: &&FieldManager| {
        one.data_keys().iter().any(|key| is_of_a_format(key))
            || one.labels().iter().any(|key| LABELS.iter().any(|(label, _)| label == key))
            || one.annotations().iter().any(|key| key == HASH_ANNOTATION)
    };
    let mut names: BTreeSet<&str> = others().filter(owns_ours).map(|one| one.manager.as_str()).collect();
    if names.is_empty() {
        names.extend(others().max_by(|a, b| a.time.cmp(&b.time)).map(|last| last.manager.as_str()));
    }
    names.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(version: &str, content: &str) -> ThinConfigMap {
        serde_json::from_value(serde_json::json!({
            "metadata": {
                "name": "c", "namespace": "n", "uid": "u", "resourceVersion": version,
                "managedFields": [
                    {"manager": "toolset-operator", "operation": "Apply", "fieldsV1": {"f:data": {"f:toolset.json": {}}}},
                    {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:data": {"f:custom_toolset.yaml": {}}}},
                    {"manager": "stranger", "operation": "Update", "fieldsV1": {"f:data": {"f:own": {}}}}
                ]
            },
            "data": {"toolset.json": content}
        }))
        .unwrap()
    }

    fn name() -> NamespacedName {
        NamespacedName::new("n", "c")
    }

    fn owned_key(key: &str) -> OwnedFields {
        OwnedFields { data: BTreeSet::from([key.to_owned()]), ..OwnedFields::default() }
    }

    fn expected(content: &str) -> Expected {
        Expected { view: view(&object("", content)), owned: OwnedFields::default() }
    }

    fn content(maps: &ConfigMaps) -> String {
        maps.get(&name()).unwrap().view.unwrap().data["toolset.json"].to_string()
    }

    #[test]
    fn an_event_older_than_what_is_known_is_no_news() {
        let maps = ConfigMaps::default();
        assert!(maps.applied(&name(), &object("11", "b")));
        assert!(!maps.applied(&name(), &object("10", "stale")));
        assert!(!maps.deleted(&name(), &object("10", "stale")));
        assert_eq!(content(&maps), "b");
        assert!(maps.deleted(&name(), &object("12", "b")));
        assert!(maps.get(&name()).unwrap().view.is_none());
    }

    #[test]
    fn a_version_that_is_not_a_number_is_newer_than_any_other() {
        let maps = ConfigMaps::default();
        maps.applied(&name(), &object("100", "a"));
        maps.expect(&name(), expected("b"));
        assert!(maps.acknowledged(&name(), "u", version(Some("opaque"))));
        assert_eq!(content(&maps), "b");
        assert!(maps.applied(&name(), &object("101", "c")));
        assert!(maps.applied(&name(), &object("opaque", "d")));
        assert_eq!(content(&maps), "d");
        assert!(maps.deleted(&name(), &object("opaque", "d")));
        assert!(maps.get(&name()).unwrap().view.is_none());
    }

    #[test]
    fn after_a_restore_lower_versions_are_news() {
        let maps = ConfigMaps::default();
        maps.applied(&name(), &object("100", "b"));
        maps.restored(&name());
        maps.expect(&name(), expected("c"));
        assert!(maps.acknowledged(&name(), "u", 50));
        assert_eq!((content(&maps), maps.get(&name()).unwrap().version()), ("c".to_owned(), 50));
        assert!(maps.applied(&name(), &object("51", "d")));
        assert!(maps.listed(&name(), Some(&object("40", "a"))), "a list replaces everything");
        assert!(maps.applied(&name(), &object("41", "b")));
    }

    #[test]
    fn the_echo_of_an_apply_is_no_news_before_and_after_the_answer() {
        for echo_first in [true, false] {
            let maps = ConfigMaps::default();
            maps.applied(&name(), &object("9", "a"));
            maps.expect(&name(), expected("b"));
            if !echo_first {
                assert!(maps.acknowledged(&name(), "u", 10));
                assert_eq!(content(&maps), "b");
            }
            assert!(!maps.applied(&name(), &object("10", "b")));
            assert!(maps.acknowledged(&name(), "u", 10));
            assert_eq!(content(&maps), "b");
        }
    }

    #[test]
    fn what_a_webhook_made_of_an_apply_is_news() {
        let maps = ConfigMaps::default();
        maps.applied(&name(), &object("9", "a"));
        maps.expect(&name(), expected("b"));
        assert!(maps.acknowledged(&name(), "u", 10));
        assert!(maps.applied(&name(), &object("10", "b, changed by a webhook")));
    }

    #[test]
    fn an_apply_that_a_webhook_turns_into_nothing_is_not_taken_for_done() {
        let maps = ConfigMaps::default();
        maps.applied(&name(), &object("10", "b, changed by a webhook"));
        maps.expect(&name(), expected("b"));
        assert!(!maps.acknowledged(&name(), "u", 10));
        assert_eq!(content(&maps), "b, changed by a webhook");
    }

    #[test]
    fn an_edit_between_the_apply_and_its_echo_is_news() {
        let maps = ConfigMaps::default();
        maps.applied(&name(), &object("9", "a"));
        maps.expect(&name(), expected("c"));
        assert!(maps.applied(&name(), &object("10", "b")), "the edit");
        assert!(!maps.applied(&name(), &object("11", "c")), "the echo");
        assert!(maps.acknowledged(&name(), "u", 11));
        assert!(maps.applied(&name(), &object("12", "d")), "another edit");
    }

    #[test]
    fn after_a_failed_apply_everything_is_news() {
        let maps = ConfigMaps::default();
        maps.applied(&name(), &object("9", "a"));
        maps.expect(&name(), expected("b"));
        maps.failed(&name());
        assert!(maps.applied(&name(), &object("10", "b")));
    }

    #[test]
    fn field_managers_of_our_keys_are_kept_apart_from_those_of_other_keys() {
        let object = object("1", "a");
        assert_eq!(view(&object).other_managers, ["kubectl-edit"]);
        let state = ConfigMapState::of(&object);
        assert_eq!((state.owned, state.updated_by_us), (owned_key("toolset.json"), false));
    }

    #[test]
    fn the_other_side_of_a_conflict_is_who_owns_a_field_of_ours_or_else_who_wrote_last() {
        let managed_by = |entries: serde_json::Value| {
            let object = serde_json::json!({"metadata": {"uid": "u", "managedFields": entries}});
            view(&serde_json::from_value(object).unwrap()).other_managers
        };
        let label = serde_json::json!({"f:metadata": {"f:labels": {"f:app.kubernetes.io/managed-by": {}}}});
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let mut entries = serde_json::json!([
            {"manager": "labeller", "operation": "Update", "time": early, "fieldsV1": label},
            {"manager": "last", "operation": "Update", "time": late, "fieldsV1": {"f:data": {"f:own": {}}}},
            {"manager": "toolset-operator", "operation": "Apply", "time": late, "fieldsV1": {}}
        ]);
        assert_eq!(managed_by(entries.clone()), ["labeller"]);
        entries[0]["fieldsV1"] = serde_json::json!({});
        assert_eq!(managed_by(entries), ["last"]);
    }

    #[test]
    fn what_a_create_owns_is_known_before_its_echo() {
        let maps = ConfigMaps::default();
        maps.listed(&name(), None);
        let owned = owned_key("toolset.json");
        maps.expect(&name(), Expected { owned: owned.clone(), ..expected("b") });
        assert!(maps.acknowledged(&name(), "u", 10));
        assert_eq!(maps.get(&name()).unwrap().owned, owned);
    }
}
