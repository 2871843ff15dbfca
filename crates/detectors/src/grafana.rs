//! Grafana.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | grafana/grafana, grafana-community/grafana, Istio's addon, kube-prometheus | `name: grafana` | `service` 80 or 3000, `http-web` 80 under kube-prometheus-stack |
//! | bitnami/grafana | `name: grafana`, `component: grafana` | `http` 3000 |
//! | kubecost | `app: grafana`, `release` | `tcp-service` 80 |
//! | grafana-operator (v4, v5) | no labels; Service `<cr>-service`, selector `app: <cr>` | `grafana` 3000 to `grafana-http` |
//! | tidb-operator | `used-by: grafana`, `managed-by: tidb-operator`; `name` is the database's | `http-grafana` 3000 |
//! | kube-prometheus manifests up to 0.7, the Heapster addon, by hand | `app: grafana`, `k8s-app: grafana` | `http` or unnamed, to 3000 |
//!
//! | openstack-helm | the selector has `application: grafana`, `component: dashboard` | `dashboard` 3000 |
//!
//! Its API asks for a token or a login, unless anonymous access is on.
//!
//! `grafana-headless` has the same labels, but only the port `gossip-tcp` 9094.

use crate::{
    engine::rule::{EndpointRole, Login, Mark, Ports, Rule, Shape, Then, name},
    finding::Auth,
    pods::program::{If, Listen, Path, ProbePath, Program, Says, Setting, case, env, flag, usually},
    probe::{
        facts::{Facts, HealthPath::Below, Question, confirmed, itself},
        mark::Mark::{Only, Text, Title},
    },
    product::{
        Confidence::{High, Medium},
        Product, Scheme,
    },
};

const PORTS: Ports = Ports {
    own_names: &[],
    numbers: &[3000],
    usual_names: &[
        "service",
        "http-web",
        "http",
        "grafana",
        "tcp-service",
        "https",
        "web",
        "ui",
        "http-grafana",
        "dashboard",
        "http-service",
    ],
    targets: &[],
    never: &[9094],
};

pub(crate) const RULE: Rule = Rule {
    names: &[name("grafana")],
    name_words: &[&["grafana"]],
    charts: &[name("grafana")],
    other_components: &["image", "oncall", "provisioner", "rollout", "provisioning", "reporter", "incident"],
    shapes: &[
        Shape {
            made_by: "grafana-operator",
            when: &[
                Mark::NamedAfterSelectorApp("-service"),
                Mark::Port("grafana", 3000),
                Mark::PortTo("grafana", "grafana-http"),
            ],
            then: Then::Endpoint(EndpointRole::on(PORTS)),
            confidence: Medium,
            bundled: false,
        },
        Shape {
            made_by: "tidb-operator",
            when: &[
                Mark::Label("app.kubernetes.io/managed-by", "tidb-operator"),
                Mark::Label("app.kubernetes.io/used-by", "grafana"),
            ],
            then: Then::Endpoint(EndpointRole::on(PORTS)),
            confidence: High,
            bundled: true,
        },
    ],
    endpoints: &[EndpointRole {
        roles: &["grafana", "frontend", "dashboard"],
        role_optional: true,
        ..EndpointRole::on(PORTS)
    }],
    specific_names: &["grafana", "grafana-http", "http-grafana"],
    peer_ports: &[9094],
    path_setting: Some("serve_from_sub_path with the path of root_url"),
    login: Login::Usual(Auth::Basic),
    serves_metrics: true,
    ..Rule::of(Product::Grafana)
};

const SUB_PATH: Setting = env("GF_SERVER_SERVE_FROM_SUB_PATH");
const ROOT_URL: Setting = env("GF_SERVER_ROOT_URL");

/// Arguments, which beat everything (grafana/grafana `pkg/setting/setting.go`, `applyCommandLineProperties`).
const ARG_SUB_PATH: Setting = flag("cfg:server.serve_from_sub_path");
const ARG_ROOT_URL: Setting = flag("cfg:server.root_url");
const ARG_PROTOCOL: Setting = flag("cfg:server.protocol");
const ARG_PORT: Setting = flag("cfg:server.http_port");
/// Arguments, which the file and variables beat (`applyCommandLineDefaultProperties` there).
const DEFAULT_SUB_PATH: Setting = flag("cfg:default.server.serve_from_sub_path");
const DEFAULT_ROOT_URL: Setting = flag("cfg:default.server.root_url");
/// What the file and variables change. Whoever mounts one decides, too.
const DEFAULTS_INI: &str = "/usr/share/grafana/conf/defaults.ini";

