//! Kibana and `OpenSearch` Dashboards.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | elastic/kibana | `app: kibana`, `release` | `http` 5601 |
//! | ECK | `common.k8s.elastic.co/type: kibana` | named after the scheme, 5601 |
//! | bitnami/kibana | `name: kibana` | `http` 5601 |
//! | Kubernetes' cluster addon | `k8s-app: kibana-logging`, `kubernetes.io/name: Kibana` | unnamed 5601 |
//! | opensearch-project/opensearch-dashboards | `name: opensearch-dashboards` | `http` 5601, `metrics` 9601 |
//! | bitnami/opensearch | `name: opensearch`, `component: dashboards` | `http` 5601 |
//! | opensearch-k8s-operator | `opensearch.cluster.dashboards` | `http` 5601 |
//! | Wazuh's manifests | `app: wazuh-dashboard` | `dashboard` 443 to 5601, or to 443 since 5; with TLS |
//! | Open Distro's chart | Service `<release>-opendistro-es-kibana-svc`, `role: kibana` | `kibana-svc` 443 to 5601 |
//! | by hand | the selector has one of the operators' labels | 5601 |
//! | openstack-helm | the selector has `application: kibana`, `component: dashboard`; its Service is `kibana-dash` | Apache's `http` 80 |
//!
//! They ask for a user and a password if the search engine behind them does.

use crate::{
    engine::rule::{EndpointRole, Login, Mark, Ports, Rule, Shape, Then, name},
    finding::Auth,
    pods::program::{Case, If, Listen, Path, ProbePath, Program, Says, Setting, case, env, usually},
    probe::{
        facts::{Facts, HealthPath::Below, Question, confirmed, itself},
        mark::Mark::{Header, Number, Text},
    },
    product::{
        Confidence::{High, Medium},
        Product, Scheme,
    },
};

const ENDPOINT: EndpointRole = EndpointRole::on(Ports {
    own_names: &[],
    numbers: &[5601],
    usual_names: &["https", "http", "web", "ui", "kibana", "dashboards", "dashboard", "service"],
    targets: &[],
    never: &[9601],
});

const fn by_label(made_by: &'static str, when: &'static [Mark]) -> Shape {
    Shape { made_by, when, then: Then::Endpoint(ENDPOINT), confidence: High, bundled: false }
}

const fn by_selector(made_by: &'static str, when: &'static [Mark]) -> Shape {
    Shape { made_by, when, then: Then::Endpoint(ENDPOINT), confidence: Medium, bundled: false }
}

pub(crate) const RULE: Rule = Rule {
    names: &[
        name("kibana"),
        name("kibana-logging"),
        name("opensearch-dashboards"),
        name("opensearch-dashboard"),
        name("wazuh-dashboard"),
    ],
    name_words: &[
        &["kibana"],
        &["opensearch", "dashboards"],
        &["opensearch", "dashboard"],
        &["open", "search", "dashboards"],
        &["wazuh", "dashboard"],
    ],
    shapes: &[
        by_label("ECK", &[Mark::Label("common.k8s.elastic.co/type", "kibana")]),
        by_label("opensearch-k8s-operator", &[Mark::HasLabel("opensearch.cluster.dashboards")]),
        by_selector("a Service that selects ECK's Pods", &[Mark::Selector("common.k8s.elastic.co/type", "kibana")]),
        by_selector("a Service that selects ECK's Pods", &[Mark::HasSelector("kibana.k8s.elastic.co/name")]),
        by_selector(
            "a Service that selects opensearch-k8s-operator's Pods",
            &[Mark::HasSelector("opensearch.cluster.dashboards")],
        ),
        by_label(
            "bitnami/opensearch",
            &[
                Mark::Label("app.kubernetes.io/name", "opensearch"),
                Mark::Label("app.kubernetes.io/component", "dashboards"),
            ],
        ),
    ],
    endpoints: &[EndpointRole { roles: &["kibana", "frontend", "dashboard", "dash"], role_optional: true, ..ENDPOINT }],
    charts: &[name("kibana"), name("opensearch-dashboards")],
    specific_ports: &[5601],
    specific_names: &["kibana", "kibana-port", "kibana-ui", "opensearch-dashboards"],
    path_setting: Some("server.rewriteBasePath with server.basePath"),
    login: Login::Usual(Auth::Basic),
    ..Rule::of(Product::Kibana)
};

