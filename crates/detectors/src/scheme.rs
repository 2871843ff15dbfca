//! Whether a port uses TLS, as far as the Service shows it.

use crate::{
    product::Scheme,
    view::{PortView, ServiceView, TargetPort},
};

/// `OpenShift` creates a serving certificate for a Service with one of these annotations. Its Pods then serve TLS.
const SERVING_CERT: [&str; 2] =
    ["service.beta.openshift.io/serving-cert-secret-name", "service.alpha.openshift.io/serving-cert-secret-name"];

/// The scheme of one of a Service's ports: the one that the Service shows, else `http`.
pub fn scheme_of(view: &ServiceView, port: &PortView) -> Scheme {
    shown_scheme(view, port).unwrap_or_default()
}

/// The scheme that the Service shows for one of its ports. `None` if it shows none.
///
/// `appProtocol` decides. Without it, the scheme is `https` if the name of the port or of the target port starts with
/// `https`, or if the Service asks for `OpenShift`'s serving certificate.
///
/// The port name `http` is not evidence, because the elastic and opensearch charts serve TLS on it. Nor is a number,
/// because stable/kibana serves plain HTTP on 443.
pub fn shown_scheme(view: &ServiceView, port: &PortView) -> Option<Scheme> {
    if let Some(protocol) = port.app_protocol.as_deref() {
        if protocol.eq_ignore_ascii_case("https") {
            return Some(Scheme::Https);
        }
        if protocol.eq_ignore_ascii_case("http") {
            return Some(Scheme::Http);
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
    (named_https || certificate).then_some(Scheme::Https)
}
