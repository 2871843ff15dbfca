//! Writes the status, on the status subresource only, and only when it differs.

use crd_types::{ToolsetConfig, ToolsetConfigStatus};
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};
use toolset::manifest::FIELD_MANAGER;

use crate::{
    error::Error,
    object::ObjectName,
    work::Work,
    writer::{Writer, forced},
};

/// Now, in whole seconds, as conditions write it.
pub fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

/// The newest status that is known: what the watch showed, or what we wrote after it.
pub fn newest<'a>(config: &'a ToolsetConfig, work: &'a Work) -> Option<&'a ToolsetConfigStatus> {
    match &work.status {
        Some((written, status)) if *written > version(config) => Some(status),
        _ => config.status.as_ref(),
    }
}

/// Applies a status. Returns the resourceVersion that it has then.
pub async fn write(writer: &Writer, name: &ObjectName, status: &ToolsetConfigStatus) -> Result<u64, Error> {
    let object = json!({
        "apiVersion": ToolsetConfig::api_version(&()),
        "kind": ToolsetConfig::kind(&()),
        "metadata": {"name": &*name.name, "namespace": &*name.namespace},
        "status": status,
    });
    let patched = writer.send(api(writer, name).patch_status(&name.name, &forced(), &Patch::Apply(&object))).await?;
    Ok(version(&patched))
}

/// Writes parts of the status of an object that cannot be read as a whole. The API server cannot apply to it server-side
/// either: a live object that does not fit its schema has no fields to merge by.
pub async fn write_untyped(writer: &Writer, name: &ObjectName, status: &Value) -> Result<(), Error> {
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"status": status}));
    writer.send(api(writer, name).patch_status(&name.name, &params, &patch)).await.map(drop)
}

/// Reads the status of an object that cannot be read as a whole; null if it has none.
pub async fn read_untyped(writer: &Writer, name: &ObjectName) -> Result<Value, Error> {
    let object = crate::client::within_timeout(api(writer, name).get(&name.name)).await?;
    Ok(object.data.get("status").cloned().unwrap_or_default())
}

fn api(writer: &Writer, name: &ObjectName) -> Api<DynamicObject> {
    Api::namespaced_with(writer.client(), &name.namespace, &ApiResource::erase::<ToolsetConfig>(&()))
}

fn version(object: &impl ResourceExt) -> u64 {
    object.resource_version().and_then(|version| version.parse().ok()).unwrap_or_default()
}
