//! Prometheus.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | prometheus-community/kube-prometheus-stack (stable/prometheus-operator before 2020), Rancher Monitoring | `app: <stack>-prometheus` beside `part-of: <stack>`, or only `chart: <stack>-<version>` | `http-web` 9090 (`web` up to 22), since 48 also `reloader-web` 8080 |
//! | prometheus-community/prometheus 21 and newer; Istio's and OpenTelemetry's demo addons | `name: prometheus`, `component: server` | `http` 80 or 9090 |
//! | the same chart up to 20, also as part of loki-stack and kubecost | `app: prometheus`, `component: server`, `chart`, `heritage`; its alertmanager, node-exporter and pushgateway share `app` | `http` 80 |
//! | kube-prometheus manifests, `OpenShift` | `name: prometheus`, `component: prometheus` | `web` 9090; `OpenShift` 9091 with TLS; `prometheus-user-workload` has only `metrics` |
//! | bitnami/kube-prometheus | `name: kube-prometheus`, `component: prometheus`; the Thanos sidecar's Service has the same and only `grpc` | `http` 9090 |
//! | linkerd-viz | `component: prometheus`, `linkerd.io/extension: viz` | `admin` 9090 (`admin-http` before) |
//! | tidb-operator | `used-by: prometheus`, `managed-by: tidb-operator`; `name` is the database's | `http-prometheus` 9090 |
//! | Google Managed Prometheus' frontend | no labels; headless, selector `app: frontend` | `web` 9090 |
//! | prometheus-operator | `operated-prometheus: "true"`: governs every Prometheus of the namespace | `web` or `http-web` 9090 |
//! | Kubernetes' cluster addon | `kubernetes.io/name: Prometheus`, selector `k8s-app: prometheus` | 9090 |
//! | by hand | the selector has the operator's `prometheus: <name>` or `operator.prometheus.io/name` | 9090, often under `webui` or no name |
//! | Rancher's monitoring 1 | `app: prometheus`, `chart: prometheus-<version>` | its proxy's `nginx-http` 80 |
//! | openstack-helm | the selector has `application: prometheus`, `component: server` | Apache's `http` 80 |
//!
//! Prometheus asks nobody for a password by default (`--web.config.file`).

use crate::{
    engine::rule::{EndpointRole, FALLBACK_TIER, Login, Mark, Ports, Rule, Shape, Then, name, shared_name},
    finding::Auth,
    pods::program::{If, Listen, Path, ProbePath, Program, Says, Setting, case, flag, silent, usually},
    probe::{
        facts::{
            Facts, Family, HealthPath::Below, NO_QUERIES, Question, another, confirmed, confirmed_unless_no_queries,
            confirmed_with_queries,
        },
        mark::Mark::{Filled, Lacks, Status, Text, VersionBelow, VersionFrom},
    },
    product::{
        Confidence::{High, Medium},
        Product, Scheme,
    },
};

const PORTS: Ports = Ports {
    own_names: &[],
    numbers: &[9090],
    usual_names: &["http-web", "web", "http", "https", "https-web", "webui", "http-prometheus", "prometheus"],
    // The Thanos sidecar beside the server names these ports `http`.
    // prometheus-operator's `portName`, and that of kube-prometheus-stack.
    targets: &["web", "http-web", "https-web"],
    never: &[10901, 10902],
};

