//! Jaeger's query service.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | jaegertracing/jaeger 4.4 and newer (Jaeger v2) | `name: jaeger`, `component: all-in-one`, its Service has 14 ports | `http-query` 16686 |
//! | the same, 4.0 to 4.3, and 3 with `allInOne` | `name: jaeger`, `component: service-query`, headless, the only Service | `http-query` 16686 |
//! | the same up to 3 | `name: jaeger`, `component: query` | `query` 80 |
//! | bitnami/jaeger | `name: jaeger`, `component: query` | `http` 16686 |
//! | jaeger-operator | `app: jaeger`, `component: service-query`; `name` is the Service's own name | `http-query` 16686, `https-query` 443 behind its oauth-proxy |
//! | Istio's addon | `app: jaeger`, Service `tracing`; collector and `zipkin` (9411 `http-query`) have this label too | `http-query` 80 to 16686, base path `/jaeger` |
//! | linkerd-jaeger | `component: jaeger`, `linkerd.io/extension: jaeger` | `ui` 16686 |
//! | OpenTelemetry operator, for Jaeger v2 | `managed-by: opentelemetry-operator`, Service `<cr>-collector` | `jaeger-query` 16686, or a name that the user chooses |
//! | by hand | the selector has the operator's Pods | 16686 |
//! | by hand, kompose | `app: jaeger`, `io.kompose.service: jaeger` | to 16686 under any name |
//!
//! It asks nobody for a password.
//!
//! Agent, collector and their headless twins receive spans and answer no queries.

use crate::{
    engine::rule::{EndpointRole, Login, Mark, Ports, Rule, Shape, Then, name, shared_name},
    finding::Auth,
    pods::program::{If, Listen, Path, ProbePath, Program, Says, Setting, answers, case, env, flag, silent, usually},
    probe::{
        facts::{Facts, Family, HealthPath::Below, Question, confirmed},
        mark::Mark::{Has, Number, Only, Texts, Title},
    },
    product::{
        Confidence::{High, Medium},
        Product, Scheme,
    },
};

const PORTS: Ports = Ports {
    own_names: &["http-query", "https-query", "query-http", "jaeger-query", "jaeger-ui"],
    numbers: &[16686],
    // The chart up to 3 and linkerd-jaeger name it so, and so do many programs with a UI.
    usual_names: &["query", "ui"],
    // Spans in Zipkin's format are received on 9411, which Istio's addon names `http-query`.
    targets: &[],
    never: &[9411, 16685, 16687],
};

const ENDPOINT: EndpointRole = EndpointRole::on(PORTS);

