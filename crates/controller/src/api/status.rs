//! Requests on the status subresource of a ToolsetConfig.

use crd_types::{ToolsetConfig, ToolsetConfigStatus};
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Error as KubeError, Resource,
    api::{ApiResource, DynamicObject, Patch},
};
use serde_json::{Value, json};

use super::{
    client::within_timeout,
    error::Error,
    fence::Term,
    name::NamespacedName,
    request,
    thin::Answer,
    writer::{Lane, Writer},
};

/// Now, in whole seconds, as conditions write it.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

/// Applies a status to the ToolsetConfig with that uid. Returns the resource version that the object then has.
pub(crate) async fn apply(
    writer: &Writer,
    term: Term,
    name: &NamespacedName,
    uid: &str,
    status: &ToolsetConfigStatus,
) -> Result<u64, Error> {
    let object = json!({
        "apiVersion": ToolsetConfig::api_version(&()),
        "kind": ToolsetConfig::kind(&()),
        "metadata": {"name": &*name.name, "namespace": &*name.namespace, "uid": uid},
        "status": status,
    });
    let body = serde_json::to_vec(&object).map_err(KubeError::SerdeError)?;
    let request = request::apply::<ToolsetConfig>(name, Some("status"), &request::forced(), body)?;
    let client = writer.client();
    let answer: Answer = writer.send(term, Lane::Status, client.request(request)).await?;
    Ok(answer.version())
}

/// Merges parts of a status into an object that cannot be read as a whole. Server-side apply does not work here,
/// because the stored object does not match its schema.
pub(crate) async fn merge_untyped(
    writer: &Writer,
    term: Term,
    name: &NamespacedName,
    status: &Value,
) -> Result<(), Error> {
    let merge = Patch::Merge(json!({"status": status}));
    writer
        .send(term, Lane::Status, api(writer, name).patch_status(&name.name, &request::patch(), &merge))
        .await
        .map(drop)
}

/// Reads the status of an object that cannot be read as a whole; null if it has none.
pub(crate) async fn read_untyped(writer: &Writer, name: &NamespacedName) -> Result<Value, Error> {
    let object = within_timeout(api(writer, name).get(&name.name)).await?;
    Ok(object.data.get("status").cloned().unwrap_or_default())
}

fn api(writer: &Writer, name: &NamespacedName) -> Api<DynamicObject> {
    Api::namespaced_with(writer.client(), &name.namespace, &ApiResource::erase::<ToolsetConfig>(&()))
}