pub(crate) const RULE: Rule = Rule {
    names: &[name("prometheus"), name("prometheus-server"), name("prometheus-k8s")],
    name_words: &[&["prometheus"]],
    charts: &[shared_name("prometheus")],
    other_components: &[
        "adapter",
        "alertmanager",
        "apiserver",
        "coredns",
        "dns",
        "etcd",
        "kube",
        "kubelet",
        "node",
        "pushprox",
        "ruler",
        "rules",
        "scheduler",
        "state",
        "thanos",
    ],
    shapes: &[
        Shape {
            made_by: "prometheus-operator's governing Service",
            when: &[Mark::Label("operated-prometheus", "true")],
            then: Then::Endpoint(EndpointRole { tier: FALLBACK_TIER, ..EndpointRole::on(PORTS) }),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "kube-prometheus-stack",
            when: &[Mark::StackPart("-prometheus")],
            then: Then::Endpoint(EndpointRole::on(PORTS)),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "bitnami/kube-prometheus",
            when: &[
                Mark::Label("app.kubernetes.io/name", "kube-prometheus"),
                Mark::Label("app.kubernetes.io/component", "prometheus"),
            ],
            then: Then::Endpoint(EndpointRole::on(PORTS)),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "linkerd-viz",
            when: &[Mark::Label("component", "prometheus"), Mark::Label("linkerd.io/extension", "viz")],
            then: Then::Endpoint(EndpointRole::on(Ports { usual_names: &["admin", "admin-http"], ..PORTS })),
            confidence: High,
            bundled: true,
        },
        Shape {
            made_by: "tidb-operator",
            when: &[
                Mark::Label("app.kubernetes.io/managed-by", "tidb-operator"),
                Mark::Label("app.kubernetes.io/used-by", "prometheus"),
            ],
            then: Then::Endpoint(EndpointRole::on(PORTS)),
            confidence: High,
            bundled: true,
        },
        Shape {
            made_by: "the Google Managed Prometheus frontend",
            when: &[Mark::NoLabels, Mark::Headless, Mark::Selector("app", "frontend"), Mark::Port("web", 9090)],
            then: Then::Endpoint(EndpointRole::on(PORTS)),
            confidence: Medium,
            bundled: false,
        },
        Shape {
            made_by: "a Service that selects prometheus-operator's Pods",
            when: &[Mark::NoLabel("app.kubernetes.io/name"), Mark::NoLabel("app"), Mark::HasSelector("prometheus")],
            then: Then::Endpoint(EndpointRole::on(Ports { usual_names: &["http-web", "web", "https-web"], ..PORTS })),
            confidence: Medium,
            bundled: false,
        },
        Shape {
            made_by: "a Service that selects prometheus-operator's Pods",
            when: &[Mark::NoLabel("app.kubernetes.io/name"), Mark::HasSelector("operator.prometheus.io/name")],
            then: Then::Endpoint(EndpointRole::on(PORTS)),
            confidence: Medium,
            bundled: false,
        },
    ],
    endpoints: &[EndpointRole {
        roles: &["server", "prometheus", "prometheus-server"],
        role_optional: true,
        ..EndpointRole::on(PORTS)
    }],
    // Programs of all kinds name the port for their metrics `prometheus`.
    specific_names: &["http-prometheus"],
    // As [`PORTS`].
    paired_names: &["web", "http-web", "https-web"],
    path_setting: Some("--web.route-prefix, or routePrefix of prometheus-operator"),
    login: Login::Usual(Auth::None),
    serves_metrics: true,
    ..Rule::of(Product::Prometheus)
};

/// Prometheus writes this file if a `web.config.file` is set; the operator's holds TLS only, never users
/// (`prometheus-operator`: `pkg/webconfig`).
const OPERATORS_WEB_CONFIG: &str = "/etc/prometheus/web_config/web-config.yaml";

const WEB_CONFIG: Setting = flag("web.config.file");

/// Sources: `prometheus --help` of 1.8, 2.x and 3.x (`cmd/prometheus/main.go`: the route prefix is that of the external
/// URL unless it is given); prometheus-operator `pkg/prometheus/server/statefulset.go`; the images of Red Hat, Rancher,
/// bitnami and Google.
pub(crate) const PODS: &[Program] = &[
    Program {
        images: &[
            "prometheus",
            "prom-prometheus",
            "prometheus-server",
            "docker-prometheus",
            "polaris-prometheus",
            "golang-github-prometheus",
            "prometheus-linux-amd64",
            "prometheus-linux-arm64",
        ],
        containers: &["prometheus", "prometheus-server", "prom"],
        marks: &[
            If::Given(flag("storage.tsdb.path")),
            If::Given(flag("storage.tsdb.retention")),
            If::Given(flag("storage.tsdb.retention.time")),
            If::Given(flag("storage.tsdb.retention.size")),
            If::Given(flag("storage.tsdb.min-block-duration")),
            If::Given(flag("storage.tsdb.wal-compression")),
            If::Given(flag("storage.tsdb.no-lockfile")),
            If::Given(flag("storage.agent.path")),
            If::Given(flag("storage.local.path")),
            If::Given(flag("web.console.templates")),
            If::Given(flag("web.console.libraries")),
            If::Given(flag("web.enable-admin-api")),
            If::Given(flag("web.enable-remote-write-receiver")),
        ],
        shared_marks: &[
            If::Given(flag("config.file")),
            If::Given(flag("web.enable-lifecycle")),
            If::Given(flag("web.listen-address")),
            If::Given(flag("web.route-prefix")),
            If::Given(flag("web.external-url")),
        ],
        listen: Listen {
            settings: &[flag("web.listen-address")],
            default: &[9090],
            never: &[10901, 10902],
            ..Listen::NONE
        },
        // The agent only forwards: its query API answers with an error. `--agent` since 3.0, the feature before.
        roles: &[
            case(&[If::On(flag("agent"))], silent("agent")),
            case(&[If::Has(flag("enable-feature"), "agent")], silent("agent")),
            case(&[If::Given(flag("storage.agent.path"))], silent("agent")),
            case(&[], usually("prometheus")),
        ],
        scheme: &[case(&[If::Given(WEB_CONFIG)], Says::Open), case(&[], Says::Default(Scheme::Http))],
        prefix: &[
            case(&[If::Given(flag("web.route-prefix"))], Says::Stated(Path::Of(flag("web.route-prefix")))),
            case(&[If::Given(flag("web.external-url"))], Says::Stated(Path::OfUrl(flag("web.external-url")))),
            case(&[], Says::Default(Path::Fixed(""))),
        ],
        auth: &[
            case(&[If::Is(WEB_CONFIG, OPERATORS_WEB_CONFIG)], Says::Default(Auth::None)),
            case(&[If::Given(WEB_CONFIG)], Says::Open),
            case(&[], Says::Default(Auth::None)),
        ],
        probe_path: ProbePath::Before(&["/-/ready", "/-/healthy", "/api/v1/status/buildinfo"]),
        ..Program::of(Product::Prometheus)
    },
    // Google Managed Prometheus' frontend passes PromQL to Cloud Monitoring
    // (GoogleCloudPlatform/prometheus-engine `cmd/frontend`).
    Program {
        images: &["frontend"],
        when: &[If::Repository("prometheus-engine"), If::Given(flag("query.project-id"))],
        containers: &["frontend"],
        marks: &[
            If::Given(flag("query.project-id")),
            If::Given(flag("query.target-url")),
            If::Given(flag("query.credentials-file")),
        ],
        shared_marks: &[If::Given(flag("web.listen-address")), If::Given(flag("web.external-url"))],
        listen: Listen { settings: &[flag("web.listen-address")], default: &[9090, 19090], never: &[], ..Listen::NONE },
        scheme: &[case(&[], Says::Default(Scheme::Http))],
        prefix: &[
            case(&[If::Given(flag("web.external-url"))], Says::Stated(Path::OfUrl(flag("web.external-url")))),
            case(&[], Says::Default(Path::Fixed(""))),
        ],
        auth: &[case(&[], Says::Default(Auth::None))],
        probe_path: ProbePath::Before(&["/-/ready", "/-/healthy"]),
        ..Program::of(Product::Prometheus)
    },
];

