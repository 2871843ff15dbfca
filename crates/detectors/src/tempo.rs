//! Grafana Tempo.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | grafana/tempo (one binary) | `name: tempo`, no component; the Service may also carry a Jaeger UI on 16686 | `tempo-prom-metrics` 3100 up to 1.23.0, 3200 since |
//! | grafana/tempo-distributed | `name: tempo`, `component: query-frontend`; every part has the same port | `http-metrics` 3100 up to 1.40, 3200 since |
//! | the same | `component: gateway`: nginx, answers too | `http-metrics` 80 |
//! | bitnami/grafana-tempo | `name: grafana-tempo`, `component: query-frontend` | `http` 3200 |
//! | tempo-operator, TempoStack | `name: tempo`, `component: query-frontend` (its discovery twin `query-frontend-discovery`) | `http` 3200 |
//! | tempo-operator, TempoMonolithic | `name: tempo-monolithic`, `component: tempo`; `jaegerui` is another program's view of it | `http` 3200 |
//! | by hand | `app: tempo` | 3200, before 3100 |

use crate::{
    Product,
    engine::rule::{Door, Ports, Rule, name, shared_name},
};

const OWN: Ports = Ports { own_names: &["tempo-prom-metrics", "http-metrics"], numbers: &[3200, 3100], ..Ports::NONE };

pub(crate) const RULE: Rule = Rule {
    names: &[
        name("tempo"),
        name("grafana-tempo"),
        name("tempo-distributed"),
        name("tempo-monolithic"),
        shared_name("enterprise-traces"),
    ],
    words: &[&["tempo"], &["enterprise", "traces"]],
    parts: &[
        "compactor",
        "distributor",
        "generator",
        "ingester",
        "jaegerui",
        "memcached",
        "querier",
        "ring",
        "scheduler",
        "vulture",
        "query-frontend-discovery",
        "backend",
        "live",
    ],
    doors: &[
        Door { roles: &["tempo", "query-frontend", "single-binary", "all"], bare: true, tier: 0, path: "", ports: OWN },
        Door {
            roles: &["gateway"],
            bare: false,
            tier: 1,
            path: "",
            ports: Ports {
                own_names: &["http-metrics", "public"],
                numbers: &[80, 8080],
                usual_names: &["http", "https"],
                ..Ports::NONE
            },
        },
    ],
    telling_ports: &[3200],
    ..Rule::of(Product::Tempo)
};
