//! Grafana Loki.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | grafana/loki, grafana-community/loki | `name: loki`, `component: gateway`; its nginx exporter has the same labels on 4040 | `http` or `http-metrics` 80 |
//! | the same, one binary | `name: loki`, no component or `single-binary`; twins `-headless`, `-memberlist` (7946) | `http-metrics` 3100 |
//! | grafana/loki-distributed | `name: loki-distributed`, `component: gateway`, `query-frontend` | `http` 80, `http` 3100 |
//! | bitnami/grafana-loki | `name: grafana-loki`, `component: gateway`, `query-frontend` | `http` 80, `http` 3100 |
//! | grafana/loki up to 2, loki-stack | `app: loki`, `chart`, `release`; memberlist 7946 is named `http` | `http-metrics` 3100 |
//! | loki-operator (LokiStack) | `name: lokistack`, `component: lokistack-gateway` | `public` 8080, the tenant in the path |
//! | the same without tenants, so without a gateway | `name: lokistack`, `component: query-frontend` | its listener is named `metrics`, 3100 |
//! | Grafana Enterprise Logs | `name: enterprise-logs`, `component: gateway` | `http-metrics` 3100 |
//! | by hand | `app: loki` | 3100 under any name |
//!
//! The write path, the querier behind the frontend and the rest of the microservices carry the same name and port.

use crate::{
    Confidence::High,
    Product,
    engine::rule::{Door, Mark, Ports, Rule, Shape, Then, name, shared_name},
};

/// Loki's own listener.
const OWN: Ports = Ports { own_names: &["http-metrics"], numbers: &[3100], usual_names: &[], never: &[3500, 4040] };

pub(crate) const RULE: Rule = Rule {
    names: &[
        name("loki"),
        name("grafana-loki"),
        name("loki-distributed"),
        name("loki-simple-scalable"),
        name("loki-stack"),
        shared_name("lokistack"),
        shared_name("enterprise-logs"),
    ],
    words: &[&["loki"], &["lokistack"], &["enterprise", "logs"]],
    parts: &[
        "backend",
        "bloom",
        "compactor",
        "distributor",
        "index",
        "ingester",
        "planner",
        "querier",
        "ring",
        "ruler",
        "scheduler",
        "table",
        "write",
        "writer",
        "chunks",
        "results",
        "frontend-headless",
        "pattern",
    ],
    shapes: &[Shape {
        made_by: "loki-operator",
        when: &[
            Mark::Label("app.kubernetes.io/name", "lokistack"),
            Mark::Label("app.kubernetes.io/component", "query-frontend"),
            Mark::Port("metrics", 3100),
        ],
        then: Then::Door(Door {
            roles: &[],
            bare: false,
            tier: 2,
            path: "",
            ports: Ports { own_names: &["metrics"], ..Ports::NONE },
        }),
        confidence: High,
        bundled: false,
    }],
    doors: &[
        Door {
            roles: &["gateway", "lokistack-gateway", "nginx"],
            bare: false,
            tier: 0,
            path: "",
            ports: Ports {
                own_names: &["public"],
                numbers: &[80, 8080, 3100],
                usual_names: &["http", "http-metrics", "https"],
                never: &[4040, 9113],
            },
        },
        Door { roles: &["single-binary", "loki", "all"], bare: true, tier: 1, path: "", ports: OWN },
        Door { roles: &["query-frontend"], bare: false, tier: 2, path: "", ports: OWN },
        Door { roles: &["read"], bare: false, tier: 3, path: "", ports: OWN },
    ],
    telling_ports: &[3100],
    ..Rule::of(Product::Loki)
};
