//! The only writes of a ConfigMap.

use k8s_openapi::{
    api::core::v1::ConfigMap,
    apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry},
};
use kube::{Api, api::Patch};
use serde_json::{Value, json};
use tokio::time::Instant;
use toolset::{
    config_map::{FIELD_MANAGER, Manifest},
    render::DATA_KEYS,
};

use super::{
    client::within_timeout,
    error::Error,
    fence::Term,
    name::NamespacedName,
    request,
    thin::Answer,
    writer::{Lane, Writer},
};

/// Applies the manifest, server-side. Also returns when the request was sent, if it was.
///
/// If the ConfigMap exists, the manifest contains the uid of the object that the decision was made for. If that object
/// has been replaced since, the API server answers with a conflict, so an object of another owner is not overwritten.
/// Without a uid, the ConfigMap did not exist. Then the apply is not forced, for the same reason.
pub(crate) async fn apply(
    writer: &Writer,
    term: Term,
    name: &NamespacedName,
    manifest: &Manifest,
    uid: Option<&str>,
) -> (Result<Answer, Error>, Option<Instant>) {
    let params = if uid.is_some() { request::forced() } else { request::unforced() };
    let request = match request::apply::<ConfigMap>(name, None, &params, manifest.to_json(uid)) {
        Ok(request) => request,
        Err(error) => return (Err(error.into()), None),
    };
    let (client, mut sent) = (writer.client(), None);
    let answer = writer.send(term, Lane::Output, async {
        sent = Some(Instant::now());
        client.request(request).await
    });
    (answer.await, sent)
}

/// Removes our data keys from the managed fields of every other field manager, before an object is adopted.
///
/// A key that two field managers own is not removed when only one of them stops applying it. So `toolset.json` would
/// stay after its format is removed from the spec.
pub(crate) async fn disown_others(writer: &Writer, term: Term, name: &NamespacedName, uid: &str) -> Result<(), Error> {
    let api: Api<ConfigMap> = Api::namespaced(writer.client(), &name.namespace);
    let live = within_timeout(api.get(&name.name)).await?;
    let Some(managed_fields) = live.metadata.managed_fields.as_deref().and_then(without_our_keys) else {
        return Ok(());
    };
    let merge = Patch::Merge(json!({"metadata": {
        "uid": uid,
        "resourceVersion": live.metadata.resource_version,
        "managedFields": managed_fields,
    }}));
    writer.send(term, Lane::Output, api.patch(&name.name, &request::patch(), &merge)).await.map(drop)
}

/// The managed fields without our data keys under other field managers. `None` if no other field manager owns our keys.
fn without_our_keys(entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let mut changed = false;
    let kept = entries.iter().cloned().filter_map(|mut entry| {
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

fn is_our_key(field: &str) -> bool {
    field.strip_prefix("f:").is_some_and(|key| DATA_KEYS.contains(&key))
}

fn remove_our_keys(fields: &mut Value) -> bool {
    let Some(all) = fields.as_object_mut() else { return false };
    let Some(data) = all.get_mut("f:data").and_then(Value::as_object_mut) else { return false };
    if !data.keys().any(|field| is_our_key(field)) {
        return false;
    }
    data.retain(|field, _| !is_our_key(field));
    if data.keys().all(|field| field == ".") {
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
    fn only_our_data_keys_leave_the_managed_fields_of_others() {
        let entries = [
            entry("toolset-operator", json!({"f:data": {"f:toolset.json": {}}})),
            entry("kubernaut", json!({"f:data": {".": {}, "f:toolset.json": {}, "f:own": {}}, "f:metadata": {}})),
        ];
        let kept = without_our_keys(&entries).unwrap();
        assert_eq!(kept[0], entries[0]);
        assert_eq!(kept[1].fields_v1, Some(FieldsV1(json!({"f:data": {".": {}, "f:own": {}}, "f:metadata": {}}))));
    }

    #[test]
    fn an_entry_that_held_nothing_else_is_removed() {
        assert_eq!(without_our_keys(&[entry("k", json!({"f:data": {".": {}, "f:toolset.json": {}}}))]), Some(vec![]));
    }

    #[test]
    fn managed_fields_without_our_keys_are_left_alone() {
        assert_eq!(without_our_keys(&[entry("k", json!({"f:data": {"f:own": {}}}))]), None);
    }
}
