//! The first section: whether the Service is a tool, and the reason.

use crd_types::{OutputFormat, ServiceReason, Trust};
use toolset::{
    Tool,
    assumptions::{AMBIGUOUS, assumptions, missing},
    render::why_absent,
    select::{claim::Origin, source::Outside},
};

use super::{
    case::{Case, entry},
    classification::Classification,
};
use crate::text::{Text, sentence, text, wrap};

pub(super) fn section(case: &Case<'_>) -> Vec<Text> {
    let paint = case.paint;
    let service = paint.bold(case.key().to_string());
    match &case.classification {
        Classification::Tool(tool) => {
            let by = match &tool.origin {
                Some(Origin::Annotation) => "stated by its annotations".to_owned(),
                Some(Origin::Signature(name)) => format!("stated by signature {name}"),
                Some(Origin::Rules) | None => format!("recognised with confidence {}", tool.confidence),
            };
            let mut lines = vec![
                text!(service, " ", paint.good("is a tool"), format!(": {}, {by}", tool.type_name())),
                entry("endpoint", paint.link(tool.endpoint.to_string())),
                entry("name", &tool.name),
            ];
            if tool.reason != ServiceReason::Selected {
                lines.push(entry("problem", paint.warn(format!("{}: {}", tool.reason, explain_reason(case, tool)))));
            }
            lines.extend(missing(tool).map(|text| entry("missing", case.paint.warn(text))));
            for (number, text) in assumptions(tool).iter().enumerate() {
                lines.push(entry(if number == 0 { "assumptions" } else { "" }, format!("- {text}")));
            }
            if let Some(why) = why_absent(&case.snapshot.config, &case.planned.plan.tools, tool) {
                lines.push(entry("output", paint.warn(format!("does not contain it, because {why}"))));
            }
            lines
        }
        Classification::Rejected(rejection) => {
            let what = match rejection.type_name() {
                "" => String::new(),
                type_name => format!(" (recognised as {type_name})"),
            };
            let mut lines = vec![text!(
                service,
                " ",
                paint.bad("is not a tool"),
                ": ",
                paint.warn(rejection.reason.as_str()),
                what
            )];
            lines.extend(wrap("  ", sentence(&rejection.message)));
            lines
        }
        Classification::Outside(outside) => {
            let (reason, why) = match outside {
                Outside::Namespace => (
                    ServiceReason::NamespaceNotSelected,
                    format!(
                        "No source of ToolsetConfig {} covers namespace {}.",
                        case.snapshot.config_name(),
                        case.key().namespace
                    ),
                ),
                Outside::Selector => (
                    ServiceReason::ServiceNotSelected,
                    "A source covers the namespace, but no serviceSelector matches the labels of the Service."
                        .to_owned(),
                ),
            };
            let mut lines = vec![text!(service, " ", paint.bad("is not a tool"), ": ", paint.warn(reason.as_str()))];
            lines.extend(wrap("  ", format!("{why} The operator ignores Services that no source selects.")));
            lines
        }
        Classification::Unrecognised => vec![
            text!(service, " ", paint.bad("is not a tool"), ": it is not recognised"),
            Text::from(
                "  No annotation, no signature and no built-in detector recognises it, so it is not a candidate.",
            ),
        ],
    }
}

/// Explains the reason of a problem that a tool has.
fn explain_reason(case: &Case<'_>, tool: &Tool) -> &'static str {
    // Names of the agent are never given to Tenants, and to Trusted tools where the agent's file is written.
    let by_agent = tool.trust == Trust::Tenant || case.snapshot.config.spec.output.writes(OutputFormat::HolmesGPT);
    match tool.reason {
        ServiceReason::CredentialsNotAllowed => {
            "an override sets credentials or a tenant, but a Service of a Tenant source never gets them"
        }
        ServiceReason::AmbiguousPods => AMBIGUOUS,
        ServiceReason::NameConflict if !by_agent => "another tool has the requested name",
        ServiceReason::NameConflict => "another tool or the agent itself has the requested name",
        _ => "see spec.overrides",
    }
}
