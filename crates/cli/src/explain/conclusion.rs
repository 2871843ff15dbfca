//! Whether the Service is a tool, and the reason.

use crd_types::{OutputFormat, ServiceReason, Trust};
use toolset::{
    Tool,
    assumptions::{AMBIGUOUS, assumptions, missing},
    render::why_absent,
    select::{claim::Origin, source::Outside},
};

use super::{
    case::Case,
    classification::Classification,
    model::{self, Conclusion, Problem, Result},
};
use crate::{snapshot::Snapshot, text::sentence};

pub(super) fn conclusion(case: &Case<'_>) -> Conclusion {
    let reason = case.classification.reason().map(|reason| reason.as_str().to_owned());
    match &case.classification {
        Classification::Tool(tool) => Conclusion {
            result: Result::Tool,
            reason,
            type_: Some(tool.type_name().to_owned()),
            message: match &tool.origin {
                Some(Origin::Annotation) => "stated by its annotations".to_owned(),
                Some(Origin::Signature(name)) => format!("stated by signature {name}"),
                Some(Origin::Rules) | None => format!("recognised with confidence {}", tool.confidence),
            },
            tool: Some(tool_of(case, tool)),
        },
        Classification::Rejected(rejection) => Conclusion {
            result: Result::Rejected,
            reason,
            type_: Some(rejection.type_name().to_owned()).filter(|name| !name.is_empty()),
            message: sentence(&rejection.message),
            tool: None,
        },
        Classification::Outside(outside) => {
            let why = why_outside(case.snapshot, &case.key().namespace, *outside);
            Conclusion {
                result: Result::NotSelected,
                reason,
                type_: None,
                message: format!("{why} The operator ignores Services that no source selects."),
                tool: None,
            }
        }
        Classification::Unrecognised => Conclusion {
            result: Result::NotRecognised,
            reason,
            type_: None,
            message: "It has no annotation, and no signature and no built-in detector recognises it.".to_owned(),
            tool: None,
        },
    }
}

/// Why no source selects a Service.
pub(crate) fn why_outside(snapshot: &Snapshot, namespace: &str, outside: Outside) -> String {
    match outside {
        Outside::Namespace => {
            format!("No source of ToolsetConfig {} selects namespace {namespace}.", snapshot.config_name())
        }
        Outside::Selector => {
            "A source selects the namespace, but no serviceSelector matches the labels of the Service.".to_owned()
        }
    }
}

fn tool_of(case: &Case<'_>, tool: &Tool) -> model::Tool {
    model::Tool {
        name: tool.name.clone(),
        endpoint: tool.endpoint.to_string(),
        confidence: tool.confidence.to_string(),
        source: tool.source.clone(),
        trust: tool.trust.to_string(),
        problem: (tool.reason != ServiceReason::Selected)
            .then(|| Problem { reason: tool.reason.to_string(), message: explain_reason(case, tool).to_owned() }),
        missing: missing(tool),
        assumptions: assumptions(tool),
        not_in_output: why_absent(&case.snapshot.config, &case.planned.plan.tools, tool),
    }
}

/// Explains the reason of a problem that a tool has.
fn explain_reason(case: &Case<'_>, tool: &Tool) -> &'static str {
    // Names of the agent are never given to Tenants, and to Trusted tools where the agent's file is written.
    let by_agent = tool.trust == Trust::Tenant || case.snapshot.config.spec.output.writes(OutputFormat::HolmesGPT);
    match tool.reason {
        ServiceReason::CredentialsNotAllowed => {
            "an override sets credentials or a tenantID, but a Service of a Tenant source never gets them"
        }
        ServiceReason::AmbiguousPods => AMBIGUOUS,
        ServiceReason::ProbeSuspect => {
            "the operator cannot reach its Pods, perhaps because of the operator's own network"
        }
        ServiceReason::ProbeNotAllowed => "the operator does not probe it, so the readiness of its endpoints counts",
        ServiceReason::NameConflict if !by_agent => "another tool has the requested name",
        ServiceReason::NameConflict => "another tool or the agent itself has the requested name",
        _ => "see spec.overrides",
    }
}
