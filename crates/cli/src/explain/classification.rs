//! The first section: whether the Service is a tool, and the reason.

use crd_types::ServiceReason;
use detectors::Product;
use toolset::{
    Tool, annotation,
    claim::Origin,
    index::Recognised,
    source::{Outside, Sources},
    tool::Rejection,
};

use super::{Case, config_name};
use crate::{
    snapshot::{Planned, Snapshot},
    text::{sentence, wrap},
};

/// Whether a Service is a tool, and if not, at which step it was left out.
pub enum Classification {
    /// The Service is a tool.
    Tool(Box<Tool>),
    /// The Service is a candidate but not a tool.
    Rejected(Rejection),
    /// No source selects the Service.
    Outside(Outside),
    /// A source selects the Service, but nothing recognises it.
    Unrecognised,
}

impl Classification {
    /// The product, if it is known.
    pub fn product(&self) -> Option<Product> {
        match self {
            Self::Tool(tool) => Some(tool.product),
            Self::Rejected(rejection) => rejection.product,
            Self::Outside(_) | Self::Unrecognised => None,
        }
    }

    /// The reason. `None` if nothing recognises the Service.
    pub fn reason(&self) -> Option<ServiceReason> {
        match self {
            Self::Tool(tool) => Some(tool.reason),
            Self::Rejected(rejection) => Some(rejection.reason),
            Self::Outside(Outside::Namespace) => Some(ServiceReason::NamespaceNotSelected),
            Self::Outside(Outside::Selector) => Some(ServiceReason::ServiceNotSelected),
            Self::Unrecognised => None,
        }
    }
}

/// Classifies a Service.
pub fn classify(snapshot: &Snapshot, planned: &Planned, service: &Recognised) -> Classification {
    let key = &service.view.key;
    if let Some(tool) = planned.plan.tools.iter().find(|tool| tool.key.as_ref() == Some(key)) {
        return Classification::Tool(Box::new(tool.clone()));
    }
    if let Some(rejection) = planned.plan.rejected.iter().find(|rejection| rejection.key == *key) {
        return Classification::Rejected(rejection.clone());
    }
    let sources = Sources::new(&snapshot.config, &snapshot.index);
    match Sources::select(&sources.covering(&key.namespace), &service.view) {
        Err(outside) => Classification::Outside(outside),
        Ok(source) if annotation::is_opted_out(&service.view) => Classification::Rejected(Rejection {
            key: key.clone(),
            product: None,
            custom: None,
            trust: source.trust,
            reason: ServiceReason::OptedOut,
            message: format!("annotation {} opts this Service out", annotation::TOOLSET),
        }),
        Ok(_) => Classification::Unrecognised,
    }
}

pub fn section(case: &Case<'_>) -> Vec<String> {
    let paint = case.paint;
    let service = paint.bold(&case.key().to_string());
    match &case.classification {
        Classification::Tool(tool) => {
            let by = match &tool.origin {
                Some(Origin::Annotation) => "stated by its annotations".to_owned(),
                Some(Origin::Signature(name)) => format!("stated by signature {name}"),
                Some(Origin::Rules) | None => format!("recognised with confidence {}", tool.confidence),
            };
            let mut lines = vec![
                format!("{service} {}: {}, {by}", paint.good("is a tool"), tool.type_name()),
                super::entry("endpoint", paint.link(&tool.endpoint.to_string())),
                super::entry("name", &tool.name),
            ];
            if tool.reason != ServiceReason::Selected {
                lines.push(super::entry(
                    "problem",
                    paint.warn(&format!("{}: {}", tool.reason, explain_reason(tool.reason))),
                ));
            }
            lines
        }
        Classification::Rejected(rejection) => {
            let what = match rejection.type_name() {
                "" => String::new(),
                type_name => format!(" (recognised as {type_name})"),
            };
            let mut lines = vec![format!(
                "{service} {}: {}{what}",
                paint.bad("is not a tool"),
                paint.warn(rejection.reason.as_str())
            )];
            lines.extend(wrap("  ", &sentence(&rejection.message)));
            lines
        }
        Classification::Outside(outside) => {
            let (reason, why) = match outside {
                Outside::Namespace => (
                    ServiceReason::NamespaceNotSelected,
                    format!(
                        "No source of ToolsetConfig {} covers namespace {}.",
                        config_name(case.snapshot),
                        case.key().namespace
                    ),
                ),
                Outside::Selector => (
                    ServiceReason::ServiceNotSelected,
                    "A source covers the namespace, but no serviceSelector matches the labels of the Service."
                        .to_owned(),
                ),
            };
            let mut lines = vec![format!("{service} {}: {}", paint.bad("is not a tool"), paint.warn(reason.as_str()))];
            lines.extend(wrap("  ", &format!("{why} The operator ignores Services that no source selects.")));
            lines
        }
        Classification::Unrecognised => vec![
            format!("{service} {}: it is not recognised", paint.bad("is not a tool")),
            "  No annotation, no signature and no built-in detector recognises it, so it is not a candidate."
                .to_owned(),
        ],
    }
}

/// Explains the reason of a problem that a tool has.
fn explain_reason(reason: ServiceReason) -> &'static str {
    match reason {
        ServiceReason::CredentialsNotAllowed => {
            "an override sets credentials or a tenant, but a Service of a Tenant source never gets them"
        }
        ServiceReason::NameConflict => "another tool has the requested name",
        _ => "see spec.overrides",
    }
}
