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
    pods::program::{If, Listen, Path, ProbePath, Program, Says, Setting, answers, case, flag, silent, usually},
    probe::{
        facts::{Facts, HealthPath::Below, NO_QUERIES, Question, confirmed_unless_no_queries, itself, queries},
        mark::{self, Mark::Text},
    },
    product::{Confidence::High, Product, Scheme},
};

/// The ports of Loki itself.
const OWN: Ports =
    Ports { own_names: &["http-metrics"], numbers: &[3100], usual_names: &[], targets: &[], never: &[3500, 4040] };

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
                targets: &[],
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
    specific_names: &["loki"],
    login: Login::Usual(Auth::Tenant),
    path_setting: Some("-server.path-prefix"),
    serves_metrics: true,
    ..Rule::of(Product::Loki)
};

const TARGET: Setting = flag("target");

/// Sources: grafana/loki `pkg/loki/loki.go` (targets) and its reference of configuration parameters (`auth_enabled` is on
/// by default; `-server.path-prefix` stands before `/ready` too); loki-operator `internal/manifests/gateway.go`.
pub(crate) const PODS: &[Program] = &[
    Program {
        images: &["loki", "grafana-loki", "logging-loki", "enterprise-logs"],
        containers: &["loki", "single-binary", "query-frontend", "loki-query-frontend"],
        marks: &[
            If::Given(flag("boltdb.shipper.compactor.working-directory")),
            If::Given(flag("boltdb.shipper.shared-store")),
            If::Given(flag("tsdb.shipper.active-index-directory")),
            If::Given(flag("common.compactor-address")),
            If::Given(flag("legacy-read-mode")),
            If::Given(flag("querier.multi-tenant-queries-enabled")),
            If::Given(flag("validation.allow-structured-metadata")),
            If::Given(flag("ingester.wal-dir")),
        ],
        shared_marks: &[
            If::Given(TARGET),
            If::Given(flag("config.file")),
            If::Given(flag("auth.enabled")),
            If::Given(flag("server.http-listen-port")),
        ],
        listen: Listen {
            settings: &[flag("server.http-listen-port")],
            default: &[3100],
            never: &[9095, 7946],
            file: &[If::Given(flag("config.file"))],
        },
        roles: &[
            case(&[If::Has(TARGET, "all")], answers("all")),
            case(&[If::Has(TARGET, "query-frontend")], answers("query-frontend")),
            case(&[If::Has(TARGET, "read")], answers("read")),
            case(&[If::Has(TARGET, "write")], silent("write")),
            case(&[If::Has(TARGET, "backend")], silent("backend")),
            case(&[If::Has(TARGET, "querier")], silent("querier")),
            case(&[If::Has(TARGET, "distributor")], silent("distributor")),
            case(&[If::Has(TARGET, "ingester")], silent("ingester")),
            case(&[If::Has(TARGET, "compactor")], silent("compactor")),
            case(&[If::Has(TARGET, "index-gateway")], silent("index-gateway")),
            case(&[If::Has(TARGET, "query-scheduler")], silent("query-scheduler")),
            case(&[If::Has(TARGET, "ruler")], silent("ruler")),
            case(&[If::Has(TARGET, "table-manager")], silent("table-manager")),
            case(&[If::Given(TARGET)], silent("an internal component")),
            case(&[], usually("all")),
        ],
        scheme: &[
            case(&[If::Given(flag("server.http-tls-cert-path"))], Says::Stated(Scheme::Https)),
            case(&[], Says::Default(Scheme::Http)),
        ],
        prefix: &[
            case(&[If::Given(flag("server.path-prefix"))], Says::Stated(Path::Of(flag("server.path-prefix")))),
            case(&[], Says::Default(Path::Fixed(""))),
        ],
        // Without a file, clients name a tenant.
        auth: &[
            case(&[If::Off(flag("auth.enabled"))], Says::Stated(Auth::None)),
            case(&[If::On(flag("auth.enabled"))], Says::Stated(Auth::Tenant)),
            case(&[If::Given(flag("config.file"))], Says::Open),
            case(&[], Says::Default(Auth::Tenant)),
        ],
        probe_path: ProbePath::Before(&["/ready"]),
        ..Program::of(Product::Loki)
    },
    // The gateway of a LokiStack is observatorium's API. The name of the tenant in the path is in a Secret.
    Program {
        images: &["lokistack-gateway"],
        marks: &[
            If::Given(flag("logs.read.endpoint")),
            If::Given(flag("logs.tail.endpoint")),
            If::Given(flag("logs.write.endpoint")),
        ],
        shared_marks: &[If::Given(flag("tenants.config")), If::Given(flag("rbac.config"))],
        listen: Listen {
            settings: &[flag("web.listen")],
            default: &[8080],
            never: &[8081, 8083],
            file: &[If::Given(flag("config.file"))],
        },
        roles: &[
            case(&[If::Given(flag("logs.read.endpoint"))], answers("gateway")),
            case(&[], silent("a write-only gateway")),
        ],
        scheme: &[
            case(&[If::Given(flag("tls.server.cert-file"))], Says::Stated(Scheme::Https)),
            case(&[], Says::Default(Scheme::Http)),
        ],
        prefix: &[case(&[], Says::Open)],
        auth: &[case(&[], Says::Default(Auth::Bearer))],
        ..Program::of(Product::Loki)
    },
];

/// Sources: grafana/loki `pkg/loki/loki.go` (every component answers `/ready` and the build information, and needs no tenant
/// for them), `docs/sources/reference/loki-http-api.md` (only `querier`, `query-frontend`, `read` and `all` have the labels;
/// without logs, the response has no `data`). The charts' gateway passes only the API on, and answers `/` itself.
pub(crate) const PROBE: Facts = Facts {
    health: &[Below("/ready"), Below("/loki/api/v1/status/buildinfo"), Below("/")],
    questions: &[
        // A query with a constant needs Loki 2.7.
        Question {
            path: "/loki/api/v1/labels?since=5m",
            proofs: &[queries(&[Text("/status", &["success"])]), NO_QUERIES],
        },
        Question {
            path: "/loki/api/v1/status/buildinfo",
            proofs: &[confirmed_unless_no_queries(BUILD_INFO), itself(BUILD_INFO)],
        },
    ],
    prefixes: &["/loki"],
    rivals: &[Product::Tempo],
    ..Facts::of(Product::Loki)
};

/// The build information. Tempo has the same form.
pub(crate) const BUILD_INFO: &[mark::Mark] =
    &[Text("/version", &[]), Text("/revision", &[]), Text("/branch", &[]), Text("/goVersion", &[])];
