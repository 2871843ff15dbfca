//! Finds the Service that the user names.

use ::detectors::ServiceKey;
use crd_types::closest;

use crate::{failure::Failure, snapshot::Snapshot};

/// The namespace and the name of a Service as the user writes it: `NAME`, `NAMESPACE/NAME`, or as kubectl writes it
/// `svc/NAME`.
pub(crate) fn parse<'a>(service: &'a str, namespace: Option<&'a str>) -> (Option<&'a str>, &'a str) {
    match service.split_once('/') {
        Some(("svc" | "service" | "services", name)) => match name.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (namespace, name),
        },
        Some((namespace, name)) => (Some(namespace), name),
        None => (namespace, service),
    }
}

/// Finds the Service. If the user gives no namespace and the default namespace does not have the Service, it is searched
/// in all namespaces.
pub(super) fn find(
    snapshot: &Snapshot,
    service: &str,
    namespace: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<ServiceKey, Failure> {
    let (namespace, name) = parse(service, namespace);
    let key = ServiceKey::new(namespace.unwrap_or(&snapshot.default_namespace), name);
    if snapshot.index.service(&key).is_some() {
        return Ok(key);
    }
    let elsewhere: Vec<&ServiceKey> =
        snapshot.index.services().map(|service| &service.view.key).filter(|other| *other.name == *name).collect();
    if let (None, [only]) = (namespace, elsewhere.as_slice()) {
        notes.push(format!("Service {key} was not found; this is {only}"));
        return Ok((*only).clone());
    }
    let advice = if elsewhere.is_empty() {
        nearest(snapshot, &key, namespace.is_some()).map(|meant| format!("; did you mean {meant}?"))
    } else {
        let places: Vec<&str> = elsewhere.iter().map(|other| &*other.namespace).collect();
        Some(format!("; a Service of this name exists in {}", places.join(", ")))
    };
    let here = if snapshot.live { "the cluster" } else { "the input" };
    let advice = advice.unwrap_or_default();
    Err(Failure::input(format!("error: Service {name} was not found in namespace {} of {here}{advice}", key.namespace)))
}

/// The Service with the nearest name in the namespace, otherwise in any namespace. A namespace may be misspelt, too.
fn nearest(snapshot: &Snapshot, key: &ServiceKey, namespace_given: bool) -> Option<String> {
    let siblings = snapshot.index.services_in(&key.namespace).map(|service| &service.view.key);
    if let Some(meant) = closest(&key.name, siblings.map(|other| &*other.name)) {
        return Some(meant.to_owned());
    }
    let all: Vec<&ServiceKey> = snapshot.index.services().map(|service| &service.view.key).collect();
    if namespace_given {
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        return closest(&key.to_string(), names.iter().map(String::as_str)).map(ToOwned::to_owned);
    }
    let name = closest(&key.name, all.iter().map(|other| &*other.name))?;
    all.iter().find(|other| *other.name == *name).map(ToString::to_string)
}
