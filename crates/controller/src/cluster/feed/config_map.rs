//! One ConfigMap: an output or a base file.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    api::{
        NamespacedName,
        thin::{ThinConfigMap, version},
    },
    cluster::{state::Cluster, triggers::Triggers, watch::Feed},
};

/// Feeds the watch of one ConfigMap into the cluster's state.
pub(in crate::cluster) struct OneConfigMap {
    pub(in crate::cluster) cluster: Arc<Cluster>,
    pub(in crate::cluster) triggers: Arc<Triggers>,
    pub(in crate::cluster) name: NamespacedName,
    pub(in crate::cluster) listed: Option<ThinConfigMap>,
    /// The version that was known when the list began.
    pub(in crate::cluster) seen: u64,
    /// The uid of the object that the watch last showed.
    pub(in crate::cluster) uid: Option<String>,
}

impl OneConfigMap {
    fn trigger_on(&self, news: bool, received: Instant) {
        if news {
            self.cluster.trigger_users_of(&self.triggers, &self.name, Some(received));
        }
    }

    /// What the operator writes for one ToolsetConfig is no news for it. Others may name the ConfigMap as their base, and
    /// have to report what it is.
    fn trigger_readers_if_new(&mut self, object: &ThinConfigMap, received: Instant) {
        if self.uid != object.metadata.uid {
            self.uid.clone_from(&object.metadata.uid);
            self.cluster.trigger_readers_of(&self.triggers, &self.name, received);
        }
    }
}

impl Feed for OneConfigMap {
    type Object = ThinConfigMap;

    fn begin(&mut self) {
        self.listed = None;
        self.seen = self.cluster.config_maps.get(&self.name).map_or(0, |state| state.version());
    }

    fn collect(&mut self, object: ThinConfigMap) {
        self.listed = Some(object);
    }

    fn complete(&mut self, received: Instant) {
        let listed = self.listed.take();
        let version = version(listed.as_ref().and_then(|object| object.metadata.resource_version.as_deref()));
        self.cluster.restores.compare("ConfigMap", self.seen, version);
        self.trigger_on(self.cluster.config_maps.listed(&self.name, listed.as_ref()), received);
        self.uid = listed.and_then(|object| object.metadata.uid);
        self.cluster.trigger_beside(&self.triggers, &self.name);
    }

    fn applied(&mut self, object: ThinConfigMap, received: Instant) {
        self.trigger_readers_if_new(&object, received);
        self.trigger_on(self.cluster.config_maps.applied(&self.name, &object), received);
        self.cluster.trigger_beside(&self.triggers, &self.name);
    }

    fn deleted(&mut self, object: ThinConfigMap, received: Instant) {
        self.trigger_on(self.cluster.config_maps.deleted(&self.name, &object), received);
        self.cluster.trigger_beside(&self.triggers, &self.name);
    }

    fn restored(&mut self) {
        self.cluster.config_maps.restored(&self.name);
    }
}
