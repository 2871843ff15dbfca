//! The ConfigMaps that are written, and base files: one watch each, by name.
//!
//! A watch filtered by our labels could not see a stranger's ConfigMap of that name, and a forced apply would overwrite it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::Value;
use tokio::time::Instant;
use toolset::{
    ConfigMapView,
    manifest::{FIELD_MANAGER, Owner},
    render::DATA_KEYS,
};

use super::sink::Sink;
use crate::{object::ObjectName, world::World};

/// A ConfigMap as last seen.
#[derive(Clone, Debug, Default)]
pub struct Cached {
    /// As the API server orders versions of one object.
    version: u64,
    /// What matters of it; `None`: there is none.
    pub view: Option<Arc<ConfigMapView>>,
    /// Those of the keys that can be ours which our field manager owns.
    pub owned: BTreeSet<String>,
}

impl Cached {
    /// What is kept of an object.
    pub fn of(object: &ConfigMap) -> Self {
        Self { version: version(object), view: Some(Arc::new(view(object))), owned: owned(object) }
    }

    /// Which state of the object this is.
    pub fn version(&self) -> u64 {
        self.version
    }
}

/// The ConfigMaps that were looked for.
#[derive(Debug, Default)]
pub struct ConfigMaps(Mutex<BTreeMap<ObjectName, Cached>>);

impl ConfigMaps {
    /// One, as last seen; `None` if it was never looked for with success.
    pub fn get(&self, name: &ObjectName) -> Option<Cached> {
        self.lock().get(name).cloned()
    }

    /// Takes what a watch or the answer to our own apply shows, unless something newer is known. True if it is news.
    pub fn offer(&self, name: &ObjectName, object: &ConfigMap) -> bool {
        let new = Cached::of(object);
        let mut known = self.lock();
        match known.get(name) {
            Some(old) if new.version < old.version => false,
            old => {
                let news = old.is_none_or(|old| !same(old, &new));
                known.insert(name.clone(), new);
                news
            }
        }
    }

    /// It is gone. True if that is news.
    pub fn gone(&self, name: &ObjectName, version: u64) -> bool {
        let mut known = self.lock();
        let old = known.entry(name.clone()).or_default();
        if version < old.version {
            return false;
        }
        let news = old.view.is_some();
        *old = Cached { version, ..Cached::default() };
        news
    }

    /// Nobody asks for it any more.
    pub fn forget(&self, name: &ObjectName) {
        self.lock().remove(name);
    }

