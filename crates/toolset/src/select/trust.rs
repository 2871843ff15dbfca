//! The rules of trust: what is refused unless the source allows it.

use crd_types::{AllowanceKind, ServiceReason, Source, Trust};
use detectors::{Product, ServiceType, ServiceView};

use super::{annotation, source};
use crate::index::Readiness;

/// Why a Service that claims to be this product is refused, if it is.
pub(super) fn refusal(
    view: &ServiceView,
    readiness: Readiness,
    source: &Source,
    claimed: Product,
    opted_in: bool,
) -> Option<(ServiceReason, String)> {
    if source.trust == Trust::Tenant {
        if !opted_in {
            let message = format!(
                "source {} is Tenant and takes only Services that opt in; annotate it with {}: enabled and {}",
                source.name,
                annotation::TOOLSET,
                annotation::TYPE
            );
            return Some((ServiceReason::TenantNotOptedIn, message));
        }
        if claimed == Product::MCP {
            let message =
                "an MCP server's own texts reach the model, so MCP is never taken from a Tenant source".to_owned();
            return Some((ServiceReason::EndpointNotAllowed, message));
        }
    }
    let refuse = |kind: AllowanceKind, reason: ServiceReason, what: &str| {
        if source::allows(source, &view.key, kind) {
            return None;
        }
        let message = format!(
            "{what}; if you trust it, add {{namespace: {}, name: {}, kind: {kind}}} to allow in source {}",
            view.key.namespace, view.key.name, source.name
        );
        Some((reason, message))
    };
    if view.service_type == ServiceType::ExternalName {
        return refuse(
            AllowanceKind::ExternalName,
            ServiceReason::ExternalNameNotAllowed,
            "its type is ExternalName, an alias for a name outside the cluster",
        );
    }
    if view.selector.is_empty() {
        let refused = refuse(
            AllowanceKind::Selectorless,
            ServiceReason::SelectorlessNotAllowed,
            "it has no selector, so somebody sets its addresses by hand",
        );
        // A source that allows Services without a selector also allows slices that were made by hand.
        if refused.is_some() {
            return refused;
        }
    } else if readiness.manual {
        let refused = refuse(
            AllowanceKind::ManualSlices,
            ServiceReason::EndpointNotAllowed,
            "it has hand-made EndpointSlices, which can point anywhere",
        );
        if refused.is_some() {
            return refused;
        }
    }
    if view.external_ips {
        return refuse(AllowanceKind::ExternalIPs, ServiceReason::EndpointNotAllowed, "it has externalIPs");
    }
    None
}