const GRAFANA: Program = Program {
    containers: &["grafana"],
    marks: &[
        If::Given(ROOT_URL),
        If::Given(SUB_PATH),
        If::Given(env("GF_SERVER_DOMAIN")),
        If::Given(env("GF_SERVER_HTTP_PORT")),
        If::Given(env("GF_SERVER_PROTOCOL")),
        If::Given(env("GF_SECURITY_ADMIN_USER")),
        If::Given(env("GF_SECURITY_ADMIN_PASSWORD")),
        If::Given(env("GF_SECURITY_ALLOW_EMBEDDING")),
        If::Given(env("GF_AUTH_ANONYMOUS_ENABLED")),
        If::Given(env("GF_AUTH_ANONYMOUS_ORG_ROLE")),
        If::Given(env("GF_AUTH_BASIC_ENABLED")),
        If::Given(env("GF_AUTH_DISABLE_LOGIN_FORM")),
        If::Given(env("GF_AUTH_PROXY_ENABLED")),
        If::Given(env("GF_PATHS_CONFIG")),
        If::Given(env("GF_PATHS_DATA")),
        If::Given(env("GF_PATHS_LOGS")),
        If::Given(env("GF_PATHS_PLUGINS")),
        If::Given(env("GF_PATHS_PROVISIONING")),
        If::Given(env("GF_INSTALL_PLUGINS")),
        If::Given(env("GF_DATABASE_TYPE")),
        If::Given(env("GF_DATABASE_HOST")),
        If::Given(env("GF_USERS_ALLOW_SIGN_UP")),
        If::Given(env("GF_LOG_MODE")),
        If::Given(flag("homepath")),
        If::Given(ARG_ROOT_URL),
        If::Given(ARG_SUB_PATH),
        If::Given(ARG_PROTOCOL),
        If::Given(ARG_PORT),
        If::Given(flag("cfg:default.paths.data")),
        If::Given(flag("cfg:default.paths.logs")),
        If::Given(flag("cfg:default.log.mode")),
    ],
    listen: Listen {
        settings: &[ARG_PORT, env("GF_SERVER_HTTP_PORT")],
        default: &[3000],
        never: &[9094],
        file: &[
            If::Mounted(INI),
            If::Mounted(BITNAMI_INI),
            If::Mounted(DEFAULTS_INI),
            If::Given(flag("config")),
            If::Given(env("GF_PATHS_CONFIG")),
        ],
    },
    roles: &[case(&[], usually("grafana"))],
    // Arguments beat variables, and these beat the file. `cfg:default.` is weaker than both.
    scheme: &[
        case(&[If::Is(ARG_PROTOCOL, "https")], Says::Stated(Scheme::Https)),
        case(&[If::Is(ARG_PROTOCOL, "h2")], Says::Stated(Scheme::Https)),
        case(&[If::Is(ARG_PROTOCOL, "http")], Says::Stated(Scheme::Http)),
        case(&[If::Is(env("GF_SERVER_PROTOCOL"), "https")], Says::Stated(Scheme::Https)),
        case(&[If::Is(env("GF_SERVER_PROTOCOL"), "h2")], Says::Stated(Scheme::Https)),
        case(&[If::Is(env("GF_SERVER_PROTOCOL"), "http")], Says::Stated(Scheme::Http)),
        case(&[If::Mounted(INI)], Says::Usual(Scheme::Http)),
        case(&[If::Mounted(BITNAMI_INI)], Says::Usual(Scheme::Http)),
        case(&[If::Mounted(DEFAULTS_INI)], Says::Usual(Scheme::Http)),
        case(&[If::Given(flag("config"))], Says::Usual(Scheme::Http)),
        case(&[If::Given(env("GF_PATHS_CONFIG"))], Says::Usual(Scheme::Http)),
        case(&[], Says::Default(Scheme::Http)),
    ],
    // A root URL alone moves nothing.
    prefix: &[
        case(&[If::On(ARG_SUB_PATH), If::Given(ARG_ROOT_URL)], Says::Stated(Path::OfUrl(ARG_ROOT_URL))),
        case(&[If::On(ARG_SUB_PATH), If::Given(ROOT_URL)], Says::Stated(Path::OfUrl(ROOT_URL))),
        case(&[If::On(ARG_SUB_PATH)], Says::Open),
        case(&[If::Off(ARG_SUB_PATH)], Says::Stated(Path::Fixed(""))),
        case(&[If::On(SUB_PATH), If::Given(ARG_ROOT_URL)], Says::Stated(Path::OfUrl(ARG_ROOT_URL))),
        case(&[If::On(SUB_PATH), If::Given(ROOT_URL)], Says::Stated(Path::OfUrl(ROOT_URL))),
        case(&[If::On(SUB_PATH)], Says::Open),
        case(&[If::Off(SUB_PATH)], Says::Stated(Path::Fixed(""))),
        case(&[If::On(DEFAULT_SUB_PATH), If::Given(ROOT_URL)], Says::Usual(Path::OfUrl(ROOT_URL))),
        case(&[If::On(DEFAULT_SUB_PATH), If::Given(DEFAULT_ROOT_URL)], Says::Usual(Path::OfUrl(DEFAULT_ROOT_URL))),
        case(&[If::On(DEFAULT_SUB_PATH)], Says::Open),
        case(&[If::Mounted(INI)], Says::Usual(Path::Fixed(""))),
        case(&[If::Mounted(BITNAMI_INI)], Says::Usual(Path::Fixed(""))),
        case(&[If::Mounted(DEFAULTS_INI)], Says::Usual(Path::Fixed(""))),
        case(&[If::Given(flag("config"))], Says::Usual(Path::Fixed(""))),
        case(&[If::Given(env("GF_PATHS_CONFIG"))], Says::Usual(Path::Fixed(""))),
        case(&[], Says::Default(Path::Fixed(""))),
    ],
    auth: &[
        case(&[If::On(flag("cfg:auth.anonymous.enabled"))], Says::Stated(Auth::None)),
        case(&[If::On(env("GF_AUTH_ANONYMOUS_ENABLED"))], Says::Stated(Auth::None)),
        // A proxy names the user in a header.
        case(&[If::On(env("GF_AUTH_PROXY_ENABLED"))], Says::Open),
        case(&[If::Off(env("GF_AUTH_ANONYMOUS_ENABLED"))], Says::Stated(Auth::Basic)),
        case(&[If::Mounted(INI)], Says::Open),
        case(&[If::Mounted(BITNAMI_INI)], Says::Open),
        case(&[If::Mounted(DEFAULTS_INI)], Says::Open),
        case(&[If::Given(flag("config"))], Says::Open),
        case(&[If::Given(env("GF_PATHS_CONFIG"))], Says::Open),
        case(&[], Says::Default(Auth::Basic)),
    ],
    // `/api/health` answers with and without the sub path.
    probe_path: ProbePath::Nothing,
    ..Program::of(Product::Grafana)
};

