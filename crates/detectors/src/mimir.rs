//! Grafana Mimir. The path prefix of its Prometheus API is `/prometheus` in every component.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | grafana/mimir-distributed up to 5 | `name: mimir`, `component: nginx` | `http-metric` 80 |
//! | grafana/mimir-distributed 4 and newer | `name: mimir`, `component: gateway` | `http-metrics` 80, `legacy-http-metrics` 8080 |
//! | Grafana Enterprise Metrics | `app: enterprise-metrics-gateway` | 8080 |
//! | bitnami/grafana-mimir | `name: grafana-mimir`, `component: gateway` | `http` 80 |
//! | all of them | `component: query-frontend`: answers too, but the gateway is preferred | `http-metrics` or `http` 8080 |
//! | mimir chart's own gateway | its nginx serves `/prometheus`; `-http.prometheus-http-prefix` can move the API of the others | |
//! | one process (`-target=all`), by hand | `app: mimir` | `http` 9009 or 8080 |

use crate::{
    engine::rule::{EndpointRole, Login, Ports, Rule, name, shared_name},
    finding::Auth,
    product::Product,
};

pub(crate) const RULE: Rule = Rule {
    names: &[
        name("mimir"),
        name("grafana-mimir"),
        name("mimir-distributed"),
        name("enterprise-metrics"),
        name("enterprise-metrics-gateway"),
    ],
    name_words: &[&["mimir"], &["enterprise", "metrics"]],
    charts: &[shared_name("mimir-distributed"), shared_name("grafana-mimir"), shared_name("enterprise-metrics")],
    other_components: &[
        "alertmanager",
        "compactor",
        "distributor",
        "ingester",
        "overrides",
        "querier",
        "ring",
        "ruler",
        "scheduler",
        "store",
        "write",
        "backend",
        "api",
    ],
    endpoints: &[
        EndpointRole {
            roles: &["gateway", "nginx"],
            path: "/prometheus",
            ..EndpointRole::on(Ports {
                own_names: &["http-metric", "http-metrics"],
                numbers: &[80, 8080],
                usual_names: &["http", "https"],
                ..Ports::NONE
            })
        },
        EndpointRole {
            roles: &["single-binary", "all", "mimir", "monolithic"],
            role_optional: true,
            path: "/prometheus",
            ..EndpointRole::on(Ports {
                own_names: &["http-metrics"],
                numbers: &[9009, 8080],
                usual_names: &["http"],
                ..Ports::NONE
            })
        },
        EndpointRole {
            roles: &["query-frontend", "read"],
            tier: 1,
            path: "/prometheus",
            ..EndpointRole::on(Ports {
                own_names: &["http-metrics"],
                numbers: &[8080, 9009],
                usual_names: &["http"],
                ..Ports::NONE
            })
        },
    ],
    specific_ports: &[9009],
    path_setting: Some("-http.prometheus-http-prefix"),
    login: Login::Usual(Auth::Tenant),
    ..Rule::of(Product::Mimir)
};
