//! What `spec.overrides` state of the endpoint of a Service.

use crd_types::{EndpointAdjustment, Override, ToolsetConfig};
use detectors::{Assumed, Auth, Product, ServiceKey, ServiceView, Target};

use super::{
    annotation,
    claim::{Claim, ClaimOutcome},
};
use crate::checked;

/// Whether an override matches a Service that was recognised as this. Every given field must match.
pub fn override_matches(rule: &Override, key: &ServiceKey, product: Option<Product>, custom: Option<&str>) -> bool {
    let wanted = &rule.match_;
    wanted.type_.is_none_or(|type_| Some(type_) == product)
        && wanted.custom_type.as_ref().is_none_or(|type_| Some(type_.as_str()) == custom)
        && wanted.namespace.as_ref().is_none_or(|namespace| **namespace == *key.namespace)
        && wanted.service.as_ref().is_none_or(|service| **service == *key.name)
}

/// Where a Service is called, and what is known of that.
#[derive(Clone, Debug)]
pub(crate) struct KnownTarget {
    pub target: Target,
    pub auth: Auth,
    pub assumed: Assumed,
}

impl KnownTarget {
    /// This with another scheme, declared port or path. The error says what is impossible.
    pub(crate) fn adjusted(mut self, view: &ServiceView, adjustment: &EndpointAdjustment) -> Result<Self, String> {
        if let Some(port) = &adjustment.port {
            let declared = annotation::declared_port(view, &port.to_string())
                .map_err(|why| format!("endpoint.port of {} {why}", view.key))?;
            if declared.port != self.target.port {
                // What was known is about another port.
                (self.target.port, self.target.scheme) = (declared.port, detectors::scheme_of(view, declared));
                let scheme = detectors::shown_scheme(view, declared).is_none();
                (self.auth, self.assumed) = (Auth::Unknown, Assumed { scheme, path: true, auth: true });
            }
        }
        if let Some(scheme) = adjustment.scheme {
            self.target.scheme = scheme;
        }
        if let Some(path) = &adjustment.path {
            let path = checked::path_prefix(path)
                .map_err(|why| format!("the endpoint of {} is invalid: the path {why}", view.key))?;
            self.target.path = path.into();
        }
        self.assumed.scheme &= adjustment.scheme.is_none();
        self.assumed.path &= adjustment.path.is_none();
        Ok(self)
    }
}

/// The claim with the endpoint that overrides state. `None` if no override does so. One that asks for something
/// impossible has no effect.
pub(super) fn overridden(config: &ToolsetConfig, view: &ServiceView, claim: &Claim) -> Option<Claim> {
    let ClaimOutcome::Target(target) = &claim.outcome else { return None };
    let mut known = KnownTarget { target: target.clone(), auth: claim.auth, assumed: claim.assumed };
    let mut is_stated = false;
    for rule in &config.spec.overrides {
        let Some(adjustment) = &rule.endpoint else { continue };
        let is_for = override_matches(rule, &view.key, Some(claim.product), claim.custom.as_deref());
        if let Some(Ok(stated)) = is_for.then(|| known.clone().adjusted(view, adjustment)) {
            (known, is_stated) = (stated, true);
        }
    }
    let KnownTarget { target, auth, assumed } = known;
    is_stated.then(|| Claim { outcome: ClaimOutcome::Target(target), auth, assumed, ..claim.clone() })
}
