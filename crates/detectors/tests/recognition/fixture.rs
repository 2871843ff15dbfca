//! A small language for Services, so that a test shows its fixture on one screen.

use detectors::{
    Confidence, Finding, Outcome, PortView, Product, Protocol, ServiceKey, ServiceType, ServiceView, StringMap,
    TargetPort, displaced_endpoints, recognise,
};

/// A `ClusterIP` Service in the namespace `default`, with neither labels, selector nor ports.
pub(crate) fn service(name: &str) -> Fixture {
    Fixture(ServiceView {
        key: ServiceKey::new("default", name),
        labels: StringMap::default(),
        annotations: StringMap::default(),
        selector: StringMap::default(),
        ports: Box::default(),
        service_type: ServiceType::ClusterIP,
        headless: false,
        external_ips: false,
        uid: 0,
        created: 0,
    })
}

pub(crate) struct Fixture(pub ServiceView);

impl Fixture {
    /// `key=value` pairs; `@name` is short for `app.kubernetes.io/name`.
    pub(crate) fn labels(mut self, pairs: &str) -> Self {
        self.0.labels = map(pairs);
        self
    }

    /// As [`Fixture::labels`].
    pub(crate) fn selector(mut self, pairs: &str) -> Self {
        self.0.selector = map(pairs);
        self
    }

    /// The same labels and selector, as charts write them.
    pub(crate) fn both(self, pairs: &str) -> Self {
        self.labels(pairs).selector(pairs)
    }

    /// As [`Fixture::labels`].
    pub(crate) fn annotations(mut self, pairs: &str) -> Self {
        self.0.annotations = map(pairs);
        self
    }

    /// `name:port>target/UDP[appProtocol]`, separated by spaces; `-` is no name. Without a target, it is the port.
    pub(crate) fn ports(mut self, ports: &str) -> Self {
        self.0.ports = ports.split_whitespace().map(port).collect();
        self
    }

    pub(crate) fn headless(mut self) -> Self {
        self.0.headless = true;
        self
    }

    pub(crate) fn node_port(mut self) -> Self {
        self.0.service_type = ServiceType::NodePort;
        self
    }

    pub(crate) fn view(&self) -> &ServiceView {
        &self.0
    }

    /// What all rules find, the best first.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        recognise(&self.0)
    }

    /// What one product's rule finds.
    pub(crate) fn finding(&self, product: Product) -> Option<Finding> {
        self.findings().into_iter().find(|finding| finding.product == product)
    }

    /// The endpoint that is used at the default confidence.
    pub(crate) fn chosen(&self) -> Option<Finding> {
        self.findings()
            .into_iter()
            .find(|found| found.confidence >= Confidence::Medium && matches!(found.outcome, Outcome::Endpoint(_)))
    }

    /// The chosen endpoint as `Product http://:port/path`, `-` for none.
    pub(crate) fn chosen_url(&self) -> String {
        let Some(finding) = self.chosen() else { return "-".to_owned() };
        let Outcome::Endpoint(target) = finding.outcome else { return "-".to_owned() };
        format!("{} {}://:{}{}", finding.product, target.scheme, target.port, target.path)
    }

    /// How sure the chosen endpoint is.
    pub(crate) fn confidence(&self) -> Option<Confidence> {
        self.chosen().map(|finding| finding.confidence)
    }
}

/// The names of the Services that are chosen and not displaced, sorted.
pub(crate) fn chosen_of(services: &[Fixture]) -> Vec<String> {
    let found: Vec<(&ServiceView, Finding)> =
        services.iter().filter_map(|fixture| Some((fixture.view(), fixture.chosen()?))).collect();
    let endpoints: Vec<(&ServiceView, &Finding)> = found.iter().map(|(view, finding)| (*view, finding)).collect();
    let displaced = displaced_endpoints(&endpoints);
    let kept = endpoints.iter().zip(displaced).filter(|(_, displaced)| displaced.is_none());
    let mut names: Vec<String> = kept.map(|((view, _), _)| view.key.name.to_string()).collect();
    names.sort();
    names
}

fn map(pairs: &str) -> StringMap {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = key.strip_prefix('@').map_or_else(|| key.to_owned(), |rest| format!("app.kubernetes.io/{rest}"));
        (key, value.to_owned())
    };
    pairs.split_whitespace().map(pair).collect()
}

fn port(text: &str) -> PortView {
    let (text, app_protocol) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((text, protocol)) => (text, Some(protocol.into())),
        None => (text, None),
    };
    let (text, protocol) = match text.strip_suffix("/UDP") {
        Some(text) => (text, Protocol::Udp),
        None => (text, Protocol::Tcp),
    };
    let (name, numbers) = text.split_once(':').expect("name:port");
    let (number, target) = numbers.split_once('>').unwrap_or((numbers, numbers));
    PortView {
        name: (name != "-").then(|| name.into()),
        port: number.parse().expect("a port number"),
        target: Some(target.parse().map_or_else(|_| TargetPort::Name(target.into()), TargetPort::Number)),
        protocol,
        app_protocol,
    }
}
