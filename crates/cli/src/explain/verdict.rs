//! The answer in one line, and the reason for it.

use crd_types::ServiceReason;
use detectors::Product;
use toolset::{
    Tool,
    index::Recognised,
    select::{
        annotation,
        claim::Origin,
        source::{self, Outside},
    },
    tool::Rejection,
};

use super::{Case, config_name};
use crate::{
    snapshot::{Planned, Snapshot},
    text::{sentence, wrap},
};

/// What became of the Service.
pub enum Verdict {
    /// It is a tool.
    Tool(Box<Tool>),
    /// It was recognised and is not a tool.
    Rejected(Rejection),
    /// No source selects it, so nobody looked further.
    Outside(Outside),
    /// Inside a source, and nothing speaks of it.
    Unrecognised,
}

impl Verdict {
    /// The product, as far as one is known.
    pub fn product(&self) -> Option<Product> {
        match self {
            Self::Tool(tool) => Some(tool.product),
            Self::Rejected(rejection) => rejection.product,
            Self::Outside(_) | Self::Unrecognised => None,
        }
    }

    /// The stable reason; `None` where nothing recognises it.
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

pub fn of(snapshot: &Snapshot, planned: &Planned, service: &Recognised) -> Verdict {
    let key = &service.view.key;
    if let Some(tool) = planned.plan.tools.iter().find(|tool| tool.key.as_ref() == Some(key)) {
        return Verdict::Tool(Box::new(tool.clone()));
    }
    if let Some(rejection) = planned.plan.rejected.iter().find(|rejection| rejection.key == *key) {
        return Verdict::Rejected(rejection.clone());
    }
    let labels = snapshot.index.namespace_labels(&key.namespace);
    match source::select(&source::covering(&snapshot.config, &key.namespace, labels), &service.view) {
        Err(outside) => Verdict::Outside(outside),
        Ok(source) if annotation::is_opted_out(&service.view) => Verdict::Rejected(Rejection {
            key: key.clone(),
            product: None,
            custom: None,
            trust: source.trust,
            reason: ServiceReason::OptedOut,
            message: format!("annotation {} opts this Service out", annotation::TOOLSET),
        }),
        Ok(_) => Verdict::Unrecognised,
    }
}

pub fn section(case: &Case<'_>) -> Vec<String> {
    let paint = case.paint;
    let service = paint.bold(&case.key().to_string());
    match &case.verdict {
        Verdict::Tool(tool) => {
            let by = match &tool.origin {
                Some(Origin::Annotation) => "its annotations say so".to_owned(),
                Some(Origin::Signature(name)) => format!("signature {name} matches it"),
                Some(Origin::Rules) | None => format!("recognised with confidence {}", tool.confidence),
            };
            let mut lines = vec![
                format!("{service} {}: {}, {by}", paint.good("is a tool"), tool.type_name()),
                super::entry("endpoint", paint.link(&tool.endpoint.to_string())),
                super::entry("name", &tool.name),
            ];
            if tool.reason != ServiceReason::Selected {
                lines.push(super::entry("but", paint.warn(&format!("{}: {}", tool.reason, in_words(tool.reason)))));
            }
            lines
        }
        Verdict::Rejected(rejection) => {
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
        Verdict::Outside(outside) => {
            let (reason, why) = match outside {
                Outside::Namespace => (
                    ServiceReason::NamespaceNotSelected,
                    format!(
                        "No source of ToolsetConfig {} covers namespace {}",
                        config_name(case.snapshot),
                        case.key().namespace
                    ),
                ),
                Outside::Selector => (
                    ServiceReason::ServiceNotSelected,
                    "A source covers its namespace, but no serviceSelector matches its labels".to_owned(),
                ),
            };
            let mut lines = vec![format!("{service} {}: {}", paint.bad("is not a tool"), paint.warn(reason.as_str()))];
            lines.extend(wrap("  ", &format!("{why}; nothing outside the sources is looked at, counted or listed.")));
            lines
        }
        Verdict::Unrecognised => vec![
            format!("{service} {}: nothing recognises it", paint.bad("is not a tool")),
            "  No annotation, no signature and no built-in detector speaks of it, so it is not even a candidate."
                .to_owned(),
        ],
    }
}

/// What is to be said about a tool that is one all the same.
fn in_words(reason: ServiceReason) -> &'static str {
    match reason {
        ServiceReason::CredentialsNotAllowed => {
            "an override gives it credentials or a tenant, which a Tenant Service never gets"
        }
        ServiceReason::NameConflict => "another tool has the name that was asked for",
        _ => "see spec.overrides",
    }
}
