//! Puts Services, EndpointSlices and Namespaces into the index. A change triggers only the ToolsetConfigs that it
//! concerns.

use std::sync::Arc;

use detectors::ServiceKey;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::time::Instant;
use toolset::{
    convert,
    index::{Change, Index, NamespaceList, ServiceList, SliceList, SliceView},
};

use crate::{
    api::thin::{ThinEndpoint, ThinNamespace, ThinService, ThinSlice},
    cluster::{state::Cluster, triggers::Triggers, watch::Feed},
    metrics::Metrics,
};

/// Feeds a watch of Services, of one namespace or of all, into the index.
pub(in crate::cluster) struct Services {
    cluster: Arc<Cluster>,
    triggers: Arc<Triggers>,
    metrics: Arc<Metrics>,
    namespace: Option<String>,
    /// The list in progress.
    list: Option<ServiceList>,
}

impl Services {
    pub(in crate::cluster) fn new(
        cluster: Arc<Cluster>,
        triggers: Arc<Triggers>,
        metrics: Arc<Metrics>,
        namespace: Option<String>,
    ) -> Self {
        Self { cluster, triggers, metrics, namespace, list: None }
    }

    fn changed(&self, change: &[Change], received: Instant) {
        for change in change {
            self.cluster.note_service(change);
        }
        self.cluster.trigger_limited(&self.triggers, change, received);
        self.count();
    }

    fn count(&self) {
        self.metrics.services_watched(self.cluster.index().services_len());
    }
}

impl Feed for Services {
    type Object = ThinService;

    fn begin(&mut self) {
        self.list = Some(self.cluster.index().list_services(self.namespace.as_deref()));
    }

    fn collect(&mut self, service: ThinService) {
        if let Some(list) = &mut self.list {
            let view = convert::service(&service.metadata, service.spec.as_ref());
            self.cluster.index_mut().collect_service(list, view);
        }
    }

    fn complete(&mut self, received: Instant) {
        let Some(list) = self.list.take() else { return };
        let changes = self.cluster.index_mut().finish_services(list);
        if !changes.is_empty() {
            self.cluster.note_all();
        }
        self.cluster.trigger(&self.triggers, &changes, received);
        self.count();
    }

    fn applied(&mut self, service: ThinService, received: Instant) {
        let view = convert::service(&service.metadata, service.spec.as_ref());
        let change = self.cluster.index_mut().apply_service(view);
        self.changed(change.as_slice(), received);
    }

    fn deleted(&mut self, service: ThinService, received: Instant) {
        let (namespace, name) = name(&service.metadata);
        let change = self.cluster.index_mut().delete_service(&ServiceKey::new(namespace, name));
        self.changed(change.as_slice(), received);
    }
}

/// Feeds a watch of EndpointSlices, of one namespace or of all, into the index.
pub(in crate::cluster) struct EndpointSlices {
    cluster: Arc<Cluster>,
    triggers: Arc<Triggers>,
    namespace: Option<String>,
    list: Option<SliceList>,
}

impl EndpointSlices {
    pub(in crate::cluster) fn new(cluster: Arc<Cluster>, triggers: Arc<Triggers>, namespace: Option<String>) -> Self {
        Self { cluster, triggers, namespace, list: None }
    }

    /// Nearly every change of a Service's Pods changes no readiness, so `service` is told as well.
    fn changed(&self, service: Option<&ServiceKey>, changes: &[Change], received: Instant) {
        if let Some(service) = service {
            self.cluster.note_slices(service);
        }
        for change in changes {
            if let Change::Readiness { key, .. } = change
                && Some(key) != service
            {
                self.cluster.note_slices(key);
            }
        }
        self.cluster.trigger_limited(&self.triggers, changes, received);
    }
}

fn service_of(slice: &SliceView) -> ServiceKey {
    ServiceKey::new(&*slice.namespace, &*slice.service)
}

