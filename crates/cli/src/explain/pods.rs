//! The Pods behind the Service: which were read, what they show and what that changed.

use crd_types::ServiceReason;
use detectors::{Assumed, Auth, Confidence, ServiceType};
use toolset::{
    assumptions::AMBIGUOUS,
    pods::Pods,
    select::{
        claim::{Claim, ClaimOutcome},
        evidence::is_open,
    },
};

use super::{
    case::Case,
    classification::Classification,
    model::{self, Problem},
};
use crate::pods::{Origin, claim, pods_count};

pub(super) fn pods(case: &Case<'_>) -> Option<model::Pods> {
    let config = &case.snapshot.config;
    let before = claim(config, case.service, Pods::Ignored)?;
    if !is_open(&before) || !can_have_pods(case) {
        return None;
    }
    if !pods_count(config, &case.snapshot.index, case.service) {
        return Some(model::Pods { message: Some(why_ignored(case).to_owned()), ..model::Pods::default() });
    }
    let not_read = case.snapshot.pods.unreadable(case.key()).map(ToOwned::to_owned);
    let Some(evidence) = case.service.pods() else {
        return Some(model::Pods { message: Some(why_unknown(case, &before)), not_read, ..model::Pods::default() });
    };
    let mut shown = model::Pods {
        read: case.snapshot.pods.read_for(case.key()).iter().map(in_words).collect(),
        unknown_programs: evidence.facts.unknown_programs().collect(),
        not_read,
        ..model::Pods::default()
    };
    if let Some(after) = claim(config, case.service, Pods::Count) {
        shown.result = Some(result(&after));
        shown.decided_by = Some(after.decided_by.to_string()).filter(|by| !by.is_empty());
        shown.changed = changes(&before, &after);
    } else {
        let type_name = type_name(&before);
        shown.result = Some(if evidence.ambiguous {
            format!("no endpoint of {type_name}, because it selects different kinds of Pods")
        } else {
            format!("not {type_name}, although the Service looks like it")
        });
    }
    shown.problem = evidence.ambiguous.then(|| Problem {
        reason: ServiceReason::AmbiguousPods.to_string(),
        message: format!(
            "{AMBIGUOUS}; let it select the Pods of one controller, or set the differing values with annotations"
        ),
    });
    Some(shown)
}

/// Whether the Service can be a candidate, and selects Pods.
fn can_have_pods(case: &Case<'_>) -> bool {
    let view = &case.service.view;
    let refused = match &case.classification {
        Classification::Outside(_) => true,
        Classification::Rejected(rejection) => rejection.reason == ServiceReason::OptedOut,
        Classification::Tool(_) | Classification::Unrecognised => false,
    };
    !refused && !view.selector.is_empty() && view.service_type != ServiceType::ExternalName
}

