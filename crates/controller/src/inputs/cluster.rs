//! Services, EndpointSlices and Namespaces: into the index, and nobody is woken by what cannot matter.

use std::sync::Arc;

use detectors::{ServiceKey, ServiceView};
use k8s_openapi::api::{
    core::v1::{Namespace, Service},
    discovery::v1::EndpointSlice,
};
use kube::ResourceExt;
use tokio::time::Instant;
use toolset::{
    convert,
    index::{NamespaceView, SliceView},
};

use super::sink::Sink;
use crate::world::World;

/// Services, of one namespace or of all.
pub struct Services {
    world: Arc<World>,
    namespace: Option<String>,
    list: Vec<ServiceView>,
}

impl Services {
    /// A sink for the watch of `namespace`.
    pub fn new(world: Arc<World>, namespace: Option<String>) -> Self {
        Self { world, namespace, list: Vec::new() }
    }

    fn count(&self) {
        self.world.metrics.services_watched(self.world.index().services_len());
    }
}

impl Sink for Services {
    type Object = Service;

    fn begin(&mut self) {
        self.list = Vec::new();
    }

    fn collect(&mut self, service: Service) {
        self.list.push(convert::service(&service));
    }

    fn complete(&mut self, received: Instant) {
        let list = std::mem::take(&mut self.list);
        match &self.namespace {
            None => self.world.index().replace_services(list),
            Some(namespace) => self.world.index().replace_services_in(namespace, list),
        }
        self.count();
        self.world.wakes.all(Some(received));
    }

    fn applied(&mut self, service: Service, received: Instant) {
        let change = self.world.index().apply_service(convert::service(&service));
        self.count();
        self.world.changed(change, received);
    }

    fn deleted(&mut self, service: Service, received: Instant) {
        let key = ServiceKey::new(service.namespace().unwrap_or_default(), service.name_any());
        let change = self.world.index().delete_service(&key);
        self.count();
        self.world.changed(change, received);
    }
}

/// EndpointSlices, of one namespace or of all.
pub struct EndpointSlices {
    world: Arc<World>,
    namespace: Option<String>,
    list: Vec<SliceView>,
}

impl EndpointSlices {
    /// A sink for the watch of `namespace`.
    pub fn new(world: Arc<World>, namespace: Option<String>) -> Self {
        Self { world, namespace, list: Vec::new() }
    }
}

impl Sink for EndpointSlices {
    type Object = EndpointSlice;

    fn begin(&mut self) {
        self.list = Vec::new();
    }

    fn collect(&mut self, slice: EndpointSlice) {
        self.list.extend(convert::slice(&slice));
    }

    fn complete(&mut self, received: Instant) {
        let list = std::mem::take(&mut self.list);
        match &self.namespace {
            None => self.world.index().replace_slices(list),
            Some(namespace) => self.world.index().replace_slices_in(namespace, list),
        }
        self.world.wakes.all(Some(received));
    }

    fn applied(&mut self, slice: EndpointSlice, received: Instant) {
        let change = match convert::slice(&slice) {
            Some(view) => self.world.index().apply_slice(view),
            // It may have lost the label that named its Service.
            None => self.world.index().delete_slice(&slice.namespace().unwrap_or_default(), &slice.name_any()),
        };
        self.world.changed(change, received);
    }

    fn deleted(&mut self, slice: EndpointSlice, received: Instant) {
        let change = self.world.index().delete_slice(&slice.namespace().unwrap_or_default(), &slice.name_any());
        self.world.changed(change, received);
    }
}

/// Namespaces: all, or one by name.
pub struct Namespaces {
    world: Arc<World>,
    name: Option<String>,
    list: Vec<NamespaceView>,
}

impl Namespaces {
    /// A sink for the watch of the namespace `name`, or of all.
    pub fn new(world: Arc<World>, name: Option<String>) -> Self {
        Self { world, name, list: Vec::new() }
    }
}

impl Sink for Namespaces {
    type Object = Namespace;

    fn begin(&mut self) {
        self.list = Vec::new();
    }

    fn collect(&mut self, namespace: Namespace) {
        self.list.push(convert::namespace(&namespace));
    }

    fn complete(&mut self, received: Instant) {
        let list = std::mem::take(&mut self.list);
        match &self.name {
            None => self.world.index().replace_namespaces(list),
            Some(name) if list.is_empty() => {
                self.world.index().delete_namespace(name);
            }
            Some(_) => list.into_iter().for_each(|view| {
                self.world.index().apply_namespace(view);
            }),
        }
        self.world.wakes.all(Some(received));
    }

    fn applied(&mut self, namespace: Namespace, received: Instant) {
        let change = self.world.index().apply_namespace(convert::namespace(&namespace));
        self.world.changed(change, received);
    }

    fn deleted(&mut self, namespace: Namespace, received: Instant) {
        let change = self.world.index().delete_namespace(&namespace.name_any());
        self.world.changed(change, received);
    }
}
