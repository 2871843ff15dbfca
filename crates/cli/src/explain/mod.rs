//! `explain`: explains why a Service is a tool or why it is not, and what the user can do.
//!
//! ```text
//! Snapshot, Planned ──► explanation() ──► Explanation ──► terminal, JSON, YAML, the page
//! ```

mod advice;
mod case;
mod classification;
mod conclusion;
mod detectors;
mod find;
mod instances;
pub(crate) mod model;
mod pods;
mod selector;
mod service;
mod status;
mod terminal;

use ::detectors::ServiceKey;

use self::{case::Case, model::Explanation};
#[cfg(feature = "ui")]
pub(crate) use self::{
    classification::{Classification, without_plan},
    conclusion::why_outside,
};
use crate::{
    args::Explain,
    failure::Failure,
    outcome::Outcome,
    paint::Paint,
    print,
    snapshot::{Planned, Snapshot},
};

/// Explains one Service. `namespace` is the one of `-n`.
pub(crate) fn run(
    snapshot: &Snapshot,
    args: &Explain,
    namespace: Option<&str>,
    paint: Paint,
) -> Result<Outcome, Failure> {
    let mut notes = snapshot.notes.clone();
    let key = find::find(snapshot, &args.service, namespace, &mut notes)?;
    let cluster_domain = args.from.cluster_domain.as_str();
    let planned = snapshot.plan(cluster_domain);
    let Some(explanation) = explanation(snapshot, &planned, &key, cluster_domain) else {
        return Err(Failure::input(format!("error: Service {key} was not found")));
    };
    let output = match args.output {
        Some(format) => print::model(&explanation, format)?,
        None => Outcome::shown(terminal::text(&explanation, paint), Vec::new()).output,
    };
    Ok(Outcome { output, notes })
}

/// Explains a Service. `None` if the snapshot does not have it.
pub(crate) fn explanation(
    snapshot: &Snapshot,
    planned: &Planned,
    key: &ServiceKey,
    cluster_domain: &str,
) -> Option<Explanation> {
    let service = snapshot.index.service(key)?;
    let classification = classification::classify(snapshot, planned, service);
    let case = Case { snapshot, service, planned, classification, cluster_domain };
    Some(Explanation {
        namespace: key.namespace.to_string(),
        service: key.name.to_string(),
        conclusion: conclusion::conclusion(&case),
        changes: advice::changes(&case),
        spec: service::spec(&case),
        sources: service::sources(&case),
        annotations: service::annotations(&case),
        malformed: service::malformed(&case),
        signatures: service::signatures(&case),
        overrides: service::overrides(&case),
        pods: pods::pods(&case),
        detectors: detectors::detectors(&case),
        candidates: instances::candidates(&case),
        health: service::health(&case),
        status: status::status(&case),
    })
}
