//! ToolsetConfigs as users write them, and what became of them.
//!
//! They are plain JSON on purpose: a test can write what the types would not let it, and reads what users read.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

/// The ConfigMap of a ToolsetConfig that does not name one.
pub const DEFAULT_CONFIG_MAP: &str = "kubernaut-toolset-config";

/// The kind, for clients without types.
pub(crate) fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("toolset.kubernaut.io", "v1alpha1", "ToolsetConfig");
    ApiResource::from_gvk_with_plural(&kind, "toolsetconfigs")
}

/// The ToolsetConfigs of a namespace.
pub fn toolset_configs(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource())
}

/// A ToolsetConfig with this `spec`.
pub fn toolset_config(namespace: &str, name: &str, spec: &Value) -> DynamicObject {
    DynamicObject::new(name, &resource()).within(namespace).data(json!({"spec": spec}))
}

/// The smallest spec: one trusted source of these namespaces.
pub fn trusted_names(namespaces: &[&str]) -> Value {
    json!({
        "sources": [{
            "name": "platform",
            "trust": "Trusted",
            "namespaces": {"from": "Names", "names": namespaces},
        }],
    })
}

/// Status and reason of a condition of a ToolsetConfig: `("True", "AsExpected")`; `None` while it has none.
pub fn condition<'a>(config: &'a DynamicObject, kind: &str) -> Option<(&'a str, &'a str)> {
    let conditions = config.data.pointer("/status/conditions")?.as_array()?;
    let condition = conditions.iter().find(|condition| condition["type"] == kind)?;
    Some((condition["status"].as_str()?, condition["reason"].as_str()?))
}

/// The tools of a ConfigMap's `toolset.json`.
#[derive(Clone, Debug)]
pub struct Tools(Vec<Value>);

impl Tools {
    /// Fails if the ConfigMap has no `toolset.json` or the file is not as documented.
    pub fn of(config_map: &ConfigMap) -> Result<Self> {
        let data = config_map.data.as_ref().context("the ConfigMap has no data")?;
        let json = data.get("toolset.json").context("the ConfigMap has no toolset.json")?;
        let file: Value = serde_json::from_str(json).context("toolset.json is not JSON")?;
        let tools = file["tools"].as_array().context("toolset.json has no list of tools")?;
        Ok(Self(tools.clone()))
    }

    /// Their names, in the file's order.
    pub fn names(&self) -> Vec<&str> {
        self.strings("name")
    }

    /// Their types, in the file's order.
    pub fn types(&self) -> Vec<&str> {
        self.strings("type")
    }

    /// The endpoint of the tool of this name.
    pub fn endpoint(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|tool| tool["name"] == name)?["endpoint"].as_str()
    }

    fn strings(&self, field: &str) -> Vec<&str> {
        self.0.iter().map(|tool| tool[field].as_str().unwrap_or_default()).collect()
    }
}
