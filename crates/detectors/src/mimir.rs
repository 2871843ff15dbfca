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
    pods::program::{
        Case, If, Listen, Path, ProbePath, Program, Role, Says, Setting, answers, case, flag, silent, usually,
    },
    probe::facts::{
        Facts, Family,
        HealthPath::{Below, Beside},
    },
    product::{Product, Scheme},
    prometheus::{BUILD_INFO, QUERY},
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
    specific_names: &["mimir"],
    path_setting: Some("-http.prometheus-http-prefix"),
    login: Login::Usual(Auth::Tenant),
    serves_metrics: true,
    ..Rule::of(Product::Mimir)
};

const TARGET: Setting = flag("target");

/// The roles of Mimir and of Cortex, from which it comes. A list of targets answers if one of them does.
const POD_ROLES: &[Case<Role>] = &[
    case(&[If::Has(TARGET, "all")], answers("all")),
    case(&[If::Has(TARGET, "query-frontend")], answers("query-frontend")),
    case(&[If::Has(TARGET, "read")], answers("read")),
    case(&[If::Has(TARGET, "gateway")], answers("gateway")),
    case(&[If::Has(TARGET, "alertmanager")], silent("alertmanager")),
    case(&[If::Has(TARGET, "compactor")], silent("compactor")),
    case(&[If::Has(TARGET, "distributor")], silent("distributor")),
    case(&[If::Has(TARGET, "ingester")], silent("ingester")),
    case(&[If::Has(TARGET, "querier")], silent("querier")),
    case(&[If::Has(TARGET, "ruler")], silent("ruler")),
    case(&[If::Has(TARGET, "store-gateway")], silent("store-gateway")),
    case(&[If::Has(TARGET, "query-scheduler")], silent("query-scheduler")),
    case(&[If::Has(TARGET, "overrides-exporter")], silent("overrides-exporter")),
    case(&[If::Has(TARGET, "write")], silent("write")),
    case(&[If::Has(TARGET, "backend")], silent("backend")),
    case(&[If::Given(TARGET)], silent("an internal component")),
    case(&[], usually("all")),
];

const MIMIR: Program = Program {
    containers: &["mimir", "query-frontend", "gateway"],
    marks: &[
        If::Given(flag("blocks-storage.backend")),
        If::Given(flag("blocks-storage.s3.bucket-name")),
        If::Given(flag("blocks-storage.s3.endpoint")),
        If::Given(flag("blocks-storage.gcs.bucket-name")),
        If::Given(flag("blocks-storage.tsdb.dir")),
        If::Given(flag("auth.multitenancy-enabled")),
        If::Given(flag("http.prometheus-http-prefix")),
        If::Given(flag("usage-stats.installation-mode")),
    ],
    shared_marks: &[If::Given(TARGET), If::Given(flag("config.file")), If::Given(flag("server.http-listen-port"))],
    listen: Listen {
        settings: &[flag("server.http-listen-port")],
        default: &[8080],
        never: &[9095, 7946],
        file: &[If::Given(flag("config.file"))],
    },
    roles: POD_ROLES,
    scheme: &[
        case(&[If::Given(flag("server.http-tls-cert-path"))], Says::Stated(Scheme::Https)),
        case(&[], Says::Default(Scheme::Http)),
    ],
    prefix: &[
        case(&[If::Given(flag("server.path-prefix"))], Says::Stated(Path::Of(flag("server.path-prefix")))),
        case(&[], Says::Default(Path::Fixed(""))),
    ],
    api: &[
        case(
            &[If::Given(flag("http.prometheus-http-prefix"))],
            Says::Stated(Path::Of(flag("http.prometheus-http-prefix"))),
        ),
        case(&[], Says::Default(Path::Fixed("/prometheus"))),
    ],
    // Clients name a tenant unless this is off, which the file can say too.
    auth: &[
        case(&[If::Off(flag("auth.multitenancy-enabled"))], Says::Stated(Auth::None)),
        case(&[If::On(flag("auth.multitenancy-enabled"))], Says::Stated(Auth::Tenant)),
        case(&[If::Given(flag("config.file"))], Says::Open),
        case(&[], Says::Default(Auth::Tenant)),
    ],
    probe_path: ProbePath::Before(&["/ready"]),
    ..Program::of(Product::Mimir)
};

/// Sources: Mimir's reference of configuration parameters; cortexproject/cortex `pkg/api/api.go` (both prefixes answer)
/// and its reference; Grafana Enterprise Metrics is Mimir with a gateway and tokens.
pub(crate) const PODS: &[Program] = &[
    Program { images: &["mimir", "grafana-mimir"], ..MIMIR },
    Program {
        images: &["metrics-enterprise", "enterprise-metrics"],
        auth: &[case(&[], Says::Usual(Auth::Basic))],
        ..MIMIR
    },
    Program {
        images: &["cortex"],
        containers: &["cortex"],
        listen: Listen {
            settings: &[flag("server.http-listen-port")],
            default: &[80],
            never: &[9095, 7946],
            file: &[If::Given(flag("config.file"))],
        },
        api: &[
            case(
                &[If::Given(flag("http.prometheus-http-prefix"))],
                Says::Stated(Path::Of(flag("http.prometheus-http-prefix"))),
            ),
            // Before 1.0 there is only this one.
            case(&[If::Before(1)], Says::Default(Path::Fixed("/api/prom"))),
            case(&[], Says::Default(Path::Fixed("/prometheus"))),
        ],
        auth: &[
            case(&[If::Off(flag("auth.enabled"))], Says::Stated(Auth::None)),
            case(&[If::On(flag("auth.enabled"))], Says::Stated(Auth::Tenant)),
            case(&[If::Given(flag("config.file"))], Says::Open),
            case(&[], Says::Default(Auth::Tenant)),
        ],
        ..MIMIR
    },
];

/// Source: grafana/mimir `pkg/api/api.go`: `/ready` is beside the prefix of the Prometheus API. The chart's gateway passes
/// only the APIs on, and answers `/` itself.
pub(crate) const PROBE: Facts = Facts {
    health: &[Beside("/ready"), Below("/api/v1/status/buildinfo"), Below("/api/v1/query?query=1"), Beside("/")],
    api: API,
    questions: &[QUERY, BUILD_INFO],
    prefixes: API,
    family: Some(Family::PromQl),
    ..Facts::of(Product::Mimir)
};

/// `-http.prometheus-http-prefix`, and what Cortex has beside it.
const API: &[&str] = &["/prometheus", "/api/prom"];
