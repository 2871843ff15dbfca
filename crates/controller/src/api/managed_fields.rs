//! Changes of `metadata.managedFields`. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Map, Value};
use toolset::{
    Manifest,
    config_map::FIELD_MANAGER,
    render::{HOLMESGPT_KEY, TOOLSET_JSON_KEY},
};

const APPLY: &str = "Apply";

/// The managed fields with what our field manager owns by an update moved to its entry of server-side apply, as
/// client-go's `csaupgrade` does. `None` if it owns nothing by an update.
pub(super) fn as_applied(entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    // An entry of a subresource is about other fields.
    let ours = |entry: &ManagedFieldsEntry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.subresource.as_deref().unwrap_or_default().is_empty()
    };
    if !entries.iter().any(|entry| ours(entry) && entry.operation.as_deref() != Some(APPLY)) {
        return None;
    }
    let (ours, mut kept): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(ours);
    let merged = ours.into_iter().reduce(|mut all, one| {
        match (&mut all.fields_v1, one.fields_v1) {
            (Some(FieldsV1(all)), Some(FieldsV1(one))) => merge(all, one),
            (all, one) => *all = all.take().or(one),
        }
        all
    })?;
    kept.push(ManagedFieldsEntry { operation: Some(APPLY.to_owned()), ..merged });
    Some(kept)
}

/// The union of two sets of fields.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (field, below) in from {
                merge(into.entry(field).or_insert_with(|| Value::Object(Map::new())), below);
            }
        }
        (into, from) => *into = from,
    }
}

/// The managed fields without our data keys under other field managers. `None` if no other field manager owns our keys.
/// Our keys are those that the manifest writes, and the two files, which the predecessor wrote as well.
pub(super) fn without_our_keys(entries: &[ManagedFieldsEntry], manifest: &Manifest) -> Option<Vec<ManagedFieldsEntry>> {
    let is_ours = |key: &str| [HOLMESGPT_KEY, TOOLSET_JSON_KEY].contains(&key) || manifest.data().contains_key(key);
    without_keys(entries, is_ours)
}

fn without_keys(entries: &[ManagedFieldsEntry], is_ours: impl Fn(&str) -> bool) -> Option<Vec<ManagedFieldsEntry>> {
    let mut changed = false;
    let kept = entries.iter().cloned().filter_map(|mut entry| {
        let foreign = entry.manager.as_deref() != Some(FIELD_MANAGER);
        if let Some(FieldsV1(fields)) = entry.fields_v1.as_mut().filter(|_| foreign) {
            changed |= remove_keys(fields, &is_ours);
            if fields.as_object().is_some_and(Map::is_empty) {
                return None;
            }
        }
        Some(entry)
    });
    let kept: Vec<_> = kept.collect();
    changed.then_some(kept)
}

fn remove_keys(fields: &mut Value, is_ours: impl Fn(&str) -> bool) -> bool {
    let is_ours = |field: &str| field.strip_prefix("f:").is_some_and(&is_ours);
    let Some(all) = fields.as_object_mut() else { return false };
    let Some(data) = all.get_mut("f:data").and_then(Value::as_object_mut) else { return false };
    if !data.keys().any(|field| is_ours(field)) {
        return false;
    }
    data.retain(|field, _| !is_ours(field));
    if data.keys().all(|field| field == ".") {
        all.remove("f:data");
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            operation: Some("Apply".to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..Default::default()
        }
    }

    fn is_toolset_json(key: &str) -> bool {
        key == "toolset.json"
    }

    #[test]
    fn only_our_data_keys_leave_the_managed_fields_of_others() {
        let entries = [
            entry("toolset-operator", json!({"f:data": {"f:toolset.json": {}}})),
            entry("kubernaut", json!({"f:data": {".": {}, "f:toolset.json": {}, "f:own": {}}, "f:metadata": {}})),
        ];
        let kept = without_keys(&entries, is_toolset_json).unwrap();
        assert_eq!(kept[0], entries[0]);
        assert_eq!(kept[1].fields_v1, Some(FieldsV1(json!({"f:data": {".": {}, "f:own": {}}, "f:metadata": {}}))));
    }

    #[test]
    fn an_entry_that_held_nothing_else_is_removed() {
        assert_eq!(
            without_keys(&[entry("k", json!({"f:data": {".": {}, "f:toolset.json": {}}}))], is_toolset_json),
            Some(vec![])
        );
    }

    #[test]
    fn managed_fields_without_our_keys_are_left_alone() {
        assert_eq!(without_keys(&[entry("k", json!({"f:data": {"f:own": {}}}))], is_toolset_json), None);
    }

    #[test]
    fn what_we_own_by_an_update_we_own_by_apply_afterwards() {
        let by_update =
            |fields| ManagedFieldsEntry { operation: Some("Update".to_owned()), ..entry(FIELD_MANAGER, fields) };
        let other = ManagedFieldsEntry { operation: Some("Update".to_owned()), ..entry("k", json!({"f:data": {}})) };
        let created = by_update(json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}}));
        let applied = entry(FIELD_MANAGER, json!({"f:data": {"f:a": {}}, "f:metadata": {"f:labels": {"f:x": {}}}}));
        let all = json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}, "f:metadata": {"f:labels": {"f:x": {}}}});

        assert_eq!(
            as_applied(&[created.clone(), other.clone()]),
            Some(vec![other.clone(), entry(FIELD_MANAGER, json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}}))])
        );
        for ours in [[created.clone(), applied.clone()], [applied.clone(), created]] {
            assert_eq!(as_applied(&ours), Some(vec![entry(FIELD_MANAGER, all.clone())]));
        }
        assert_eq!(as_applied(&[applied, other]), None, "nothing to do");
    }
}
