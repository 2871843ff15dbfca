//! Grafana Mimir. The Prometheus API stands under `/prometheus` on every part that answers it.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | grafana/mimir-distributed up to 5 | `name: mimir`, `component: nginx` | `http-metric` 80 |
//! | grafana/mimir-distributed 4 and newer | `name: mimir`, `component: gateway` | `http-metrics` 80, `legacy-http-metrics` 8080 |
//! | Grafana Enterprise Metrics | `app: enterprise-metrics-gateway` | 8080 |
//! | bitnami/grafana-mimir | `name: grafana-mimir`, `component: gateway` | `http` 80 |
//! | all of them | `component: query-frontend`: answers too, behind the gateway | `http-metrics` or `http` 8080 |
//! | one process (`-target=all`), by hand | `app: mimir` | `http` 9009 or 8080 |

use crate::{
    Product,
    engine::rule::{Door, Ports, Rule, name},
};

pub(crate) const RULE: Rule = Rule {
    names: &[
        name("mimir"),
        name("grafana-mimir"),
        name("mimir-distributed"),
        name("enterprise-metrics"),
        name("enterprise-metrics-gateway"),
    ],
    words: &[&["mimir"], &["enterprise", "metrics"]],
    parts: &[
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
    doors: &[
        Door {
            roles: &["gateway", "nginx"],
            bare: false,
            tier: 0,
            path: "/prometheus",
            ports: Ports {
                own_names: &["http-metric", "http-metrics"],
                numbers: &[80, 8080],
                usual_names: &["http", "https"],
                ..Ports::NONE
            },
        },
        Door {
            roles: &["single-binary", "all", "mimir", "monolithic"],
            bare: true,
            tier: 0,
            path: "/prometheus",
            ports: Ports {
                own_names: &["http-metrics"],
                numbers: &[9009, 8080],
                usual_names: &["http"],
                ..Ports::NONE
            },
        },
        Door {
            roles: &["query-frontend", "read"],
            bare: false,
            tier: 1,
            path: "/prometheus",
            ports: Ports {
                own_names: &["http-metrics"],
                numbers: &[8080, 9009],
                usual_names: &["http"],
                ..Ports::NONE
            },
        },
    ],
    telling_ports: &[9009],
    ..Rule::of(Product::Mimir)
};