pub(crate) const RULE: Rule = Rule {
    names: &[name("jaeger"), name("jaeger-query"), name("jaeger-all-in-one"), name("jaeger-ui")],
    name_words: &[&["jaeger"]],
    charts: &[shared_name("jaeger")],
    other_components: &[
        "agents",
        "collectors",
        "index",
        "ingester",
        "rollover",
        "spark",
        "dependencies",
        "remote",
        "storage",
        "grpc",
        "thrift",
        "otlp",
    ],
    shapes: &[
        Shape {
            made_by: "jaeger-operator",
            when: &[
                Mark::Label("app", "jaeger"),
                Mark::Label("app.kubernetes.io/component", "service-query"),
                Mark::Label("app.kubernetes.io/part-of", "jaeger"),
            ],
            then: Then::Endpoint(ENDPOINT),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "a Service that selects jaeger-operator's Pods",
            when: &[
                Mark::NoLabel("app.kubernetes.io/component"),
                Mark::Selector("app.kubernetes.io/part-of", "jaeger"),
                Mark::Selector("app.kubernetes.io/managed-by", "jaeger-operator"),
            ],
            then: Then::Endpoint(ENDPOINT),
            confidence: Medium,
            bundled: false,
        },
        // The collector of OpenTelemetry has no query part.
        Shape {
            made_by: "the OpenTelemetry operator for Jaeger v2",
            when: &[Mark::Label("app.kubernetes.io/managed-by", "opentelemetry-operator"), Mark::HasPort(16686)],
            then: Then::Endpoint(ENDPOINT),
            confidence: Medium,
            bundled: false,
        },
        Shape {
            made_by: "the Istio addon",
            when: &[
                Mark::Label("app", "jaeger"),
                Mark::NoLabel("app.kubernetes.io/name"),
                Mark::Selector("app", "jaeger"),
                Mark::Port("http-query", 80),
            ],
            then: Then::Endpoint(EndpointRole { path: "/jaeger", ..ENDPOINT }),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "linkerd-jaeger",
            when: &[Mark::Label("component", "jaeger"), Mark::Label("linkerd.io/extension", "jaeger")],
            then: Then::Endpoint(ENDPOINT),
            confidence: High,
            bundled: true,
        },
    ],
    endpoints: &[EndpointRole {
        roles: &["query", "service-query", "all-in-one", "allinone", "jaeger-query", "ui", "jaeger-all-in-one"],
        role_optional: true,
        ..ENDPOINT
    }],
    specific_ports: &[16686],
    specific_names: &["jaeger", "jaeger-query", "jaeger-ui"],
    paired_names: &["http-query", "https-query", "query-http"],
    path_setting: Some("--query.base-path, or base_path of Jaeger v2"),
    login: Login::Usual(Auth::None),
    ..Rule::of(Product::Jaeger)
};

/// Ports for spans, sampling, health and gRPC.
const NO_QUERIES: &[u16] = &[
    5775, 5778, 5779, 6831, 6832, 9411, 14250, 14267, 14268, 14269, 14271, 16685, 16687, 4317, 4318, 8888, 8889, 13133,
    13132,
];

/// `--set=extensions.jaeger_query.base_path=…` of v2.
const SET_BASE_PATH: Setting = flag("extensions.jaeger_query.base_path");

const JAEGER: Program = Program {
    marks: &[
        If::Given(env("SPAN_STORAGE_TYPE")),
        If::Given(env("COLLECTOR_ZIPKIN_HOST_PORT")),
        If::Given(env("COLLECTOR_ZIPKIN_HTTP_PORT")),
        If::Given(env("COLLECTOR_ZIPKIN_HTTP_HOST_PORT")),
        If::Given(env("COLLECTOR_OTLP_ENABLED")),
        If::Given(env("MEMORY_MAX_TRACES")),
        If::Given(env("QUERY_BASE_PATH")),
        If::Given(flag("query.base-path")),
        If::Given(flag("query.ui-config")),
        If::Given(flag("query.static-files")),
        If::Given(flag("span-storage.type")),
        If::Given(flag("memory.max-traces")),
        If::Given(flag("es.server-urls")),
        If::Given(flag("collector.zipkin.host-port")),
        If::Given(flag("sampling.strategies-file")),
    ],
    shared_marks: &[If::Given(env("ES_SERVER_URLS")), If::Given(env("METRICS_STORAGE_TYPE"))],
    listen: Listen {
        settings: &[
            flag("query.http-server.host-port"),
            env("QUERY_HTTP_SERVER_HOST_PORT"),
            flag("query.port"),
            env("QUERY_PORT"),
        ],
        default: &[16686],
        never: NO_QUERIES,
        ..Listen::NONE
    },
    // The health endpoint is on a port of its own without a prefix. A probe of a page, a file or the API on the query
    // port shows the prefix (`cmd/query/app`: `static_handler.go`, `http_handler.go`).
    probe_path: ProbePath::Around(&["api", "search", "dependencies", "static"]),
    ..Program::of(Product::Jaeger)
};

