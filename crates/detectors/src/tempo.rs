//! Grafana Tempo.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | grafana/tempo (one binary) | `name: tempo`, no component; the Service can also have a Jaeger UI on 16686 | `tempo-prom-metrics` 3100 up to 1.23.0, 3200 since |
//! | grafana/tempo-distributed | `name: tempo`, `component: query-frontend`; every component has the same port | `http-metrics` 3100 up to 1.40, 3200 since |
//! | the same | `component: gateway`: an nginx that answers too | `http-metrics` 80 |
//! | bitnami/grafana-tempo | `name: grafana-tempo`, `component: query-frontend` | `http` 3200 |
//! | tempo-operator, TempoStack | `name: tempo`, `component: query-frontend` (its discovery twin `query-frontend-discovery`) | `http` 3200 |
//! | tempo-operator, TempoMonolithic | `name: tempo-monolithic`, `component: tempo`; `jaegerui` is another program | `http` 3200 |
//! | by hand | `app: tempo` | 3200, older versions 3100 |

use crate::{
    engine::rule::{EndpointRole, Ports, Rule, name, shared_name},
    product::Product,
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
    name_words: &[&["tempo"], &["enterprise", "traces"]],
    other_components: &[
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
    endpoints: &[
        EndpointRole {
            roles: &["tempo", "query-frontend", "single-binary", "all"],
            role_optional: true,
            ..EndpointRole::on(OWN)
        },
        EndpointRole {
            roles: &["gateway"],
            tier: 1,
            ..EndpointRole::on(Ports {
                own_names: &["http-metrics", "public"],
                numbers: &[80, 8080],
                usual_names: &["http", "https"],
                ..Ports::NONE
            })
        },
    ],
    specific_ports: &[3200],
    ..Rule::of(Product::Tempo)
};
