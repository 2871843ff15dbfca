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
//! | tempo-operator, TempoStack with tenants | `component: gateway`, in front of a query frontend that only its clients with a certificate reach | `public` 8080, the tenant in the path |
//! | by hand | `app: tempo` | 3200, older versions 3100 |

use crate::{
    engine::rule::{EndpointRole, Login, Mark, Ports, Rule, Shape, Then, name, shared_name},
    finding::Auth,
    product::{Confidence::High, Product},
};

const OWN: Ports = Ports { own_names: &["tempo-prom-metrics", "http-metrics"], numbers: &[3200, 3100], ..Ports::NONE };

/// As [`OWN`], with the operator's name of the port.
const OPERATOR: Ports = Ports { usual_names: &["http"], ..OWN };

/// A component that tempo-operator labels.
const fn by_operator(role: &'static [Mark], then: EndpointRole) -> Shape {
    Shape { made_by: "tempo-operator", when: role, then: Then::Endpoint(then), confidence: High, bundled: false }
}

pub(crate) const RULE: Rule = Rule {
    names: &[
        name("tempo"),
        name("grafana-tempo"),
        name("tempo-distributed"),
        name("tempo-monolithic"),
        shared_name("enterprise-traces"),
    ],
    name_words: &[&["tempo"], &["enterprise", "traces"]],
    charts: &[
        name("tempo"),
        shared_name("tempo-distributed"),
        shared_name("grafana-tempo"),
        shared_name("enterprise-traces"),
    ],
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
    shapes: &[
        by_operator(
            &[
                Mark::Label("app.kubernetes.io/managed-by", "tempo-operator"),
                Mark::Label("app.kubernetes.io/component", "gateway"),
            ],
            EndpointRole {
                login: Some(Login::Usual(Auth::Bearer)),
                ..EndpointRole::on(Ports { own_names: &["public"], numbers: &[8080], ..Ports::NONE })
            },
        ),
        by_operator(
            &[
                Mark::Label("app.kubernetes.io/managed-by", "tempo-operator"),
                Mark::Label("app.kubernetes.io/component", "query-frontend"),
            ],
            EndpointRole { tier: 1, ..EndpointRole::on(OPERATOR) },
        ),
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
    specific_names: &["tempo-prom-metrics"],
    // Tenants are off by default.
    login: Login::Usual(Auth::None),
    path_setting: Some("-http-api-prefix"),
    ..Rule::of(Product::Tempo)
};
