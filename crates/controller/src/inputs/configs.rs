//! ToolsetConfigs, of one namespace or of all. A malformed one never spoils the list of the others.

use std::{collections::BTreeSet, sync::Arc};

use crd_types::ToolsetConfig;
use kube::{Resource, ResourceExt, core::DeserializeGuard};
use tokio::time::Instant;
use tracing::{info, warn};

use super::sink::Sink;
use crate::{
    configs::{News, Unreadable},
    object::ObjectName,
    world::World,
};

/// The sink for ToolsetConfigs.
pub struct ToolsetConfigs {
    world: Arc<World>,
    known: BTreeSet<ObjectName>,
    list: Vec<DeserializeGuard<ToolsetConfig>>,
}

impl ToolsetConfigs {
    /// A sink for one watch.
    pub fn new(world: Arc<World>) -> Self {
        Self { world, known: BTreeSet::new(), list: Vec::new() }
    }

    fn apply(&mut self, object: DeserializeGuard<ToolsetConfig>, received: Instant) {
        let name = ObjectName::of(&object);
        self.known.insert(name.clone());
        match object.0 {
            Ok(config) => {
                self.world.wakes.enlist(&name);
                let leaving = config.meta().deletion_timestamp.is_some();
                let applied = self.world.configs.apply(config);
                match applied.news {
                    News::Nothing => return,
                    News::Arrived => info!(namespace = %name.namespace, name = %name.name, "ToolsetConfig found"),
                    News::Changed => {}
                }
                self.world.wakes.put_back(&name, Some(received));
                // Another one may have waited for this one's ConfigMap, or has to make way.
                if !applied.told || leaving || applied.news == News::Arrived {
                    self.world.wakes.all(None);
                }
            }
            Err(invalid) => {
                let (namespace, error) = (&name.namespace, &invalid.error);
                warn!(%namespace, name = %name.name, %error, "ToolsetConfig cannot be read; its output stays as it is");
                self.world.wakes.dismiss(&name);
                self.world.metrics.forget_plan(&name);
                let uid = invalid.metadata.uid.unwrap_or_default();
                let unreadable = Unreadable { uid, generation: invalid.metadata.generation, error: invalid.error };
                self.world.configs.apply_unreadable(&name, unreadable);
            }
        }
        self.world.needs.notify_one();
    }

    fn delete(&mut self, name: &ObjectName) {
        self.known.remove(name);
        self.world.wakes.dismiss(name);
        self.world.metrics.forget_plan(name);
        if self.world.configs.delete(name) {
            info!(namespace = %name.namespace, name = %name.name, "ToolsetConfig gone");
            self.world.wakes.all(None);
        }
        self.world.needs.notify_one();
    }
}

impl Sink for ToolsetConfigs {
    type Object = DeserializeGuard<ToolsetConfig>;

    fn begin(&mut self) {
        self.list = Vec::new();
    }

    fn collect(&mut self, object: Self::Object) {
        self.list.push(object);
    }

    fn complete(&mut self, received: Instant) {
        let list = std::mem::take(&mut self.list);
        let listed: BTreeSet<_> = list.iter().map(ObjectName::of).collect();
        for gone in self.known.difference(&listed).cloned().collect::<Vec<_>>() {
            self.delete(&gone);
        }
        for object in list {
            self.apply(object, received);
        }
        self.world.wakes.all(None);
    }

    fn applied(&mut self, object: Self::Object, received: Instant) {
        self.apply(object, received);
    }

    fn deleted(&mut self, object: Self::Object, _: Instant) {
        let name = ObjectName::new(&object.namespace().unwrap_or_default(), &object.name_any());
        self.delete(&name);
    }
}