const BASE_PATH: Setting = env("SERVER_BASEPATH");
const REWRITE: Setting = env("SERVER_REWRITEBASEPATH");
const TLS: Setting = env("SERVER_SSL_ENABLED");
const KIBANA_FILE: &str = "/usr/share/kibana/config/kibana.yml";
const BITNAMI_FILE: &str = "/opt/bitnami/kibana/config/kibana.yml";
const DASHBOARDS_FILE: &str = "/usr/share/opensearch-dashboards/config/opensearch_dashboards.yml";
const WAZUH_FILE: &str = "/usr/share/wazuh-dashboard/config/opensearch_dashboards.yml";

const POD: Program = Program {
    listen: Listen {
        settings: &[env("SERVER_PORT"), env("server.port")],
        default: &[5601],
        never: &[9601],
        file: &[
            If::Mounted(KIBANA_FILE),
            If::Mounted(BITNAMI_FILE),
            If::Mounted(DASHBOARDS_FILE),
            If::Mounted(WAZUH_FILE),
        ],
    },
    roles: &[case(&[], usually("kibana"))],
    probe_path: ProbePath::Before(&["/login", "/api/status", "/app/kibana", "/app/login", "/status"]),
    ..Program::of(Product::Kibana)
};

/// Without the second setting, a proxy in front strips the base path and the Service answers at the root.
const BY_BASE_PATH: Case<Says<Path>> =
    case(&[If::On(REWRITE), If::Given(BASE_PATH)], Says::Stated(Path::Of(BASE_PATH)));

