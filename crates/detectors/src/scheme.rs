//! Whether a port uses TLS, as far as the Service shows it or suggests it.

use crate::{
    product::Scheme,
    view::{PortView, Protocol, ServiceView, TargetPort},
};

/// `OpenShift` creates a serving certificate for a Service with one of these annotations. Its Pods then serve TLS.
const SERVING_CERT: [&str; 2] =
    ["service.beta.openshift.io/serving-cert-secret-name", "service.alpha.openshift.io/serving-cert-secret-name"];

/// Numbers that programs use for TLS.
const TLS_NUMBERS: [u16; 3] = [443, 8443, 9443];

/// Numbers on which web servers and the products listen without TLS. Behind 443, a load balancer or an ingress ends
/// TLS, or nobody uses it: stable/kibana declares 443 to 5601. Elasticsearch's 9200 is not one of them, because it uses
/// TLS since version 8.
const PLAIN_NUMBERS: [u16; 20] = [
    80, 3000, 3100, 3200, 5601, 8080, 8428, 8429, 8481, 9009, 9090, 9093, 9411, 9428, 9471, 10428, 10471, 10902, 16686,
    19192,
];

/// The scheme of one of a Service's ports: the one that the Service shows, else the one that its number suggests, else
/// `http`.
pub fn scheme_of(view: &ServiceView, port: &PortView) -> Scheme {
    shown_scheme(view, port).unwrap_or(if suggests_tls(port) { Scheme::Https } else { Scheme::Http })
}

/// The scheme that the Service shows for one of its ports. `None` if it shows none.
///
/// `appProtocol` decides. Without it, the scheme is `https` if the name of the port or of the target port starts with
/// `https`, or if the Service asks for `OpenShift`'s serving certificate. The certificate is for the port named `https`
/// if there is one: the Thanos Query of RHOBS has plain HTTP on 9090 beside a proxy with the certificate on `https`
/// 9091.
///
/// The port name `http` is not evidence, because the elastic and opensearch charts serve TLS on it. Nor is a number.
pub fn shown_scheme(view: &ServiceView, port: &PortView) -> Option<Scheme> {
    if let Some(protocol) = port.app_protocol.as_deref() {
        if protocol.eq_ignore_ascii_case("https") {
            return Some(Scheme::Https);
        }
        if protocol.eq_ignore_ascii_case("http") {
            return Some(Scheme::Http);
        }
    }
    let has_certificate = || SERVING_CERT.iter().any(|key| view.annotations.contains_key(key));
    let is_for_another = || view.ports.iter().any(|other| other.protocol == Protocol::Tcp && is_named_https(other));
    (is_named_https(port) || has_certificate() && !is_for_another()).then_some(Scheme::Https)
}

/// Whether the number of a port suggests TLS. It does not if the port is named after HTTP, or leads to a port that is
/// named so or has the number of a plain listener.
fn suggests_tls(port: &PortView) -> bool {
    let is_tls = |number: &u16| TLS_NUMBERS.contains(number);
    let by_number = match &port.target {
        Some(TargetPort::Number(target)) => is_tls(target) || is_tls(&port.port) && !PLAIN_NUMBERS.contains(target),
        _ => is_tls(&port.port),
    };
    by_number && !names(port).any(|name| starts_with(name, "http"))
}

fn is_named_https(port: &PortView) -> bool {
    names(port).any(|name| starts_with(name, "https"))
}

/// The names of a port and of its target port.
fn names(port: &PortView) -> impl Iterator<Item = &str> {
    let target = match &port.target {
        Some(TargetPort::Name(name)) => Some(&**name),
        _ => None,
    };
    [port.name.as_deref(), target].into_iter().flatten()
}

fn starts_with(name: &str, start: &str) -> bool {
    name.get(..start.len()).is_some_and(|name| name.eq_ignore_ascii_case(start))
}
