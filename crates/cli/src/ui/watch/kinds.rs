//! How the objects of each kind get into what is known.

use std::collections::BTreeMap;

use crd_types::ToolsetConfig;
use k8s_openapi::api::{
    core::v1::{Namespace, Service},
    discovery::v1::EndpointSlice,
};
use kube::ResourceExt as _;
use toolset::{
    convert,
    index::{NamespaceList, ServiceList, SliceList},
};

use crate::{
    live,
    ui::known::{Known, NAMESPACES, SlicePods},
};

/// A kind of object. A list replaces what is known of its kind when it is complete.
pub(super) trait Kind {
    type Object;
    /// The name for people.
    const NAME: &'static str;

    /// A list begins. Nothing else of its kind is known when it ends, also if it is of one namespace.
    fn begin(&mut self, known: &mut Known);
    fn collect(&mut self, known: &mut Known, object: Self::Object);
    fn finish(&mut self, known: &mut Known);
    /// Returns whether something changed, as do the next ones.
    fn apply(&mut self, known: &mut Known, object: Self::Object) -> bool;
    fn delete(&mut self, known: &mut Known, object: &Self::Object) -> bool;
    /// The objects cannot be read now.
    fn unreadable(&mut self, _: &mut Known) {}
}

/// Services.
#[derive(Default)]
pub(super) struct Services(Option<ServiceList>);

impl Kind for Services {
    type Object = Service;
    const NAME: &'static str = "Services";

    fn begin(&mut self, known: &mut Known) {
        self.0 = Some(known.snapshot.index.list_services(None));
    }

    fn collect(&mut self, known: &mut Known, object: Service) {
        if let Some(list) = &mut self.0 {
            let view = convert::service(&object.metadata, object.spec.as_ref());
            known.snapshot.index.collect_service(list, view);
        }
    }

    fn finish(&mut self, known: &mut Known) {
        if let Some(list) = self.0.take() {
            known.snapshot.index.finish_services(list);
        }
    }

    fn apply(&mut self, known: &mut Known, object: Service) -> bool {
        let view = convert::service(&object.metadata, object.spec.as_ref());
        known.snapshot.index.apply_service(view).is_some()
    }

    fn delete(&mut self, known: &mut Known, object: &Service) -> bool {
        let key = convert::service(&object.metadata, None).key;
        known.snapshot.index.delete_service(&key).is_some()
    }
}

/// EndpointSlices.
#[derive(Default)]
pub(super) struct Slices {
    list: Option<SliceList>,
    pods: BTreeMap<(String, String), SlicePods>,
}

impl Kind for Slices {
    type Object = EndpointSlice;
    const NAME: &'static str = "EndpointSlices";

    fn begin(&mut self, known: &mut Known) {
        self.list = Some(known.snapshot.index.list_slices(None));
        self.pods.clear();
    }

    fn collect(&mut self, known: &mut Known, object: EndpointSlice) {
        let Some(list) = &mut self.list else { return };
        if let Some(view) = convert::slice(&object.metadata, object.endpoints.iter().map(Into::into)) {
            self.pods.insert(name(&object), SlicePods { pods: live::pods_of(&object, &view), view: view.clone() });
            known.snapshot.index.collect_slice(list, view);
        }
    }

    fn finish(&mut self, known: &mut Known) {
        if let Some(list) = self.list.take() {
            known.snapshot.index.finish_slices(list);
            known.slices = std::mem::take(&mut self.pods);
            known.snapshot.slices_known = true;
        }
    }

    fn apply(&mut self, known: &mut Known, object: EndpointSlice) -> bool {
        match convert::slice(&object.metadata, object.endpoints.iter().map(Into::into)) {
            Some(view) => {
                let pods = live::pods_of(&object, &view);
                let before = known.slices.insert(name(&object), SlicePods { pods: pods.clone(), view: view.clone() });
                let same_pods = before.is_some_and(|before| before.pods == pods);
                !known.snapshot.index.apply_slice(view).is_empty() || !same_pods
            }
            None => self.delete(known, &object),
        }
    }

    fn delete(&mut self, known: &mut Known, object: &EndpointSlice) -> bool {
        let (namespace, name) = name(object);
        let changed = known.snapshot.index.delete_slice(&namespace, &name).is_some();
        known.slices.remove(&(namespace, name)).is_some() || changed
    }

    fn unreadable(&mut self, known: &mut Known) {
        // A list that was complete once stays as the last known state.
        if known.slices.is_empty() {
            known.snapshot.slices_known = false;
        }
    }
}

/// Namespaces.
#[derive(Default)]
pub(super) struct Namespaces(Option<NamespaceList>);

impl Namespaces {
    /// Ends the list. Returns whether something changed.
    pub(super) fn finish_changes(&mut self, known: &mut Known) -> bool {
        self.0.take().is_some_and(|list| !known.snapshot.index.finish_namespaces(list).is_empty())
    }
}

impl Kind for Namespaces {
    type Object = Namespace;
    const NAME: &'static str = NAMESPACES;

    fn begin(&mut self, known: &mut Known) {
        self.0 = Some(known.snapshot.index.list_namespaces(None));
    }

    fn collect(&mut self, known: &mut Known, object: Namespace) {
        if let Some(list) = &mut self.0 {
            known.snapshot.index.collect_namespace(list, convert::namespace(&object.metadata));
        }
    }

    fn finish(&mut self, known: &mut Known) {
        self.finish_changes(known);
    }

    fn apply(&mut self, known: &mut Known, object: Namespace) -> bool {
        known.snapshot.index.apply_namespace(convert::namespace(&object.metadata)).is_some()
    }

    fn delete(&mut self, known: &mut Known, object: &Namespace) -> bool {
        known.snapshot.index.delete_namespace(&object.name_any()).is_some()
    }
}

/// ToolsetConfigs.
#[derive(Default)]
pub(super) struct Configs(BTreeMap<String, ToolsetConfig>);

impl Kind for Configs {
    type Object = ToolsetConfig;
    const NAME: &'static str = "ToolsetConfigs";

    fn begin(&mut self, _: &mut Known) {
        self.0.clear();
    }

    fn collect(&mut self, _: &mut Known, object: ToolsetConfig) {
        self.0.insert(full_name(&object), object);
    }

    fn finish(&mut self, known: &mut Known) {
        known.configs = std::mem::take(&mut self.0);
    }

    fn apply(&mut self, known: &mut Known, object: ToolsetConfig) -> bool {
        known.configs.insert(full_name(&object), object);
        true
    }

    fn delete(&mut self, known: &mut Known, object: &ToolsetConfig) -> bool {
        known.configs.remove(&full_name(object)).is_some()
    }
}

fn name(slice: &EndpointSlice) -> (String, String) {
    (slice.namespace().unwrap_or_default(), slice.name_any())
}

fn full_name(config: &ToolsetConfig) -> String {
    format!("{}/{}", config.namespace().unwrap_or_default(), config.name_any())
}