/// Source: prometheus/prometheus `web/web.go` (all paths are below the route prefix, to which the root redirects),
/// `web/api/v1/api.go`. Version 1 and proxies that know only the API have no `/-/ready`.
pub(crate) const PROBE: Facts = Facts {
    health: &[Below("/-/ready"), Below("/-/healthy"), Below("/api/v1/query?query=1")],
    questions: &[QUERY, BUILD_INFO],
    prefixes: &["/prometheus", "/prom"],
    pages: &["/agent", "/classic/agent", "/classic/graph", "/new/graph"],
    family: Some(Family::PromQl),
    rivals: &[Product::Alertmanager],
    ..Facts::of(Product::Prometheus)
};

/// The smallest query. Only a program that answers queries answers it, which the build information does not say: the
/// stores of Thanos and the agent of Prometheus have that, too. VictoriaMetrics answers with a vector.
pub(crate) const QUERY: Question = Question {
    path: "/api/v1/query?query=1",
    proofs: &[
        confirmed(&[
            Text("/status", &["success"]),
            Text("/data/resultType", &["scalar", "vector"]),
            Filled("/data/result"),
        ]),
        another("Prometheus in agent mode", &[Status(422), Text("/error", &["unavailable with Prometheus Agent"])]),
        NO_QUERIES,
    ],
};

/// Prometheus itself is known by it. Thanos has versions below 1, and Mimir names itself, but all of their components do so.
/// Cortex and Pyroscope, which answers no queries, have the same form with version 1.
pub(crate) const BUILD_INFO: Question = Question {
    path: "/api/v1/status/buildinfo",
    proofs: &[
        confirmed(&[
            Text("/status", &["success"]),
            Lacks("/data/application"),
            VersionFrom("/data/version", 2),
            Text("/data/revision", &[]),
            Text("/data/branch", &[]),
            Text("/data/buildUser", &[]),
            Text("/data/buildDate", &[]),
            Text("/data/goVersion", &[]),
        ]),
        confirmed_unless_no_queries(&[Text("/status", &["success"]), Text("/data/application", &["Grafana Mimir"])]),
        confirmed_unless_no_queries(&[
            Text("/status", &["success"]),
            VersionBelow("/data/version", 1),
            Text("/data/revision", &[]),
            Text("/data/branch", &[]),
            Text("/data/goVersion", &[]),
        ]),
        confirmed_with_queries(&[
            Text("/status", &["success"]),
            Text("/data/version", &[]),
            Text("/data/revision", &[]),
            Text("/data/branch", &[]),
            Text("/data/goVersion", &[]),
        ]),
    ],
};
