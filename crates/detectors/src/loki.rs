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
//! It asks for a tenant unless `auth_enabled` is false. The gateway of loki-operator asks for a token, and the tenant is in
//! its path.
//!
//! The write path, the querier behind the frontend and all other microservices have the same name and port.

use crate::{
    engine::rule::{EndpointRole, Login, Mark, Ports, Rule, Shape, Then, name, shared_name},
    finding::Auth,
    product::{Confidence::High, Product},
};

/// The ports of Loki itself.
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
    name_words: &[&["loki"], &["lokistack"], &["enterprise", "logs"]],
    charts: &[
        name("loki"),
        name("loki-stack"),
        shared_name("loki-distributed"),
        shared_name("loki-simple-scalable"),
        shared_name("grafana-loki"),
        shared_name("enterprise-logs"),
    ],
    other_components: &[
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
        then: Then::Endpoint(EndpointRole {
            tier: 2,
            ..EndpointRole::on(Ports { own_names: &["metrics"], ..Ports::NONE })
        }),
        confidence: High,
        bundled: false,
    }],
    endpoints: &[
        EndpointRole {
            roles: &["gateway", "nginx"],
            ..EndpointRole::on(Ports {
                own_names: &["public"],
                numbers: &[80, 8080, 3100],
                usual_names: &["http", "http-metrics", "https"],
                never: &[4040, 9113],
            })
        },
        EndpointRole {
            roles: &["lokistack-gateway"],
            login: Some(Login::Usual(Auth::Bearer)),
            ..EndpointRole::on(Ports { own_names: &["public"], numbers: &[8080], ..Ports::NONE })
        },
        EndpointRole {
            roles: &["single-binary", "loki", "all"],
            role_optional: true,
            tier: 1,
            ..EndpointRole::on(OWN)
        },
        EndpointRole { roles: &["query-frontend"], tier: 2, ..EndpointRole::on(OWN) },
        EndpointRole { roles: &["read"], tier: 3, ..EndpointRole::on(OWN) },
    ],
    specific_ports: &[3100],
    login: Login::Usual(Auth::Tenant),
    path_setting: Some("-server.path-prefix"),
    ..Rule::of(Product::Loki)
};
