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
pub(crate) mod find;
mod instances;
pub(crate) mod model;
mod pods;
mod probes;
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
    outcome::{Outcome, Output},
    paint::Paint,
    print,
    snapshot::{Objects, Planned, Snapshot},
    text::Text,
};

/// Explains one Service for every ToolsetConfig that selects it. `namespace` is the one of `-n`.
pub(crate) fn run(
    objects: &mut Objects,
    args: &Explain,
    namespace: Option<&str>,
    paint: Paint,
) -> Result<Outcome, Failure> {
    let mut notes = objects.snapshot.notes.clone();
    let key = find::find(&objects.snapshot, &args.service, namespace, &mut notes)?;
    let cluster_domain = args.from.cluster_domain.as_str();
    let explanations =
        objects.each(|snapshot| explanation(snapshot, &snapshot.plan(cluster_domain), &key, cluster_domain));
    let mut explanations: Vec<Explanation> = explanations.into_iter().flatten().collect();
    let all = explanations.len();
    if explanations.iter().any(|one| one.conclusion.result != model::Result::NotSelected) {
        explanations.retain(|one| one.conclusion.result != model::Result::NotSelected);
    }
    notes.extend(note(all, &explanations));
    let output = if let Some(format) = args.output {
        print::models(explanations, format)?
    } else {
        let texts: Vec<Text> = explanations.iter().map(|one| terminal::text(one, paint)).collect();
        Output::Shown(Text::paragraphs(&texts).ended())
    };
    Ok(Outcome::new(output, notes))
}

/// Which of several ToolsetConfigs are explained.
fn note(all: usize, explanations: &[Explanation]) -> Option<String> {
    if all < 2 {
        return None;
    }
    let names: Vec<&str> = explanations.iter().filter_map(|one| one.sources.config.as_deref()).collect();
    let selects = explanations.iter().any(|one| one.conclusion.result != model::Result::NotSelected);
    Some(match (selects, names.as_slice()) {
        (true, [only]) => format!("of {all} ToolsetConfigs, only {only} selects this Service"),
        (true, names) => format!("{} of {all} ToolsetConfigs select this Service: {}", names.len(), names.join(", ")),
        (false, _) => format!("none of {all} ToolsetConfigs selects this Service"),
    })
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
        probes: probes::probes(&case),
        status: status::status(&case),
    })
}