fn why_ignored(case: &Case<'_>) -> &'static str {
    match case.snapshot.config.spec.evidence.pods {
        crd_types::State::Disabled => "The Pods are not used, because spec.evidence.pods is Disabled.",
        crd_types::State::Enabled => {
            "The Pods are not used, because the source is Tenant, and a tenant also controls its Pods."
        }
    }
}

/// Why nothing is known of the Pods, and what they could settle.
fn why_unknown(case: &Case<'_>, claim: &Claim) -> String {
    let open = open_parts(claim);
    match (case.snapshot.live, case.snapshot.pods.unreadable(case.key())) {
        (true, Some(_)) if !case.snapshot.pods.is_forbidden(case.key()) => {
            format!("Some Pods could not be read. They could show {open}.")
        }
        (true, Some(_)) => {
            format!(
                "With the permission to get Pods in namespace {}, the Pods could show {open}.",
                case.key().namespace
            )
        }
        (true, None) if !case.snapshot.slices_known => {
            format!("The Pods are not known, because EndpointSlices cannot be read. They could show {open}.")
        }
        (true, None) => format!("No Pod was found behind the Service. A Pod could show {open}."),
        (false, _) => format!(
            "The input has no Pod and no Pod template that the Service selects. Pass one, for example with -f deployment.yaml; it could show {open}."
        ),
    }
}

/// What is open, as a list in words.
fn open_parts(claim: &Claim) -> String {
    let Assumed { scheme, path, auth } = claim.assumed;
    let (is_target, other) = match &claim.outcome {
        ClaimOutcome::Target(_) => (true, ""),
        ClaimOutcome::Rejected { reason: ServiceReason::NotAnEndpoint, .. } => (false, "the endpoint role"),
        ClaimOutcome::Rejected { .. } => (false, "the port"),
    };
    let parts: Vec<&str> = [
        (claim.confidence < Confidence::High, "the product"),
        (!is_target, other),
        (is_target && scheme, "the scheme"),
        (is_target && path, "the path"),
        (is_target && auth, "the authentication"),
    ]
    .into_iter()
    .filter_map(|(open, part)| open.then_some(part))
    .collect();
    list(&parts).unwrap_or_else(|| "nothing".to_owned())
}

/// For example `Deployment grafana (Pod template, 1 replica)`.
fn in_words(origin: &Origin) -> String {
    let Origin { object, is_template, serving } = origin;
    match (is_template, serving) {
        (true, 1) => format!("{object} (Pod template, 1 replica)"),
        (true, _) => format!("{object} (Pod template, {serving} replicas)"),
        (false, 1) => format!("{object} (1 Pod serves)"),
        (false, _) => format!("{object} ({serving} Pods serve)"),
    }
}

/// What the Service is, with what its Pods show.
fn result(claim: &Claim) -> String {
    let product = type_name(claim);
    match &claim.outcome {
        ClaimOutcome::Target(target) => {
            let known = |assumed: bool| if assumed { "assumed" } else { "proven" };
            format!(
                "{product} on port {}, scheme {} ({}), path {} ({}), {} ({})",
                target.port,
                target.scheme,
                known(claim.assumed.scheme),
                shown_path(&target.path),
                known(claim.assumed.path),
                authentication(claim.auth),
                known(claim.assumed.auth)
            )
        }
        ClaimOutcome::Rejected { reason, .. } => format!("{product}, {reason}"),
    }
}

/// What the Pods changed.
fn changes(before: &Claim, after: &Claim) -> Vec<String> {
    let mut all = Vec::new();
    let mut changed = |what: &str, before: String, after: String| {
        let is_changed = before != after;
        if is_changed {
            all.push(format!("{what} {before} → {after}"));
        }
        is_changed
    };
    changed("type", type_name(before), type_name(after));
    changed("confidence", before.confidence.to_string(), after.confidence.to_string());
    changed("result", kind_of_result(before), kind_of_result(after));
    let mut confirmed = Vec::new();
    if let (ClaimOutcome::Target(old), ClaimOutcome::Target(new)) = (&before.outcome, &after.outcome) {
        changed("port", old.port.to_string(), new.port.to_string());
        let (was, is) = (before.assumed, after.assumed);
        let scheme = changed("scheme", old.scheme.to_string(), new.scheme.to_string());
        let path = changed("path", shown_path(&old.path), shown_path(&new.path));
        let auth = changed("authentication", short(before.auth).to_owned(), short(after.auth).to_owned());
        confirmed.extend((!scheme && was.scheme && !is.scheme).then_some("the scheme"));
        confirmed.extend((!path && was.path && !is.path).then_some("the path"));
        confirmed.extend((!auth && was.auth && !is.auth).then_some("the authentication"));
    }
    if let Some(confirmed) = list(&confirmed) {
        all.push(format!("now proven: {confirmed}"));
    }
    all
}

/// For example `a, b and c`. `None` without any.
fn list(parts: &[&str]) -> Option<String> {
    match parts.split_last() {
        Some((last, [])) => Some((*last).to_owned()),
        Some((last, others)) => Some(format!("{} and {last}", others.join(", "))),
        None => None,
    }
}

fn type_name(claim: &Claim) -> String {
    claim.custom.clone().unwrap_or_else(|| claim.product.to_string())
}

fn kind_of_result(claim: &Claim) -> String {
    match &claim.outcome {
        ClaimOutcome::Target(_) => "endpoint".to_owned(),
        ClaimOutcome::Rejected { reason, .. } => reason.to_string(),
    }
}

fn shown_path(path: &str) -> String {
    if path.is_empty() { "none".to_owned() } else { path.to_owned() }
}

fn authentication(auth: Auth) -> &'static str {
    match auth {
        Auth::None => "no authentication",
        Auth::Basic => "user and password",
        Auth::Bearer => "bearer token",
        Auth::Tenant => "tenant header",
        Auth::Unknown => "authentication",
    }
}

fn short(auth: Auth) -> &'static str {
    match auth {
        Auth::None => "none",
        Auth::Unknown => "unknown",
        other => authentication(other),
    }
}