fn slice_view(slice: &ThinSlice) -> Option<SliceView> {
    convert::slice(&slice.metadata, slice.endpoints.iter().flatten().map(ThinEndpoint::parts))
}

impl Feed for EndpointSlices {
    type Object = ThinSlice;

    fn begin(&mut self) {
        self.list = Some(self.cluster.index().list_slices(self.namespace.as_deref()));
    }

    fn collect(&mut self, slice: ThinSlice) {
        if let (Some(list), Some(view)) = (&mut self.list, slice_view(&slice)) {
            self.cluster.index_mut().collect_slice(list, view);
        }
    }

    fn complete(&mut self, received: Instant) {
        let Some(list) = self.list.take() else { return };
        let changes = self.cluster.index_mut().finish_slices(list);
        // A change of slices that does not change the readiness is not among the changes.
        self.cluster.note_all();
        self.cluster.trigger(&self.triggers, &changes, received);
    }

    fn applied(&mut self, slice: ThinSlice, received: Instant) {
        let view = slice_view(&slice);
        let service = view.as_ref().map(service_of);
        let changes = match view {
            Some(view) => self.cluster.index_mut().apply_slice(view),
            // It may have lost the label that names its Service.
            None => delete_slice(&mut self.cluster.index_mut(), &slice.metadata),
        };
        self.changed(service.as_ref(), &changes, received);
    }

    fn deleted(&mut self, slice: ThinSlice, received: Instant) {
        let service = slice_view(&slice).as_ref().map(service_of);
        let changes = delete_slice(&mut self.cluster.index_mut(), &slice.metadata);
        self.changed(service.as_ref(), &changes, received);
    }
}

fn delete_slice(index: &mut Index, metadata: &ObjectMeta) -> Vec<Change> {
    let (namespace, name) = name(metadata);
    index.delete_slice(namespace, name).into_iter().collect()
}

/// Feeds a watch of Namespaces, of all or of one by name, into the index.
pub(in crate::cluster) struct Namespaces {
    cluster: Arc<Cluster>,
    triggers: Arc<Triggers>,
    name: Option<String>,
    list: Option<NamespaceList>,
}

impl Namespaces {
    pub(in crate::cluster) fn new(cluster: Arc<Cluster>, triggers: Arc<Triggers>, name: Option<String>) -> Self {
        Self { cluster, triggers, name, list: None }
    }
}

impl Feed for Namespaces {
    type Object = ThinNamespace;

    fn begin(&mut self) {
        self.list = Some(self.cluster.index().list_namespaces(self.name.as_deref()));
    }

    fn collect(&mut self, namespace: ThinNamespace) {
        if let Some(list) = &mut self.list {
            self.cluster.index_mut().collect_namespace(list, convert::namespace(&namespace.metadata));
        }
    }

    fn complete(&mut self, received: Instant) {
        let Some(list) = self.list.take() else { return };
        let changes = self.cluster.index_mut().finish_namespaces(list);
        if !changes.is_empty() {
            self.cluster.note_all();
        }
        self.cluster.trigger(&self.triggers, &changes, received);
    }

    fn applied(&mut self, namespace: ThinNamespace, received: Instant) {
        let change = self.cluster.index_mut().apply_namespace(convert::namespace(&namespace.metadata));
        if change.is_some() {
            self.cluster.note_all();
        }
        self.cluster.trigger(&self.triggers, change.as_slice(), received);
    }

    fn deleted(&mut self, namespace: ThinNamespace, received: Instant) {
        let change = self.cluster.index_mut().delete_namespace(name(&namespace.metadata).1);
        if change.is_some() {
            self.cluster.note_all();
        }
        self.cluster.trigger(&self.triggers, change.as_slice(), received);
    }
}

/// Namespace and name of an object. The namespace of a Namespace is empty.
fn name(metadata: &ObjectMeta) -> (&str, &str) {
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}
