//! From API objects to the views; the objects are dropped at once.
//!
//! A typed Service costs 11.3 KB in a store, a view less than half a KB.

use detectors::{PortView, Protocol, ServiceKey, ServiceType, ServiceView, StringMap, TargetPort};
use k8s_openapi::{
    api::{
        core::v1::{ServicePort, ServiceSpec},
        discovery::v1::EndpointConditions,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use crate::{
    index::{NamespaceView, SliceView},
    select::annotation,
};

/// The label by which a slice names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label by which a slice names its maker.
const SLICE_MANAGER: &str = "endpointslice.kubernetes.io/managed-by";
/// The maker that follows a Service's selector. Slices mirrored from hand-made Endpoints have another one.
const SLICE_CONTROLLER: &str = "endpointslice-controller.k8s.io";
/// Annotations that tools keep their own books in, on nearly every object; no rule and no signature reads them.
const BOOKKEEPING: [&str; 3] =
    ["kubectl.kubernetes.io/last-applied-configuration", "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"];

/// The view of a Service, from its metadata and spec. Ports with a number outside 1..=65535 are left out; the API server
/// refuses them anyway.
pub fn service(metadata: &ObjectMeta, spec: Option<&ServiceSpec>) -> ServiceView {
    let selector = spec.and_then(|s| s.selector.as_ref());
    let ports = spec.and_then(|s| s.ports.as_deref()).unwrap_or_default();
    ServiceView {
        key: ServiceKey::new(
            metadata.namespace.as_deref().unwrap_or_default(),
            metadata.name.as_deref().unwrap_or_default(),
        ),
        labels: labels(metadata),
        annotations: annotations(metadata),
        selector: selector.map(|map| map.iter().collect()).unwrap_or_default(),
        ports: ports.iter().filter_map(port).collect(),
        service_type: match spec.and_then(|s| s.type_.as_deref()) {
            Some("NodePort") => ServiceType::NodePort,
            Some("LoadBalancer") => ServiceType::LoadBalancer,
            Some("ExternalName") => ServiceType::ExternalName,
            _ => ServiceType::ClusterIP,
        },
        headless: spec.and_then(|s| s.cluster_ip.as_deref()) == Some("None"),
        external_ips: spec.and_then(|s| s.external_ips.as_ref()).is_some_and(|ips| !ips.is_empty()),
        created: metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
    }
}

/// The view of an EndpointSlice, from its metadata and the conditions of its endpoints; `None` for one that names no Service.
pub fn slice<'a>(
    metadata: &ObjectMeta,
    endpoints: impl IntoIterator<Item = Option<&'a EndpointConditions>>,
) -> Option<SliceView> {
    let labels = metadata.labels.as_ref()?;
    let service = labels.get(SERVICE_NAME).filter(|name| !name.is_empty())?;
    Some(SliceView {
        namespace: metadata.namespace.as_deref().unwrap_or_default().into(),
        name: metadata.name.as_deref().unwrap_or_default().into(),
        service: service.as_str().into(),
        serving: endpoints.into_iter().any(is_serving),
        managed: labels.get(SLICE_MANAGER).is_some_and(|manager| manager == SLICE_CONTROLLER),
    })
}

/// The view of a Namespace, from its metadata.
pub fn namespace(metadata: &ObjectMeta) -> NamespaceView {
    NamespaceView { name: metadata.name.as_deref().unwrap_or_default().into(), labels: labels(metadata) }
}

/// Serving and not terminating. A nil condition reads as the API documents it: `serving` falls back to `ready`, `ready` to
/// true, `terminating` to false.
fn is_serving(conditions: Option<&EndpointConditions>) -> bool {
    let Some(conditions) = conditions else { return true };
    let serving = conditions.serving.or(conditions.ready).unwrap_or(true);
    serving && !conditions.terminating.unwrap_or(false)
}

fn labels(metadata: &ObjectMeta) -> StringMap {
    metadata.labels.as_ref().map(|map| map.iter().collect()).unwrap_or_default()
}

fn annotations(metadata: &ObjectMeta) -> StringMap {
    let Some(map) = &metadata.annotations else { return StringMap::default() };
    map.iter()
        .filter(|(key, _)| !BOOKKEEPING.contains(&key.as_str()))
        .filter_map(|(key, value)| keep(key, value))
        .collect()
}

/// Long values cost memory and can match nothing; one of ours is cut just past the limit, so that it is refused and said
/// rather than overlooked.
fn keep<'a>(key: &'a str, value: &'a str) -> Option<(&'a str, &'a str)> {
    match value.char_indices().nth(annotation::MAX_CHARS + 1) {
        None if value.chars().count() <= annotation::MAX_CHARS => Some((key, value)),
        None => annotation::is_ours(key).then_some((key, value)),
        Some((end, _)) => annotation::is_ours(key).then_some((key, &value[..end])),
    }
}

fn port(port: &ServicePort) -> Option<PortView> {
    let number = u16::try_from(port.port).ok().filter(|number| *number > 0)?;
    Some(PortView {
        name: port.name.as_deref().filter(|name| !name.is_empty()).map(Into::into),
        port: number,
        target: port.target_port.as_ref().and_then(target),
        protocol: match port.protocol.as_deref() {
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => Protocol::Sctp,
            _ => Protocol::Tcp,
        },
        app_protocol: port.app_protocol.as_deref().map(Into::into),
    })
}

fn target(target: &IntOrString) -> Option<TargetPort> {
    match target {
        // 0 is how old clients write "the same as port".
        IntOrString::Int(number) => u16::try_from(*number).ok().filter(|n| *n > 0).map(TargetPort::Number),
        IntOrString::String(name) => Some(match name.parse() {
            Ok(number) => TargetPort::Number(number),
            Err(_) => TargetPort::Name(name.as_str().into()),
        }),
    }
}
