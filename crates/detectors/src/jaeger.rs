//! Jaeger's query service.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | jaegertracing/jaeger 4.4 and newer (Jaeger v2) | `name: jaeger`, `component: all-in-one`, its Service has 14 ports | `http-query` 16686 |
//! | the same, 4.0 to 4.3, and 3 with `allInOne` | `name: jaeger`, `component: service-query`, headless, the only Service | `http-query` 16686 |
//! | the same up to 3 | `name: jaeger`, `component: query` | `query` 80 |
//! | bitnami/jaeger | `name: jaeger`, `component: query` | `http` 16686 |
//! | jaeger-operator | `app: jaeger`, `component: service-query`; `name` is the Service's own name | `http-query` 16686, `https-query` 443 behind its oauth-proxy |
//! | Istio's addon | `app: jaeger`, Service `tracing`; collector and `zipkin` (9411 `http-query`) have this label too | `http-query` 80 to 16686, base path `/jaeger` |
//! | linkerd-jaeger | `component: jaeger`, `linkerd.io/extension: jaeger` | `ui` 16686 |
//! | OpenTelemetry operator, for Jaeger v2 | `managed-by: opentelemetry-operator`, Service `<cr>-collector` | `jaeger-query` 16686, or a name that the user chooses |
//! | by hand | the selector has the operator's Pods | 16686 |
//! | by hand, kompose | `app: jaeger`, `io.kompose.service: jaeger` | to 16686 under any name |
//!
//! It asks nobody for a password.
//!
//! Agent, collector and their headless twins receive spans and answer no queries.

use crate::{
    engine::rule::{EndpointRole, Login, Mark, Ports, Rule, Shape, Then, name, shared_name},
    finding::Auth,
    product::{
        Confidence::{High, Medium},
        Product,
    },
};

const PORTS: Ports = Ports {
    own_names: &["http-query", "https-query", "query-http", "jaeger-query", "jaeger-ui", "query", "ui"],
    numbers: &[16686],
    usual_names: &[],
    // Spans in Zipkin's format are received on 9411, which Istio's addon names `http-query`.
    never: &[9411, 16685, 16687],
};

const ENDPOINT: EndpointRole = EndpointRole::on(PORTS);

pub(crate) const RULE: Rule = Rule {
    names: &[name("jaeger"), name("jaeger-query"), name("jaeger-all-in-one"), name("jaeger-ui")],
    name_words: &[&["jaeger"]],
    charts: &[shared_name("jaeger")],
    other_components: &[
        "agents",
        "collectors",
        "index",
        "ingester",
        "rollover",
        "spark",
        "dependencies",
        "remote",
        "storage",
        "grpc",
        "thrift",
        "otlp",
    ],
    shapes: &[
        Shape {
            made_by: "jaeger-operator",
            when: &[
                Mark::Label("app", "jaeger"),
                Mark::Label("app.kubernetes.io/component", "service-query"),
                Mark::Label("app.kubernetes.io/part-of", "jaeger"),
            ],
            then: Then::Endpoint(ENDPOINT),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "a Service that selects jaeger-operator's Pods",
            when: &[
                Mark::NoLabel("app.kubernetes.io/component"),
                Mark::Selector("app.kubernetes.io/part-of", "jaeger"),
                Mark::Selector("app.kubernetes.io/managed-by", "jaeger-operator"),
            ],
            then: Then::Endpoint(ENDPOINT),
            confidence: Medium,
            bundled: false,
        },
        // The collector of OpenTelemetry has no query part.
        Shape {
            made_by: "the OpenTelemetry operator for Jaeger v2",
            when: &[Mark::Label("app.kubernetes.io/managed-by", "opentelemetry-operator"), Mark::HasPort(16686)],
            then: Then::Endpoint(ENDPOINT),
            confidence: Medium,
            bundled: false,
        },
        Shape {
            made_by: "Istio's addon",
            when: &[
                Mark::Label("app", "jaeger"),
                Mark::NoLabel("app.kubernetes.io/name"),
                Mark::Selector("app", "jaeger"),
                Mark::Port("http-query", 80),
            ],
            then: Then::Endpoint(EndpointRole { path: "/jaeger", ..ENDPOINT }),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "linkerd-jaeger",
            when: &[Mark::Label("component", "jaeger"), Mark::Label("linkerd.io/extension", "jaeger")],
            then: Then::Endpoint(ENDPOINT),
            confidence: High,
            bundled: true,
        },
    ],
    endpoints: &[EndpointRole {
        roles: &["query", "service-query", "all-in-one", "allinone", "jaeger-query", "ui", "jaeger-all-in-one"],
        role_optional: true,
        ..ENDPOINT
    }],
    specific_ports: &[16686],
    specific_names: &["jaeger-query", "jaeger-ui"],
    path_setting: Some("--query.base-path, or base_path of Jaeger v2"),
    login: Login::Usual(Auth::None),
    ..Rule::of(Product::Jaeger)
};
