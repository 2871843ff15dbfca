//! What the status of the ToolsetConfig says, and whether it agrees with the explanation.

use crd_types::{HealthMode, IdentityMode, ServiceReason};

use super::{
    case::Case,
    classification::Classification,
    model::{Condition, Status},
};

pub(super) fn status(case: &Case<'_>) -> Option<Status> {
    // The operator does not know a ToolsetConfig from a file.
    if !case.snapshot.live || case.snapshot.config.metadata.uid.is_none() {
        return None;
    }
    let Some(status) = &case.snapshot.config.status else {
        return Some(Status {
            reported: None,
            agrees: None,
            message: "The ToolsetConfig has no status yet. Find out why with kubectl toolset check.".to_owned(),
            conditions: Vec::new(),
        });
    };
    let (namespace, name) = (&*case.key().namespace, &*case.key().name);
    let tool = status.tools.iter().find(|tool| tool.namespace == namespace && tool.service == name);
    let rejected = status.rejected.iter().find(|one| one.namespace == namespace && one.service == name);
    let reported = match (tool, rejected) {
        (Some(tool), _) => format!("tool {} at {}, {}", tool.type_, tool.endpoint, tool.health),
        (None, Some(rejected)) => format!("{}: {}", rejected.reason, rejected.message),
        (None, None) => "the Service is not listed".to_owned(),
    };
    let agrees = match &case.classification {
        Classification::Tool(planned) => tool.is_some_and(|listed| {
            listed.endpoint == planned.endpoint.to_string() && listed.type_ == planned.type_name()
        }),
        Classification::Rejected(planned) => rejected.is_some_and(|listed| listed.reason == planned.reason.as_str()),
        Classification::Outside(_) | Classification::Unrecognised => tool.is_none() && rejected.is_none(),
    };
    let cut = status.truncated && tool.is_none() && rejected.is_none();
    let generation = case.snapshot.config.metadata.generation;
    let by_probe = [ServiceReason::NotTheProduct, ServiceReason::Unhealthy, ServiceReason::Unreachable];
    let is_by_probe = |reason: &str| by_probe.iter().any(|one| one.as_str() == reason);
    let spec = &case.snapshot.config.spec;
    let probes = spec.health.mode == HealthMode::Probe || spec.evidence.identity == IdentityMode::Probe;
    let (agrees, message) = if agrees {
        (Some(true), "")
    } else if probes && rejected.is_some_and(|rejected| is_by_probe(&rejected.reason)) {
        (None, "the operator has probed the Service, and this command does not")
    } else if cut {
        (None, "the status is truncated and possibly does not list the Service")
    } else if status.observed_generation != generation {
        (Some(false), "the status is for an older generation of the ToolsetConfig")
    } else {
        (Some(false), "the operator may have another version, or an object changed just now (see the conditions)")
    };
    let conditions = status
        .conditions
        .iter()
        .filter(|condition| condition.status != "True" && condition.type_ != "ConsumerReloaded")
        .map(|condition| Condition {
            type_: condition.type_.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
        });
    Some(Status { reported: Some(reported), agrees, message: message.to_owned(), conditions: conditions.collect() })
}