    fn listed_absent(&self, name: &ObjectName) -> bool {
        self.lock().insert(name.clone(), Cached::default()).is_none_or(|old| old.view.is_some())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectName, Cached>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nothing changed that anybody here reads.
fn same(old: &Cached, new: &Cached) -> bool {
    let without_version = |cached: &Cached| {
        cached.view.as_deref().map(|view| ConfigMapView { resource_version: String::new(), ..view.clone() })
    };
    old.owned == new.owned && without_version(old) == without_version(new)
}

fn version(object: &ConfigMap) -> u64 {
    object.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// What matters of a ConfigMap.
fn view(object: &ConfigMap) -> ConfigMapView {
    let metadata = &object.metadata;
    let controller = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let others = metadata.managed_fields.iter().flatten().filter(|entry| {
        entry.manager.as_deref() != Some(FIELD_MANAGER)
            && entry.fields_v1.as_ref().is_some_and(|fields| data_keys(&fields.0).any(|key| DATA_KEYS.contains(&key)))
    });
    ConfigMapView {
        uid: metadata.uid.clone().unwrap_or_default(),
        resource_version: metadata.resource_version.clone().unwrap_or_default(),
        labels: metadata.labels.clone().unwrap_or_default(),
        annotations: metadata.annotations.clone().unwrap_or_default(),
        controller: controller.map(|owner| Owner {
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        }),
        blocks_owner_deletion: controller.is_some_and(|owner| owner.block_owner_deletion == Some(true)),
        data: object.data.clone().unwrap_or_default(),
        other_managers: others.filter_map(|entry| entry.manager.clone()).collect(),
        terminating: metadata.deletion_timestamp.is_some(),
    }
}

fn owned(object: &ConfigMap) -> BTreeSet<String> {
    let ours = object.metadata.managed_fields.iter().flatten().filter(|e| e.manager.as_deref() == Some(FIELD_MANAGER));
    ours.filter_map(|entry| entry.fields_v1.as_ref())
        .flat_map(|fields| data_keys(&fields.0))
        .map(str::to_owned)
        .collect()
}

/// The data keys that a managed-fields entry owns: `{"f:data": {"f:<key>": {}}}`.
pub fn data_keys(fields: &Value) -> impl Iterator<Item = &str> {
    let data = fields.get("f:data").and_then(Value::as_object);
    data.into_iter().flat_map(|data| data.keys()).filter_map(|key| key.strip_prefix("f:"))
}

/// The sink for the watch of one ConfigMap.
pub struct OneConfigMap {
    world: Arc<World>,
    name: ObjectName,
    listed: Option<ConfigMap>,
}

impl OneConfigMap {
    /// A sink for the watch of `name`.
    pub fn new(world: Arc<World>, name: ObjectName) -> Self {
        Self { world, name, listed: None }
    }

    fn wake(&self, received: Instant) {
        for config in self.world.configs.all() {
            if concerns(&config, &self.name) {
                self.world.wakes.one(&ObjectName::of(&*config), Some(received));
            }
        }
    }
}

/// Whether a ToolsetConfig writes that ConfigMap or reads its base from it.
fn concerns(config: &crd_types::ToolsetConfig, name: &ObjectName) -> bool {
    let output = &config.spec.output;
    config.metadata.namespace.as_deref() == Some(&*name.namespace)
        && (*output.config_map_name == *name.name
            || output.base.as_ref().is_some_and(|base| *base.config_map_name == *name.name))
}

impl Sink for OneConfigMap {
    type Object = ConfigMap;

    fn begin(&mut self) {
        self.listed = None;
    }

    fn collect(&mut self, object: ConfigMap) {
        self.listed = Some(object);
    }

    fn complete(&mut self, received: Instant) {
        let news = match self.listed.take() {
            Some(object) => {
                self.world.config_maps.forget(&self.name);
                self.world.config_maps.offer(&self.name, &object)
            }
            None => self.world.config_maps.listed_absent(&self.name),
        };
        if news {
            self.wake(received);
        }
    }

    fn applied(&mut self, object: ConfigMap, received: Instant) {
        if self.world.config_maps.offer(&self.name, &object) {
            self.wake(received);
        }
    }

    fn deleted(&mut self, object: ConfigMap, received: Instant) {
        if self.world.config_maps.gone(&self.name, version(&object)) {
            self.wake(received);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(version: &str, content: &str) -> ConfigMap {
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

    #[test]
    fn an_event_older_than_our_own_apply_is_no_news() {
        let (maps, name) = (ConfigMaps::default(), ObjectName::new("n", "c"));
        assert!(maps.offer(&name, &object("9", "a")));
        assert!(maps.offer(&name, &object("11", "b")));
        assert!(!maps.offer(&name, &object("10", "stale")));
        assert!(!maps.gone(&name, 10));
        assert_eq!(maps.get(&name).unwrap().view.unwrap().data["toolset.json"], "b");
        assert!(maps.gone(&name, 12));
    }

    #[test]
    fn the_echo_of_our_own_apply_is_no_news() {
        let (maps, name) = (ConfigMaps::default(), ObjectName::new("n", "c"));
        maps.offer(&name, &object("9", "a"));
        assert!(!maps.offer(&name, &object("9", "a")));
        assert!(!maps.offer(&name, &object("10", "a")));
    }

    #[test]
    fn managers_of_our_keys_are_told_from_those_of_strangers_keys() {
        let object = object("1", "a");
        assert_eq!(view(&object).other_managers, ["kubectl-edit"]);
        assert_eq!(owned(&object), BTreeSet::from(["toolset.json".to_owned()]));
    }
}
