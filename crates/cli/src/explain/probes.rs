//! What the operator's probes of the Service show. This command sends no probes, so it reads the status.

use crd_types::{HealthMode, IdentityMode, ServiceReason, Trust};

use super::{
    case::Case,
    classification::Classification,
    model::{Probes, Problem},
};

/// The reasons that come from probes.
const BY_PROBES: [ServiceReason; 5] = [
    ServiceReason::NotTheProduct,
    ServiceReason::Unhealthy,
    ServiceReason::Unreachable,
    ServiceReason::ProbeSuspect,
    ServiceReason::ProbeNotAllowed,
];

pub(super) fn probes(case: &Case<'_>) -> Option<Probes> {
    let spec = &case.snapshot.config.spec;
    let (health, identity) = (spec.health.mode == HealthMode::Probe, spec.evidence.identity == IdentityMode::Probe);
    let candidate = matches!(&case.classification, Classification::Tool(_) | Classification::Rejected(_));
    if !candidate || !health && !identity {
        return None;
    }
    let uses = match (health, identity) {
        (true, false) => "The health above comes from the EndpointSlices.",
        (false, _) => "The result above takes no new response of the Service into account.",
        (true, true) => {
            "The health above comes from the EndpointSlices, and the result takes no new response of the Service into \
             account."
        }
    };
    let not_here = format!("This command sends no probes. {uses}");
    let status = case.snapshot.config.status.as_ref().filter(|_| case.snapshot.live);
    let Some(status) = status else {
        return Some(Probes { message: Some(not_here), ..Probes::default() });
    };
    let (namespace, name) = (&*case.key().namespace, &*case.key().name);
    let tool = status.tools.iter().find(|tool| tool.namespace == namespace && tool.service == name);
    let rejected = status.rejected.iter().find(|one| one.namespace == namespace && one.service == name);
    let by_probes = |reason: &str| BY_PROBES.iter().any(|one| one.as_str() == reason);
    // The message of this reason contains the requests and the class of the response.
    let by_answer = |reason: &str| identity && reason == ServiceReason::NotEnoughEvidence.as_str();
    let problem = rejected.filter(|rejected| by_probes(&rejected.reason) || by_answer(&rejected.reason));
    let of_tool = tool.filter(|tool| by_probes(&tool.reason));
    let shown = Probes {
        identity: tool.map(|tool| tool.identity.clone()).filter(|asked| identity && !asked.is_empty()),
        from_identity: tool.map(|tool| tool.from_identity.clone()).unwrap_or_default(),
        health: tool.map(|tool| tool.probe.clone()).filter(|asked| health && !asked.is_empty()),
        problem: problem
            .map(|one| Problem { reason: one.reason.clone(), message: one.message.clone() })
            .or_else(|| of_tool.map(|tool| Problem { reason: tool.reason.clone(), message: meaning(&tool.reason) })),
        message: None,
    };
    let is_tenant = match &case.classification {
        Classification::Tool(tool) => tool.trust == Trust::Tenant,
        Classification::Rejected(rejection) => rejection.trust == Trust::Tenant,
        Classification::Outside(_) | Classification::Unrecognised => false,
    };
    let nothing = shown.identity.is_none() && shown.health.is_none() && shown.problem.is_none();
    let message = match nothing {
        true if identity && !health && is_tenant => {
            "The operator sends no identity probes to Services of Tenant sources.".to_owned()
        }
        true => format!("The status reports no response of this Service. {not_here}"),
        false => not_here,
    };
    Some(Probes { message: Some(message), ..shown })
}

/// What a reason of a tool means.
fn meaning(reason: &str) -> String {
    let meaning = if reason == ServiceReason::ProbeSuspect.as_str() {
        "The operator can reach neither this Service nor enough other Services. The operator's own network may be the \
         cause, so the tool stays as it is."
    } else if reason == ServiceReason::ProbeNotAllowed.as_str() {
        "The operator does not probe this Service. The readiness of its endpoints determines its health."
    } else {
        "The probes of the Service fail."
    };
    meaning.to_owned()
}
