//! Thanos Query.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | bitnami/thanos | `name: thanos`, `component: query`; `query-frontend` beside it; storegateway, compactor and bucketweb use the same port names | `http` 9090 |
//! | kube-thanos, `OpenShift`'s `thanos-querier` | `name: thanos-query`, `component: query-layer` | `http` 9090; `OpenShift` `web` 9091 with TLS beside `tenancy` |
//! | kube-thanos' query frontend | `name: thanos-query-frontend`, `component: query-cache` | `http` 9090 |
//! | stevehipwell/thanos, banzai, by hand | `thanos-query`, `thanos-querier`, `component: query` | `http` 10902 or 9090, before 0.4 19192 |
//!
//! It asks nobody for a password by default (`--http.config`).
//!
//! Sidecar, discovery, store, compact, receive and rule answer no queries. They serve the store API (10901) and their
//! metrics (10902).

use crate::{
    engine::rule::{EndpointRole, Login, Ports, Rule, name, shared_name},
    finding::Auth,
    pods::program::{If, Listen, Path, Program, Says, answers, case, flag, silent},
    probe::{
        facts::{
            Facts, Family,
            HealthPath::{AtRoot, Below},
            itself,
        },
        mark::Mark::Title,
    },
    product::{Product, Scheme},
    prometheus::{BUILD_INFO, QUERY},
};

const PORTS: Ports = Ports {
    own_names: &[],
    numbers: &[10902, 9090, 19192],
    usual_names: &["http", "web", "https", "http-query", "query"],
    targets: &[],
    never: &[10901],
};

pub(crate) const RULE: Rule = Rule {
    names: &[shared_name("thanos"), name("thanos-query"), name("thanos-querier"), name("thanos-query-frontend")],
    name_words: &[&["thanos"]],
    charts: &[shared_name("thanos")],
    other_components: &[
        "bucket",
        "bucketweb",
        "compact",
        "compactor",
        "external",
        "grpc",
        "receive",
        "receiver",
        "rule",
        "ruler",
        "store",
        "storegateway",
        "gateway",
    ],
    name_words_need_role: true,
    endpoints: &[
        EndpointRole {
            roles: &["query", "querier", "query-layer", "thanos-query", "thanos-querier", "query-http"],
            role_optional: true,
            ..EndpointRole::on(PORTS)
        },
        EndpointRole {
            roles: &["query-frontend", "query-cache", "queryfrontend", "thanos-query-frontend"],
            tier: 1,
            ..EndpointRole::on(PORTS)
        },
    ],
    // Every component has 10902, so a candidate can be any of them.
    specific_ports: &[10902, 19192],
    specific_names: &["thanos-query"],
    path_setting: Some("--web.route-prefix"),
    login: Login::Usual(Auth::None),
    serves_metrics: true,
    ..Rule::of(Product::Thanos)
};

/// `thanos --help` (`cmd/thanos/main.go`), now and before 0.13.
const SUBCOMMANDS: &[&str] = &[
    "query",
    "query-frontend",
    "sidecar",
    "store",
    "receive",
    "rule",
    "compact",
    "downsample",
    "tools",
    "bucket",
    "check",
];

const fn subcommand(word: &'static str) -> If {
    If::Subcommand(word, SUBCOMMANDS)
}

/// Sources: `thanos query --help` and `cmd/thanos/query.go` (the route prefix is the external prefix unless it is given;
/// the health endpoints have none), `thanos --help` for the components.
pub(crate) const PODS: &[Program] = &[Program {
    images: &["thanos"],
    containers: &[
        "thanos",
        "thanos-query",
        "thanos-querier",
        "thanos-query-frontend",
        "thanos-store",
        "thanos-storegateway",
        "thanos-receive",
        "thanos-rule",
        "thanos-ruler",
        "thanos-compact",
        "thanos-sidecar",
    ],
    marks: &[
        If::Given(flag("query.replica-label")),
        If::Given(flag("query.auto-downsampling")),
        If::Given(flag("query.enforce-tenancy")),
        If::Given(flag("query.promql-engine")),
        If::Given(flag("query-frontend.downstream-url")),
        If::Given(flag("query-range.split-interval")),
        If::Given(flag("endpoint")),
        If::Given(flag("endpoint-strict")),
        If::Given(flag("endpoint-group")),
        If::Given(flag("endpoint.sd-config")),
        If::Given(flag("endpoint.sd-config-file")),
        If::Given(flag("store")),
        If::Given(flag("store.sd-files")),
        If::Given(flag("objstore.config")),
        If::Given(flag("objstore.config-file")),
        If::Given(flag("prometheus.url")),
        If::Given(flag("receive.hashrings-file")),
        If::Given(flag("receive.local-endpoint")),
    ],
    shared_marks: &[
        subcommand("query"),
        subcommand("query-frontend"),
        subcommand("sidecar"),
        subcommand("store"),
        subcommand("receive"),
        subcommand("rule"),
        subcommand("compact"),
        If::Given(flag("grpc-address")),
        If::Given(flag("http-address")),
    ],
    listen: Listen { settings: &[flag("http-address")], default: &[10902], never: &[10901, 19291], ..Listen::NONE },
    roles: &[
        case(&[subcommand("query")], answers("query")),
        case(&[subcommand("query-frontend")], answers("query-frontend")),
        case(&[subcommand("sidecar")], silent("sidecar")),
        case(&[subcommand("store")], silent("store")),
        case(&[subcommand("receive")], silent("receive")),
        case(&[subcommand("rule")], silent("rule")),
        case(&[subcommand("compact")], silent("compact")),
        case(&[subcommand("downsample")], silent("downsample")),
        case(&[subcommand("tools")], silent("tools")),
    ],
    scheme: &[case(&[If::Given(flag("http.config"))], Says::Open), case(&[], Says::Default(Scheme::Http))],
    prefix: &[
        case(&[If::Given(flag("web.route-prefix"))], Says::Stated(Path::Of(flag("web.route-prefix")))),
        case(&[If::Given(flag("web.external-prefix"))], Says::Stated(Path::OfUrl(flag("web.external-prefix")))),
        case(&[], Says::Default(Path::Fixed(""))),
    ],
    auth: &[
        case(&[If::On(flag("query.enforce-tenancy"))], Says::Stated(Auth::Tenant)),
        case(&[If::Given(flag("http.config"))], Says::Open),
        case(&[], Says::Default(Auth::None)),
    ],
    ..Program::of(Product::Thanos)
}];

/// Source: thanos-io/thanos `pkg/server/http/http.go` (the paths of health are at the root, whatever the route prefix is; a
/// proxy can have its prefix before them), `pkg/api/query/v1.go`.
pub(crate) const PROBE: Facts = Facts {
    health: &[Below("/-/ready"), AtRoot("/-/ready"), Below("/api/v1/query?query=1")],
    questions: &[QUERY, BUILD_INFO],
    prefixes: &["/thanos"],
    pages: &["/stores"],
    page: &[itself(&[Title("Thanos | Highly available Prometheus setup")])],
    family: Some(Family::PromQl),
    ..Facts::of(Product::Thanos)
};
