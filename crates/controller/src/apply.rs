//! The only ConfigMap write.

use k8s_openapi::{
    api::core::v1::ConfigMap,
    apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry},
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use toolset::{manifest::FIELD_MANAGER, render::DATA_KEYS};

use crate::{
    client::within_timeout,
    error::Error,
    inputs::data_keys,
    object::ObjectName,
    writer::{Writer, forced, polite},
};

/// Applies the object, server-side.
///
/// Onto an existing ConfigMap the object carries the uid of the one that was looked at; if that one has been replaced since,
/// the API server refuses with a conflict and a stranger's object is safe. Without a uid nothing was there: then fields are
/// not taken over by force, for the same reason.
pub async fn apply(writer: &Writer, name: &ObjectName, object: &Value) -> Result<ConfigMap, Error> {
    let api: Api<ConfigMap> = Api::namespaced(writer.client(), &name.namespace);
    let onto_existing = object.pointer("/metadata/uid").is_some();
    let params = if onto_existing { forced() } else { polite() };
    writer.send(api.patch(&name.name, &params, &Patch::Apply(object))).await
}

/// Takes our data keys out of the books of every other field manager, before an object is adopted.
///
/// A key that two managers own survives when one of them drops it: `toolset.json` would outlive its format.
pub async fn disown_others(writer: &Writer, name: &ObjectName, uid: &str) -> Result<(), Error> {
    let api: Api<ConfigMap> = Api::namespaced(writer.client(), &name.namespace);
    let live = within_timeout(api.get(&name.name)).await?;
    let Some(books) = live.metadata.managed_fields.as_deref().and_then(without_our_keys) else { return Ok(()) };
    let patch = json!({"metadata": {
        "uid": uid,
        "resourceVersion": live.metadata.resource_version,
        "managedFields": books,
    }});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    writer.send(api.patch(&name.name, &params, &Patch::Merge(&patch))).await.map(drop)
}

/// The managed fields without our data keys under other managers; `None` if there are none.
fn without_our_keys(books: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let mut changed = false;
    let kept = books.iter().cloned().filter_map(|mut entry| {
        let foreign = entry.manager.as_deref() != Some(FIELD_MANAGER);
        if let Some(FieldsV1(fields)) = entry.fields_v1.as_mut().filter(|_| foreign) {
            changed |= remove_our_keys(fields);
            if fields.as_object().is_some_and(serde_json::Map::is_empty) {
                return None;
            }
        }
        Some(entry)
    });
    let kept: Vec<_> = kept.collect();
    changed.then_some(kept)
}

fn remove_our_keys(fields: &mut Value) -> bool {
    if !data_keys(fields).any(|key| DATA_KEYS.contains(&key)) {
        return false;
    }
    let Some(all) = fields.as_object_mut() else { return false };
    let emptied = all.get_mut("f:data").and_then(Value::as_object_mut).is_some_and(|data| {
        data.retain(|key, _| !DATA_KEYS.iter().any(|ours| key.strip_prefix("f:") == Some(ours)));
        data.keys().all(|key| key == ".")
    });
    if emptied {
        all.remove("f:data");
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            fields_v1: Some(FieldsV1(fields)),
            ..Default::default()
        }
    }

    #[test]
    fn only_our_data_keys_leave_the_books_of_others() {
        let books = [
            entry("toolset-operator", json!({"f:data": {"f:toolset.json": {}}})),
            entry("kubernaut", json!({"f:data": {".": {}, "f:toolset.json": {}, "f:own": {}}, "f:metadata": {}})),
        ];
        let kept = without_our_keys(&books).unwrap();
        assert_eq!(kept[0], books[0]);
        assert_eq!(kept[1].fields_v1, Some(FieldsV1(json!({"f:data": {".": {}, "f:own": {}}, "f:metadata": {}}))));
    }

    #[test]
    fn an_entry_that_held_nothing_else_goes_altogether() {
        assert_eq!(without_our_keys(&[entry("k", json!({"f:data": {".": {}, "f:toolset.json": {}}}))]), Some(vec![]));
    }

    #[test]
    fn books_without_our_keys_are_left_alone() {
        assert_eq!(without_our_keys(&[entry("k", json!({"f:data": {"f:own": {}}}))]), None);
    }
}