/// Sources: Kibana's reference of `server.basePath`, `server.rewriteBasePath`, `server.ssl.enabled` and
/// `xpack.security.enabled`, and of the variables of its image; the same of `OpenSearch` Dashboards; bitnami's images;
/// elastic/cloud-on-k8s `pkg/controller/kibana/pod.go` (everything is in a file, the probe has the scheme).
pub(crate) const PODS: &[Program] = &[
    Program {
        images: &[
            "kibana",
            "kibana-oss",
            "docker-kibana",
            "kibana6",
            "logging-kibana6",
            "logging-kibana5",
            "opendistro-for-elasticsearch-kibana",
        ],
        containers: &["kibana"],
        marks: &[
            If::Given(BASE_PATH),
            If::Given(REWRITE),
            If::Given(env("SERVER_PUBLICBASEURL")),
            If::Given(env("ELASTICSEARCH_REQUESTTIMEOUT")),
            If::Given(env("XPACK_ENCRYPTEDSAVEDOBJECTS_ENCRYPTIONKEY")),
            If::Given(env("XPACK_SECURITY_ENCRYPTIONKEY")),
            If::Given(env("XPACK_REPORTING_ENCRYPTIONKEY")),
            If::Given(env("KIBANA_SERVER_ENABLE_TLS")),
            If::Given(env("KIBANA_ELASTICSEARCH_URL")),
        ],
        shared_marks: &[If::Given(env("ELASTICSEARCH_HOSTS")), If::Given(env("SERVER_NAME")), If::Given(TLS)],
        scheme: &[
            case(&[If::On(TLS)], Says::Stated(Scheme::Https)),
            case(&[If::On(env("KIBANA_SERVER_ENABLE_TLS"))], Says::Stated(Scheme::Https)),
            case(&[If::Off(TLS)], Says::Stated(Scheme::Http)),
            case(&[If::Off(env("KIBANA_SERVER_ENABLE_TLS"))], Says::Stated(Scheme::Http)),
            case(&[If::Mounted(KIBANA_FILE)], Says::Usual(Scheme::Http)),
            case(&[If::Mounted(BITNAMI_FILE)], Says::Usual(Scheme::Http)),
            case(&[], Says::Default(Scheme::Http)),
        ],
        prefix: &[
            BY_BASE_PATH,
            case(&[If::Mounted(KIBANA_FILE)], Says::Usual(Path::Fixed(""))),
            case(&[If::Mounted(BITNAMI_FILE)], Says::Usual(Path::Fixed(""))),
            case(&[], Says::Default(Path::Fixed(""))),
        ],
        // Elasticsearch decides.
        auth: &[case(&[If::Off(env("XPACK_SECURITY_ENABLED"))], Says::Stated(Auth::None)), case(&[], Says::Open)],
        ..POD
    },
    Program {
        images: &["opensearch-dashboards"],
        when: &[
            If::Repository("bitnami"),
            If::Repository("bitnamilegacy"),
            If::Repository("bitnamisecure"),
            If::Given(env("BITNAMI_DEBUG")),
            If::Given(env("OPENSEARCH_DASHBOARDS_SERVER_ENABLE_TLS")),
        ],
        scheme: &[
            case(&[If::On(env("OPENSEARCH_DASHBOARDS_SERVER_ENABLE_TLS"))], Says::Stated(Scheme::Https)),
            case(&[], Says::Default(Scheme::Http)),
        ],
        prefix: &[BY_BASE_PATH, case(&[], Says::Default(Path::Fixed("")))],
        auth: &[
            case(&[If::Given(env("OPENSEARCH_DASHBOARDS_PASSWORD"))], Says::Stated(Auth::Basic)),
            case(&[If::Given(env("OPENSEARCH_DASHBOARDS_PASSWORD_FILE"))], Says::Stated(Auth::Basic)),
            case(&[], Says::Default(Auth::None)),
        ],
        ..POD
    },
    Program {
        images: &["opensearch-dashboards"],
        containers: &["dashboards", "opensearch-dashboards", "wazuh-dashboard"],
        marks: &[
            If::Given(env("OPENSEARCH_HOSTS")),
            If::Given(env("DISABLE_SECURITY_DASHBOARDS_PLUGIN")),
            If::Given(env("OPENSEARCH_DASHBOARDS_SERVER_ENABLE_TLS")),
        ],
        shared_marks: &[If::Given(TLS), If::Given(BASE_PATH), If::Given(env("SERVER_HOST"))],
        scheme: &[
            case(&[If::On(TLS)], Says::Stated(Scheme::Https)),
            case(&[If::Off(TLS)], Says::Stated(Scheme::Http)),
            case(&[If::Mounted(DASHBOARDS_FILE)], Says::Usual(Scheme::Http)),
            case(&[], Says::Default(Scheme::Http)),
        ],
        prefix: &[
            BY_BASE_PATH,
            case(&[If::Mounted(DASHBOARDS_FILE)], Says::Usual(Path::Fixed(""))),
            case(&[], Says::Default(Path::Fixed(""))),
        ],
        auth: &[
            case(&[If::On(env("DISABLE_SECURITY_DASHBOARDS_PLUGIN"))], Says::Stated(Auth::None)),
            case(&[], Says::Open),
        ],
        ..POD
    },
    // Wazuh's file serves TLS.
    Program {
        images: &["wazuh-dashboard"],
        scheme: &[
            case(&[If::On(TLS)], Says::Stated(Scheme::Https)),
            case(&[If::Off(TLS)], Says::Stated(Scheme::Http)),
            case(&[], Says::Usual(Scheme::Https)),
        ],
        prefix: &[BY_BASE_PATH, case(&[], Says::Usual(Path::Fixed("")))],
        auth: &[case(&[], Says::Usual(Auth::Basic))],
        ..POD
    },
];

/// Source: elastic/kibana and opensearch-project/OpenSearch-Dashboards `src/core/server/status/routes`. Who is not logged
/// in may see only the status, so the header counts, too. The list of plugins can be longer than what is read.
pub(crate) const PROBE: Facts = Facts {
    health: &[Below("/api/status")],
    questions: &[Question {
        path: "/api/status",
        proofs: &[
            confirmed(&[Header("kbn-name", "")]),
            confirmed(&[Header("osd-name", "")]),
            confirmed(&[
                Text("/name", &[]),
                Text("/uuid", &[]),
                Text("/version/number", &[]),
                Text("/version/build_hash", &[]),
                Number("/version/build_number"),
            ]),
        ],
    }],
    prefixes: &["/kibana", "/dashboards", "/_dashboards"],
    pages: &["/app/home", "/app/kibana", "/app/login", "/spaces/enter", "/spaces/space_selector"],
    page: &[itself(&[Header("kbn-name", "")]), itself(&[Header("osd-name", "")])],
    ..Facts::of(Product::Kibana)
};
