//! Whether a port speaks TLS, from what the Service shows.

use crate::{PortView, Scheme, ServiceView, TargetPort};

/// `OpenShift` mounts a serving certificate for a Service that asks for one: its pods then serve TLS.
const SERVING_CERT: [&str; 2] =
    ["service.beta.openshift.io/serving-cert-secret-name", "service.alpha.openshift.io/serving-cert-secret-name"];

/// The scheme that the Service shows for one of its ports.
///
/// In this order: `appProtocol`; a port or target port whose name starts with `https` (a port *named* `http` proves nothing:
/// the elastic and opensearch charts serve TLS there); `OpenShift`'s serving certificate. Otherwise `http`: a number proves
/// nothing either (stable/kibana serves plain HTTP on 443).
pub fn scheme_of(view: &ServiceView, port: &PortView) -> Scheme {
    if let Some(protocol) = port.app_protocol.as_deref() {
        if protocol.eq_ignore_ascii_case("https") {
            return Scheme::Https;
        }
        if protocol.eq_ignore_ascii_case("http") {
            return Scheme::Http;
        }
    }
    let target_name = match &port.target {
        Some(TargetPort::Name(name)) => Some(&**name),
        _ => None,
    };
    let named_https = [port.name.as_deref(), target_name]
        .into_iter()
        .flatten()
        .any(|name| name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("https")));
    let certificate = SERVING_CERT.iter().any(|key| view.annotations.contains_key(key));
    if named_https || certificate { Scheme::Https } else { Scheme::Http }
}
