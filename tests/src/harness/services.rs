//! Services as charts and operators make them, for tests about what happens to them.
//!
//! The detectors' own tests hold the variants; here is one typical Service per product.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::api::ObjectMeta;

/// A Service under construction. It selects Pods labelled `app: <name>` unless told otherwise.
#[derive(Clone, Debug)]
pub struct ServiceBuilder {
    namespace: String,
    name: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    selector: BTreeMap<String, String>,
    ports: Vec<ServicePort>,
    headless: bool,
}

impl ServiceBuilder {
    /// A Service without labels or ports.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            selector: owned(&[("app", name)]),
            ports: Vec::new(),
            headless: false,
        }
    }

    /// Adds labels.
    #[must_use]
    pub fn labels(mut self, labels: &[(&str, &str)]) -> Self {
        self.labels.extend(owned(labels));
        self
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Replaces the selector.
    #[must_use]
    pub fn selector(mut self, labels: &[(&str, &str)]) -> Self {
        self.selector = owned(labels);
        self
    }

    /// Adds a TCP port.
    #[must_use]
    pub fn port(mut self, name: &str, port: i32, target: i32) -> Self {
        self.ports.push(ServicePort {
            name: Some(name.to_owned()),
            port,
            target_port: Some(IntOrString::Int(target)),
            protocol: Some("TCP".to_owned()),
            ..ServicePort::default()
        });
        self
    }

    /// Takes the cluster IP away.
    #[must_use]
    pub fn headless(mut self) -> Self {
        self.headless = true;
        self
    }

    /// The Service.
    pub fn build(self) -> Service {
        Service {
            metadata: ObjectMeta {
                namespace: Some(self.namespace),
                name: Some(self.name),
                labels: Some(self.labels),
                annotations: Some(self.annotations),
                ..ObjectMeta::default()
            },
            spec: Some(ServiceSpec {
                selector: Some(self.selector),
                ports: Some(self.ports),
                cluster_ip: self.headless.then(|| "None".to_owned()),
                ..ServiceSpec::default()
            }),
            status: None,
        }
    }
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The server of the prometheus-community chart.
pub fn prometheus_server(namespace: &str) -> Service {
    prometheus_named(namespace, "prometheus-server")
}

/// The same under a release name of the user's own.
pub fn prometheus_named(namespace: &str, name: &str) -> Service {
    let pods = [
        ("app.kubernetes.io/name", "prometheus"),
        ("app.kubernetes.io/component", "server"),
        ("app.kubernetes.io/instance", name),
    ];
    ServiceBuilder::new(namespace, name)
        .labels(&pods)
        .labels(&[("app.kubernetes.io/part-of", "prometheus"), ("app.kubernetes.io/managed-by", "Helm")])
        .selector(&pods)
        .port("http", 80, 9090)
        .build()
}

/// Grafana of its own chart.
pub fn grafana(namespace: &str) -> Service {
    let pods = [("app.kubernetes.io/name", "grafana"), ("app.kubernetes.io/instance", "grafana")];
    ServiceBuilder::new(namespace, "grafana").labels(&pods).selector(&pods).port("service", 80, 3000).build()
}

/// The query component of a Jaeger that the operator made.
pub fn jaeger_query(namespace: &str) -> Service {
    let pods = [
        ("app", "jaeger"),
        ("app.kubernetes.io/name", "tracing-query"),
        ("app.kubernetes.io/instance", "tracing"),
        ("app.kubernetes.io/component", "query"),
        ("app.kubernetes.io/part-of", "jaeger"),
    ];
    ServiceBuilder::new(namespace, "tracing-query")
        .labels(&[("app", "jaeger"), ("app.kubernetes.io/name", "tracing-query")])
        .labels(&[("app.kubernetes.io/instance", "tracing"), ("app.kubernetes.io/part-of", "jaeger")])
        .labels(&[
            ("app.kubernetes.io/component", "service-query"),
            ("app.kubernetes.io/managed-by", "jaeger-operator"),
        ])
        .selector(&pods)
        .port("http-query", 16686, 16686)
        .port("grpc-query", 16685, 16685)
        .build()
}

/// Elasticsearch of Elastic's chart: the Service that clients use.
pub fn elasticsearch(namespace: &str) -> Service {
    elasticsearch_named(namespace, "elasticsearch-master").build()
}

/// Its headless twin, over the same Pods.
pub fn elasticsearch_headless(namespace: &str) -> Service {
    elasticsearch_named(namespace, "elasticsearch-master-headless").headless().build()
}

fn elasticsearch_named(namespace: &str, name: &str) -> ServiceBuilder {
    ServiceBuilder::new(namespace, name)
        .labels(&[("app", "elasticsearch-master"), ("chart", "elasticsearch"), ("heritage", "Helm")])
        .labels(&[("release", "elasticsearch")])
        .selector(&[("app", "elasticsearch-master"), ("chart", "elasticsearch"), ("release", "elasticsearch")])
        .port("http", 9200, 9200)
        .port("transport", 9300, 9300)
}

/// A Service whose owner says what it is.
pub fn annotated(namespace: &str, name: &str, kind: &str) -> Service {
    ServiceBuilder::new(namespace, name)
        .annotation("kubernaut.io/toolset", "enabled")
        .annotation("kubernaut.io/toolset-type", kind)
        .port("http", 8080, 8080)
        .build()
}

/// A Service of somebody's application, of no interest to the operator.
pub fn web_shop(namespace: &str, name: &str) -> Service {
    ServiceBuilder::new(namespace, name)
        .labels(&[("app", name), ("app.kubernetes.io/part-of", "shop")])
        .port("web", 80, 8080)
        .build()
}