const INI: &str = "/etc/grafana/grafana.ini";
const BITNAMI_INI: &str = "/opt/bitnami/grafana/conf/grafana.ini";

/// Source: Grafana's documentation of `[server]`, `[auth.anonymous]` and `[auth.proxy]`, and of the variables
/// `GF_<SECTION>_<KEY>`, which beat the file.
pub(crate) const PODS: &[Program] = &[
    Program {
        images: &[
            "grafana",
            "grafana-oss",
            "grafana-enterprise",
            "grafana-grafana",
            "grafana-plugins",
            "heapster-grafana",
            "heapster-grafana-amd64",
        ],
        ..GRAFANA
    },
    // grafana/otel-lgtm: Grafana with its stores in one container, with anonymous access.
    Program {
        images: &["otel-lgtm"],
        marks: &[],
        containers: &[],
        listen: Listen {
            settings: &[env("GF_SERVER_HTTP_PORT")],
            default: &[3000],
            never: &[4040, 4317, 4318],
            ..Listen::NONE
        },
        // Loki, Tempo and Prometheus (grafana/docker-otel-lgtm `docker/`).
        other_products: &[3100, 3200, 9090],
        auth: &[
            case(&[If::Off(env("GF_AUTH_ANONYMOUS_ENABLED"))], Says::Stated(Auth::Basic)),
            case(&[], Says::Usual(Auth::None)),
        ],
        ..GRAFANA
    },
];

/// Source: grafana/grafana `pkg/api/http_server.go` (`healthzHandler`: it needs no login, answers with and without the sub
/// path, and hides the version if it is told to), `pkg/middleware/subpath_redirect.go` (to the host of `root_url`).
pub(crate) const PROBE: Facts = Facts {
    health: &[Below("/api/health")],
    questions: &[Question {
        path: "/api/health",
        proofs: &[confirmed(&[
            Text("/database", &["ok"]),
            Only("", &["database", "version", "commit", "enterpriseCommit"]),
        ])],
    }],
    prefixes: &["/grafana"],
    page: &[itself(&[Title("Grafana")])],
    prefix_by_page: true,
    ..Facts::of(Product::Grafana)
};
