//! Jaeger's query service.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | jaegertracing/jaeger 4.4 and newer (Jaeger v2) | `name: jaeger`, `component: all-in-one`, one Service with 14 ports | `http-query` 16686 |
//! | the same, 4.0 to 4.3, and 3 with `allInOne` | `name: jaeger`, `component: service-query`, headless and alone | `http-query` 16686 |
//! | the same up to 3 | `name: jaeger`, `component: query` | `query` 80 |
//! | bitnami/jaeger | `name: jaeger`, `component: query` | `http` 16686 |
//! | jaeger-operator | `app: jaeger`, `component: service-query`; `name` is the Service's own name | `http-query` 16686, `https-query` 443 behind its oauth-proxy |
//! | Istio's addon | `app: jaeger`, Service `tracing`; collector and `zipkin` (9411 `http-query`) carry it too | `http-query` 80 to 16686, base path `/jaeger` |
//! | linkerd-jaeger | `component: jaeger`, `linkerd.io/extension: jaeger` | `ui` 16686 |
//! | by hand | the selector asks for the operator's pods | 16686 |
//! | by hand, kompose | `app: jaeger`, `io.kompose.service: jaeger` | to 16686 under any name |
//!
//! Agent, collector and their headless twins take spans in and answer nothing.

use crate::{
    Confidence::{High, Medium},
    Product,
    engine::rule::{Door, Mark, Ports, Rule, Shape, Then, name},
};

const PORTS: Ports = Ports {
    own_names: &["http-query", "https-query", "query-http", "jaeger-query", "jaeger-ui", "query", "ui"],
    numbers: &[16686],
    usual_names: &[],
    // Zipkin's format taken in, under `http-query` in Istio's addon.
    never: &[9411, 16685, 16687],
};

const DOOR: Door = Door { roles: &[], bare: false, tier: 0, path: "", ports: PORTS };

pub(crate) const RULE: Rule = Rule {
    names: &[name("jaeger"), name("jaeger-query"), name("jaeger-all-in-one"), name("jaeger-ui")],
    words: &[&["jaeger"]],
    parts: &[
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
            then: Then::Door(DOOR),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "a Service over jaeger-operator's pods",
            when: &[
                Mark::NoLabel("app.kubernetes.io/component"),
                Mark::Selector("app.kubernetes.io/part-of", "jaeger"),
                Mark::Selector("app.kubernetes.io/managed-by", "jaeger-operator"),
            ],
            then: Then::Door(DOOR),
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
            then: Then::Door(Door { path: "/jaeger", ..DOOR }),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "linkerd-jaeger",
            when: &[Mark::Label("component", "jaeger"), Mark::Label("linkerd.io/extension", "jaeger")],
            then: Then::Door(DOOR),
            confidence: High,
            bundled: true,
        },
    ],
    doors: &[Door {
        roles: &["query", "service-query", "all-in-one", "allinone", "jaeger-query", "ui", "jaeger-all-in-one"],
        bare: true,
        ..DOOR
    }],
    telling_ports: &[16686],
    ..Rule::of(Product::Jaeger)
};
