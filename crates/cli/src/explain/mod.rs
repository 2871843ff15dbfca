//! `explain`: why a Service is a tool, or why it is not, in words that somebody can act on.

mod advice;
mod detectors;
mod facts;
mod instances;
mod selector;
mod status;
mod verdict;

use ::detectors::ServiceKey;
use crd_types::closest;
use kube::ResourceExt;
use toolset::{Health, index::Recognised};

use crate::{
    args::Explain, failure::Failure, outcome::Outcome, paint::Paint, snapshot::Snapshot, table::Brush, text::wrap,
};

/// Everything that the sections of the explanation are written from.
struct Case<'a> {
    snapshot: &'a Snapshot,
    service: &'a Recognised,
    planned: crate::snapshot::Planned,
    verdict: verdict::Verdict,
    cluster_domain: &'a str,
    paint: Paint,
}

/// Explains one Service.
pub fn run(snapshot: &Snapshot, args: &Explain, paint: Paint) -> Result<Outcome, Failure> {
    let mut notes = snapshot.notes.clone();
    let key = find(snapshot, args, &mut notes)?;
    let Some(service) = snapshot.index.service(&key) else {
        return Err(Failure::input(format!("error: no Service {key}")));
    };
    let cluster_domain = args.from.cluster_domain.as_str();
    let planned = snapshot.plan(cluster_domain);
    let verdict = verdict::of(snapshot, &planned, service);
    let case = Case { snapshot, service, planned, verdict, cluster_domain, paint };
    let sections = [
        verdict::section(&case),
        advice::section(&case),
        facts::service(&case),
        facts::sources(&case),
        facts::statements(&case),
        detectors::section(&case),
        instances::section(&case),
        facts::health(&case),
        status::section(&case),
    ];
    let written: Vec<String> =
        sections.into_iter().filter(|lines| !lines.is_empty()).map(|lines| lines.join("\n")).collect();
    Ok(Outcome { output: written.join("\n\n") + "\n", notes })
}

/// The Service that the user means: `NAME`, `NAMESPACE/NAME` or `svc/NAME`. One that was named without a namespace and is not
/// in the usual one is looked for everywhere.
fn find(snapshot: &Snapshot, args: &Explain, notes: &mut Vec<String>) -> Result<ServiceKey, Failure> {
    let (namespace, name) = match args.service.split_once('/') {
        Some(("svc" | "service" | "services", name)) => (args.namespace.as_deref(), name),
        Some((namespace, name)) => (Some(namespace), name),
        None => (args.namespace.as_deref(), args.service.as_str()),
    };
    let key = ServiceKey::new(namespace.unwrap_or(&snapshot.default_namespace), name);
    if snapshot.index.service(&key).is_some() {
        return Ok(key);
    }
    let elsewhere: Vec<&ServiceKey> =
        snapshot.index.services().map(|service| &service.view.key).filter(|other| *other.name == *name).collect();
    if let (None, [only]) = (namespace, elsewhere.as_slice()) {
        notes.push(format!("there is no Service {key}; this is {only}"));
        return Ok((*only).clone());
    }
    let advice = if elsewhere.is_empty() {
        let siblings = snapshot.index.services_in(&key.namespace).map(|service| &service.view.key);
        closest(name, siblings.map(|other| &*other.name)).map(|meant| format!("; did you mean {meant}?"))
    } else {
        let places: Vec<&str> = elsewhere.iter().map(|other| &*other.namespace).collect();
        Some(format!("; there is one in {}", places.join(", ")))
    };
    let here = if snapshot.live { "the cluster" } else { "the input" };
    let advice = advice.unwrap_or_default();
    Err(Failure::input(format!("error: no Service {name} in namespace {} of {here}{advice}", key.namespace)))
}

/// The ToolsetConfig's name, as messages write it.
pub fn config_name(snapshot: &Snapshot) -> String {
    format!("{}/{}", snapshot.config.namespace().unwrap_or_default(), snapshot.config.name_any())
}

/// The colour of a state of health.
pub fn health_brush(health: Health) -> Brush {
    match health {
        Health::Healthy => Paint::good,
        Health::Unhealthy => Paint::bad,
        Health::Unknown => Paint::dim,
    }
}

impl Case<'_> {
    fn key(&self) -> &ServiceKey {
        &self.service.view.key
    }

    fn heading(&self, text: &str) -> String {
        self.paint.bold(text)
    }
}

/// `label` and text side by side; long text goes on below itself.
fn entry(label: &str, text: impl AsRef<str>) -> String {
    wrap(&format!("  {label:<12} "), text.as_ref()).join("\n")
}