/// Sources: `jaeger-query help` and `jaegertracing/jaeger` v1.60 `cmd/query/app` (every flag is a variable too); `cmd/jaeger`
/// of v2, which reads everything from a file and without one is all-in-one at the root.
pub(crate) const PODS: &[Program] = &[
    Program {
        images: &["all-in-one", "jaeger-all-in-one", "jaeger-query", "opentelemetry-all-in-one"],
        containers: &["jaeger", "jaeger-all-in-one", "jaeger-query", "all-in-one"],
        roles: &[case(&[], usually("query"))],
        scheme: &[
            case(&[If::On(flag("query.http.tls.enabled"))], Says::Stated(Scheme::Https)),
            case(&[If::On(env("QUERY_HTTP_TLS_ENABLED"))], Says::Stated(Scheme::Https)),
            case(&[If::Given(flag("config"))], Says::Open),
            case(&[], Says::Default(Scheme::Http)),
        ],
        prefix: &[
            // An image of another name can be v2, where neither has an effect.
            case(&[If::Given(flag("config"))], Says::Open),
            case(&[If::Given(flag("query.base-path"))], Says::Stated(Path::Of(flag("query.base-path")))),
            case(&[If::Given(env("QUERY_BASE_PATH"))], Says::Stated(Path::Of(env("QUERY_BASE_PATH")))),
            case(&[If::Given(flag("config-file"))], Says::Usual(Path::Fixed(""))),
            case(&[], Says::Default(Path::Fixed(""))),
        ],
        auth: &[
            case(&[If::On(flag("multi-tenancy.enabled"))], Says::Open),
            case(&[If::On(env("MULTI_TENANCY_ENABLED"))], Says::Open),
            case(&[], Says::Default(Auth::None)),
        ],
        ..JAEGER
    },
    // v2. `QUERY_BASE_PATH` has no effect.
    Program {
        images: &["jaeger"],
        containers: &["jaeger"],
        marks: &[],
        listen: Listen {
            settings: &[flag("extensions.jaeger_query.http.endpoint")],
            default: &[16686],
            never: NO_QUERIES,
            file: &[If::Given(flag("config"))],
        },
        // bitnami's chart has a file per component, and the OpenTelemetry operator calls every file `collector.yaml`. So
        // only the port tells a collector from the rest.
        roles: &[
            case(&[If::FileNamed(flag("config"), "query")], answers("query")),
            case(&[If::FileNamed(flag("config"), "ingester")], silent("ingester")),
            case(&[], usually("all-in-one")),
        ],
        // `--set` beats the file, as the OpenTelemetry collector documents it.
        scheme: &[
            case(&[If::Given(flag("extensions.jaeger_query.http.tls.cert_file"))], Says::Stated(Scheme::Https)),
            case(&[If::Given(flag("config"))], Says::Open),
            case(&[], Says::Default(Scheme::Http)),
        ],
        prefix: &[
            case(&[If::Given(SET_BASE_PATH)], Says::Stated(Path::Of(SET_BASE_PATH))),
            case(&[If::Given(flag("config"))], Says::Open),
            case(&[], Says::Default(Path::Fixed(""))),
        ],
        auth: &[case(&[], Says::Default(Auth::None))],
        ..JAEGER
    },
];

/// Source: jaegertracing/jaeger `cmd/query/app`. Its health has a port of its own, which Services do not declare: 16687 or
/// 14269 of version 1, 13133 of version 2. The port for queries has pages and the API, both below the base path.
pub(crate) const PROBE: Facts = Facts {
    health: &[Below("/"), Below("/api/services")],
    questions: &[SERVICES],
    prefixes: &["/jaeger"],
    pages: &["/search"],
    page: &[confirmed(&[Title("Jaeger UI")])],
    family: Some(Family::Jaeger),
    rivals: &[Product::Zipkin],
    ..Facts::of(Product::Jaeger)
};

/// The names of the services that have traces, in the form of all of Jaeger's answers.
pub(crate) const SERVICES: Question = Question {
    path: "/api/services",
    proofs: &[confirmed(&[
        Texts("/data"),
        Number("/total"),
        Number("/limit"),
        Number("/offset"),
        Has("/errors"),
        Only("", &["data", "total", "limit", "offset", "errors"]),
    ])],
};
