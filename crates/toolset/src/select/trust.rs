//! The rules of trust: what is refused unless the source allows it.

use crd_types::{AllowanceKind, ServiceReason, Source, Trust};
use detectors::{Product, ServiceType, ServiceView};

use super::{annotation, source};
use crate::index::{Readiness, SliceOwner};

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
                "Source {} is a Tenant source, so its Services must opt in. Annotate the Service with {}: enabled and {}.",
                source.name,
                annotation::TOOLSET,
                annotation::TYPE
            );
            return Some((ServiceReason::TenantNotOptedIn, message));
        }
        if claimed == Product::MCP {
            let message =
                "MCP servers from Tenant sources are never used, because their texts reach the model unchanged. If you trust the server, select the Service with a Trusted source.".to_owned();
            return Some((ServiceReason::EndpointNotAllowed, message));
        }
    }
    let refuse = |kind: AllowanceKind, reason: ServiceReason, what: &str| {
        if source::allows(source, &view.key, kind) {
            return None;
        }
        let message = format!(
            "{what}. Kubernetes cannot verify these addresses. If you trust them, add {{namespace: {}, name: {}, kind: {kind}}} to spec.sources[name={}].allow.",
            view.key.namespace, view.key.name, source.name
        );
        Some((reason, message))
    };
    if view.service_type == ServiceType::ExternalName {
        return refuse(
            AllowanceKind::ExternalName,
            ServiceReason::ExternalNameNotAllowed,
            "This Service is of type ExternalName, so it can refer to a name outside the cluster",
        );
    }
    if view.selector.is_empty() {
        let refused = refuse(
            AllowanceKind::Selectorless,
            ServiceReason::SelectorlessNotAllowed,
            "This Service has no selector, so its addresses are set manually",
        );
        // A source that allows Services without a selector also allows slices that were made by hand.
        if refused.is_some() {
            return refused;
        }
    } else if let Some(what) = distrusted_slices(view, readiness, source) {
        let refused = refuse(AllowanceKind::ManualSlices, ServiceReason::EndpointNotAllowed, what);
        if refused.is_some() {
            return refused;
        }
    }
    if view.external_ips {
        return refuse(AllowanceKind::ExternalIPs, ServiceReason::EndpointNotAllowed, "This Service has externalIPs");
    }
    None
}

/// What is wrong with the EndpointSlices of a Service with a selector, if something is.
///
/// The author of a slice writes its label, its owner and its target references, and the EndpointSlice controller
/// corrects them only later. So these fields are no proof. They are a filter, and a Tenant's slices must pass all of
/// it.
fn distrusted_slices(view: &ServiceView, readiness: Readiness, source: &Source) -> Option<&'static str> {
    if readiness.manual {
        return Some("This Service has EndpointSlices that are not managed by the EndpointSlice controller");
    }
    // Objects in files can be without uids and without what the control plane writes.
    if source.trust == Trust::Trusted || view.uid == 0 {
        return None;
    }
    if matches!(readiness.owner, SliceOwner::Several | SliceOwner::One(0)) {
        return Some("This Service has EndpointSlices that do not belong to it");
    }
    readiness
        .elsewhere
        .then_some("The EndpointSlices of this Service contain addresses that are not Pods of its namespace")
}

/// Whether a Service becomes a tool only while it has EndpointSlices of its own, which have not changed for some time.
pub(super) fn needs_own_slices(view: &ServiceView, source: &Source) -> bool {
    let allowed = |kind| source::allows(source, &view.key, kind);
    source.trust == Trust::Tenant
        && view.uid != 0
        && view.service_type != ServiceType::ExternalName
        && !view.selector.is_empty()
        && !allowed(AllowanceKind::ManualSlices)
}
