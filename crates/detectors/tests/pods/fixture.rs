//! Services and Pods, so that a test shows its fixture on one screen.

use detectors::{
    Finding, Outcome, PortView, Product, Protocol, ServiceKey, ServiceType, ServiceView, StringMap, TargetPort,
    pods::{PodFacts, PodView, read, recognise_with_pods},
};
use serde_json::{Value, json};

/// A Service with the selector `app=<name>` and these ports: `name:port>target`, separated by spaces; `-` is no name.
pub(crate) fn service(name: &str, ports: &str) -> ServiceView {
    let selector = [("app", name)].into_iter().collect();
    ServiceView {
        key: ServiceKey::new("default", name),
        labels: StringMap::default(),
        annotations: StringMap::default(),
        selector,
        ports: ports.split_whitespace().map(port).collect(),
        service_type: ServiceType::ClusterIP,
        headless: false,
        external_ips: false,
        uid: 0,
        created: 0,
    }
}

/// The same with labels, as `key=value` pairs; `@name` is short for `app.kubernetes.io/name`.
pub(crate) fn labelled(name: &str, labels: &str, ports: &str) -> ServiceView {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = key.strip_prefix('@').map_or_else(|| key.to_owned(), |rest| format!("app.kubernetes.io/{rest}"));
        (key, value.to_owned())
    };
    let labels: StringMap = labels.split_whitespace().map(pair).collect();
    ServiceView { selector: labels.clone(), labels, ..service(name, ports) }
}

fn port(text: &str) -> PortView {
    let (name, numbers) = text.split_once(':').expect("name:port");
    let (number, target) = numbers.split_once('>').unwrap_or((numbers, numbers));
    PortView {
        name: (name != "-").then(|| name.into()),
        port: number.parse().expect("a port number"),
        target: Some(target.parse().map_or_else(|_| TargetPort::Name(target.into()), TargetPort::Number)),
        protocol: Protocol::Tcp,
        app_protocol: None,
    }
}

/// A Pod with these containers.
#[allow(clippy::needless_pass_by_value, reason = "fixtures are written in place")]
pub(crate) fn pod(containers: Value) -> PodView {
    serde_json::from_value(json!({ "containers": containers })).expect("a Pod")
}

/// A Pod with one container.
#[allow(clippy::needless_pass_by_value, reason = "fixtures are written in place")]
pub(crate) fn container(container: Value) -> PodView {
    pod(json!([container]))
}

/// What the rules find, the best first.
pub(crate) fn findings(service: &ServiceView, pod: &PodView) -> Vec<Finding> {
    recognise_with_pods(service, &read(service, pod))
}

/// The best finding as `Product confidence scheme://:port/path auth`, with `~` behind each field that is assumed. A Service
/// that is no endpoint is `- role`.
pub(crate) fn found(service: &ServiceView, pod: &PodView) -> String {
    findings(service, pod).first().map_or_else(|| "nothing".to_owned(), shown)
}

/// As [`found`], by facts.
pub(crate) fn found_by(service: &ServiceView, facts: &PodFacts) -> String {
    recognise_with_pods(service, facts).first().map_or_else(|| "nothing".to_owned(), shown)
}

/// What the rules find for one product.
pub(crate) fn found_as(product: Product, service: &ServiceView, pod: &PodView) -> String {
    let all = findings(service, pod);
    all.iter().find(|finding| finding.product == product).map_or_else(|| "nothing".to_owned(), shown)
}

fn shown(finding: &Finding) -> String {
    match &finding.outcome {
        Outcome::Endpoint(target) => {
            let mark = |assumed: bool| if assumed { "~" } else { "" };
            let path = if target.path.is_empty() { "/" } else { &target.path };
            format!(
                "{} {} {}{}://:{}{path}{} {:?}{}",
                finding.product,
                finding.confidence,
                target.scheme,
                mark(finding.assumed.scheme),
                target.port,
                mark(finding.assumed.path),
                finding.auth,
                mark(finding.assumed.auth),
            )
        }
        Outcome::NotAnEndpoint { role } => format!("- {role}"),
        Outcome::NoUsablePort => "no port".to_owned(),
    }
}
