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
    loki::BUILD_INFO,
    pods::program::{If, Listen, Path, Program, Says, Setting, answers, case, flag, silent, usually},
    probe::{
        facts::{
            Facts,
            HealthPath::{AtRoot, Below},
            NO_QUERIES, Question, confirmed, confirmed_unless_no_queries, itself,
        },
        mark::Mark::Body,
    },
    product::{Confidence::High, Product, Scheme},
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
    specific_names: &["tempo", "tempo-prom-metrics"],
    // Tenants are off by default.
    login: Login::Usual(Auth::None),
    path_setting: Some("-http-api-prefix"),
    serves_metrics: true,
    ..Rule::of(Product::Tempo)
};

const TARGET: Setting = flag("target");

/// Sources: grafana/tempo `cmd/tempo/app/config.go` and `modules.go` (targets; `-http-api-prefix` stands before the API
/// only, `/ready` stays); tempo-operator's gateway.
pub(crate) const PODS: &[Program] = &[
    Program {
        images: &["tempo", "grafana-tempo", "enterprise-traces"],
        containers: &["tempo", "query-frontend", "tempo-query-frontend"],
        marks: &[
            If::Given(flag("storage.trace.backend")),
            If::Given(flag("storage.trace.local.path")),
            If::Given(flag("mem-ballast-size-mbs")),
            If::Given(flag("generator.instance-id")),
            If::Given(flag("multitenancy.enabled")),
            If::Given(flag("http-api-prefix")),
        ],
        shared_marks: &[If::Given(TARGET), If::Given(flag("config.file")), If::Given(flag("server.http-listen-port"))],
        // 3200 by default. Up to chart 1.23 the charts' file says 3100.
        listen: Listen {
            settings: &[flag("server.http-listen-port")],
            default: &[3200],
            never: &[9095, 7946, 4317, 4318, 9411, 14250, 14268, 6831, 6832, 55678, 55680, 55681, 16685, 16686, 16687],
            file: &[If::Given(flag("config.file"))],
        },
        roles: &[
            case(&[If::Has(TARGET, "all")], answers("all")),
            case(&[If::Has(TARGET, "scalable-single-binary")], answers("single-binary")),
            case(&[If::Has(TARGET, "query-frontend")], answers("query-frontend")),
            case(&[If::Has(TARGET, "querier")], silent("querier")),
            case(&[If::Has(TARGET, "distributor")], silent("distributor")),
            case(&[If::Has(TARGET, "ingester")], silent("ingester")),
            case(&[If::Has(TARGET, "compactor")], silent("compactor")),
            case(&[If::Has(TARGET, "metrics-generator")], silent("metrics-generator")),
            case(&[If::Given(TARGET)], silent("an internal component")),
            case(&[], usually("all")),
        ],
        scheme: &[
            case(&[If::Given(flag("server.http-tls-cert-path"))], Says::Stated(Scheme::Https)),
            case(&[], Says::Default(Scheme::Http)),
        ],
        prefix: &[
            case(&[If::Given(flag("http-api-prefix"))], Says::Stated(Path::Of(flag("http-api-prefix")))),
            case(&[], Says::Default(Path::Fixed(""))),
        ],
        auth: &[
            case(&[If::On(flag("multitenancy.enabled"))], Says::Stated(Auth::Tenant)),
            case(&[If::Off(flag("multitenancy.enabled"))], Says::Stated(Auth::None)),
            case(&[If::Given(flag("config.file"))], Says::Open),
            case(&[], Says::Default(Auth::None)),
        ],
        ..Program::of(Product::Tempo)
    },
    // The gateway of a TempoStack is observatorium's API. The name of the tenant in the path is in a Secret.
    Program {
        images: &["tempo-gateway"],
        marks: &[If::Given(flag("traces.tempo.endpoint")), If::Given(flag("traces.read.endpoint"))],
        shared_marks: &[If::Given(flag("tenants.config")), If::Given(flag("rbac.config"))],
        listen: Listen {
            settings: &[flag("web.listen")],
            default: &[8080],
            never: &[8081, 8090],
            file: &[If::Given(flag("config.file"))],
        },
        roles: &[case(&[], answers("gateway"))],
        scheme: &[
            case(&[If::Given(flag("tls.server.cert-file"))], Says::Stated(Scheme::Https)),
            case(&[], Says::Default(Scheme::Http)),
        ],
        prefix: &[case(&[], Says::Open)],
        auth: &[case(&[], Says::Default(Auth::Bearer))],
        ..Program::of(Product::Tempo)
    },
];

/// Source: grafana/tempo `cmd/tempo/app/app.go` (every component answers `/ready` and the build information),
/// `modules.go` (only the query frontend and the single binary have `/api/echo`, which needs no tenant). `-http-api-prefix`
/// stands before the API and not before `/ready`. Version 1 has no build information. The chart's gateway passes only the
/// API on, and answers `/` itself.
pub(crate) const PROBE: Facts = Facts {
    health: &[Below("/ready"), AtRoot("/ready"), Below("/api/echo"), Below("/")],
    questions: &[
        Question { path: "/api/echo", proofs: &[confirmed(&[Body("echo")]), NO_QUERIES] },
        // A gateway can ask for a login first, or not pass the first path on.
        Question {
            path: "/api/status/buildinfo",
            proofs: &[confirmed_unless_no_queries(BUILD_INFO), itself(BUILD_INFO)],
        },
    ],
    prefixes: &["/tempo"],
    rivals: &[Product::Loki],
    ..Facts::of(Product::Tempo)
};
