//! Whether a Service is a tool, and if not, why.

use crd_types::{ServiceReason, Source};
use detectors::Product;
use toolset::{
    Tool,
    index::Recognised,
    select::{
        annotation,
        source::{self, Outside},
    },
    tool::Rejection,
};

use crate::snapshot::{Planned, Snapshot};

/// Whether a Service is a tool, and if not, at which step it was left out.
pub(crate) enum Classification {
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
    pub(super) fn product(&self) -> Option<Product> {
        match self {
            Self::Tool(tool) => Some(tool.product),
            Self::Rejected(rejection) => rejection.product,
            Self::Outside(_) | Self::Unrecognised => None,
        }
    }

    /// The reason. `None` if nothing recognises the Service.
    pub(super) fn reason(&self) -> Option<ServiceReason> {
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
pub(super) fn classify(snapshot: &Snapshot, planned: &Planned, service: &Recognised) -> Classification {
    let key = &service.view.key;
    if let Some(tool) = planned.plan.tools.iter().find(|tool| tool.key.as_ref() == Some(key)) {
        return Classification::Tool(Box::new(tool.clone()));
    }
    if let Some(rejection) = planned.plan.rejected.iter().find(|rejection| rejection.key == *key) {
        return Classification::Rejected(rejection.clone());
    }
    let labels = snapshot.index.namespace_labels(&key.namespace);
    without_plan(&source::covering(&snapshot.config, &key.namespace, labels), service)
}

/// Classifies a Service that the plan does not name. `covering` are the sources that cover its namespace.
pub(crate) fn without_plan(covering: &[&Source], service: &Recognised) -> Classification {
    let key = &service.view.key;
    match source::select(covering, &service.view) {
        Err(outside) => Classification::Outside(outside),
        Ok(source) if annotation::is_opted_out(&service.view) => Classification::Rejected(Rejection {
            key: key.clone(),
            product: None,
            custom: None,
            trust: source.trust,
            reason: ServiceReason::OptedOut,
            message: format!("annotation {} opts this Service out", annotation::TOOLSET),
            is_untold: false,
        }),
        Ok(_) => Classification::Unrecognised,
    }
}
