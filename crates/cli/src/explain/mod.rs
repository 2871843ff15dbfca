//! `explain`: explains why a Service is a tool or why it is not, and what the user can do.

mod advice;
mod case;
mod classification;
mod conclusion;
mod detectors;
mod instances;
mod pods;
mod selector;
mod service;
mod status;

use ::detectors::ServiceKey;
use crd_types::closest;

use case::Case;

use crate::{args::Explain, failure::Failure, outcome::Outcome, paint::Paint, snapshot::Snapshot, text::Text};

/// Explains one Service.
pub(crate) fn run(
    snapshot: &Snapshot,
    args: &Explain,
    namespace: Option<&str>,
    paint: Paint,
) -> Result<Outcome, Failure> {
    let mut notes = snapshot.notes.clone();
    let key = find(snapshot, args, namespace, &mut notes)?;
    let Some(service) = snapshot.index.service(&key) else {
        return Err(Failure::input(format!("error: Service {key} was not found")));
    };
    let cluster_domain = args.from.cluster_domain.as_str();
    let planned = snapshot.plan(cluster_domain);
    let classification = classification::classify(snapshot, &planned, service);
    let case = Case { snapshot, service, planned, classification, cluster_domain, paint };
    let sections = [
        conclusion::section(&case),
        advice::section(&case),
        service::service(&case),
        service::sources(&case),
        service::configuration(&case),
        pods::section(&case),
        detectors::section(&case),
        instances::section(&case),
        service::health(&case),
        status::section(&case),
    ];
    let mut written: Vec<Text> = Vec::new();
    for lines in sections.into_iter().filter(|lines| !lines.is_empty()) {
        if !written.is_empty() {
            written.push(Text::default());
        }
        written.extend(lines);
    }
    Ok(Outcome::shown(Text::joined(&written).ended(), notes))
}

/// Finds the Service that the user names as `NAME`, `NAMESPACE/NAME` or `svc/NAME`. If the user gives no namespace and
/// the default namespace does not have the Service, it is searched in all namespaces.
fn find(
    snapshot: &Snapshot,
    args: &Explain,
    namespace: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<ServiceKey, Failure> {
    let (namespace, name) = match args.service.split_once('/') {
        Some(("svc" | "service" | "services", name)) => (namespace, name),
        Some((namespace, name)) => (Some(namespace), name),
        None => (namespace, args.service.as_str()),
    };
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
        let siblings = snapshot.index.services_in(&key.namespace).map(|service| &service.view.key);
        closest(name, siblings.map(|other| &*other.name)).map(|meant| format!("; did you mean {meant}?"))
    } else {
        let places: Vec<&str> = elsewhere.iter().map(|other| &*other.namespace).collect();
        Some(format!("; a Service of this name exists in {}", places.join(", ")))
    };
    let here = if snapshot.live { "the cluster" } else { "the input" };
    let advice = advice.unwrap_or_default();
    Err(Failure::input(format!("error: Service {name} was not found in namespace {} of {here}{advice}", key.namespace)))
}
