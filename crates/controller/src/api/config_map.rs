//! The only writes of a ConfigMap.

use axum::http::Request;
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry};
use kube::{Api, api::Patch};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::Instant;
use toolset::config_map::Manifest;

use super::{
    client::within_timeout,
    error::Error,
    fence::Term,
    managed_fields::{as_applied, without_our_keys},
    name::NamespacedName,
    request,
    thin::Answer,
    writer::{Lane, Writer},
};

/// Creates the ConfigMap. Also returns when the request was sent, if it was.
///
/// It fails if a ConfigMap of that name exists, because an apply would change an object that somebody created in the
/// meantime. The API server records a create as an update of our field manager, so [`own_by_apply`] has to follow.
pub(crate) async fn create(
    writer: &Writer,
    term: Term,
    name: &NamespacedName,
    manifest: &Manifest,
) -> (Result<Answer<Vec<ManagedFieldsEntry>>, Error>, Option<Instant>) {
    send(writer, term, request::create::<ConfigMap>(name, manifest.to_json(None))).await
}

/// Applies the manifest, server-side. Also returns when the request was sent, if it was.
///
/// The manifest contains the uid of the object that the decision was made for. If that object has been replaced since,
/// the API server answers with a conflict, so an object of another owner is not overwritten.
pub(crate) async fn apply(
    writer: &Writer,
    term: Term,
    name: &NamespacedName,
    manifest: &Manifest,
    uid: &str,
) -> (Result<Answer, Error>, Option<Instant>) {
    let body = manifest.to_json(Some(uid));
    send(writer, term, request::apply::<ConfigMap>(name, None, &request::forced(), body)).await
}

/// Sends a write. Also returns when it was sent, if it was.
async fn send<T: DeserializeOwned>(
    writer: &Writer,
    term: Term,
    request: kube::Result<Request<Vec<u8>>>,
) -> (Result<T, Error>, Option<Instant>) {
    let request = match request {
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

/// Moves the fields that a create owns by an update to server-side apply.
///
/// A key that an apply no longer contains is removed only if no update owns it.
pub(crate) async fn own_by_apply(
    writer: &Writer,
    term: Term,
    name: &NamespacedName,
    created: &Answer<Vec<ManagedFieldsEntry>>,
) -> Result<(), Error> {
    match as_applied(created.managed_fields()) {
        Some(entries) => replace(writer, term, name, (created.uid(), created.resource_version()), &entries).await,
        None => Ok(()),
    }
}

/// Prepares the managed fields of an existing ConfigMap for an apply. The fields that our field manager owns by an
/// update are owned by server-side apply afterwards. If a ConfigMap is adopted, no other field manager owns the data keys
/// that this manifest writes.
///
/// Otherwise a key that two entries own stays when the apply no longer contains it, for example `toolset.json` after its
/// format is removed from the spec.
pub(crate) async fn own_alone(
    writer: &Writer,
    term: Term,
    name: &NamespacedName,
    uid: &str,
    adopted_by: Option<&Manifest>,
) -> Result<(), Error> {
    let api: Api<ConfigMap> = Api::namespaced(writer.client(), &name.namespace);
    let live = within_timeout(api.get_metadata(&name.name)).await?.metadata;
    let before = live.managed_fields.unwrap_or_default();
    let mut entries = adopted_by.and_then(|manifest| without_our_keys(&before, manifest));
    if let Some(applied) = as_applied(entries.as_ref().unwrap_or(&before)) {
        entries = Some(applied);
    }
    let Some(entries) = entries else { return Ok(()) };
    replace(writer, term, name, (uid, &live.resource_version.unwrap_or_default()), &entries).await
}

/// Replaces the managed fields of the object with that uid and version.
async fn replace(
    writer: &Writer,
    term: Term,
    name: &NamespacedName,
    (uid, resource_version): (&str, &str),
    managed_fields: &[ManagedFieldsEntry],
) -> Result<(), Error> {
    let merge = Patch::Merge(json!({"metadata": {
        "uid": uid,
        "resourceVersion": resource_version,
        "managedFields": managed_fields,
    }}));
    let api: Api<ConfigMap> = Api::namespaced(writer.client(), &name.namespace);
    writer.send(term, Lane::Output, api.patch_metadata(&name.name, &request::patch(), &merge)).await.map(drop)
}
