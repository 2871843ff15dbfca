//! `OpenSearch`.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | opensearch-project/opensearch | `name: opensearch`, `component: <cluster>-<nodes>` that the user chooses; its headless twin has the same labels | `http` 9200 (TLS unless the security plugin is off), `transport` 9300, `metrics` 9600 |
//! | opensearch-k8s-operator 3 | `opensearch.org/opensearch-cluster`; `…-nodepool` on a pool's headless one; `-discovery` has only 9300 | `http` 9200 with `appProtocol` |
//! | opensearch-k8s-operator 2 | the same under `opster.io/` | `http` 9200 |
//! | bitnami/opensearch | `name: opensearch`, `component: coordinating-only`; the other roles headless | `tcp-rest-api` 9200 |
//! | Wazuh's manifests | `app: wazuh-indexer` | `indexer-rest` 9200 with TLS, beside `indexer-nodes` 9300 or without |
//! | by hand | `app: opensearch`, or the selector has the operator's label | 9200 |
//!
//! It has no path prefix. It asks for a user and a password unless the security plugin is off, as it is in bitnami's image.
//!
//! `component: dashboards` is in `kibana.rs`.

use crate::{
    elasticsearch::{COORDINATING, ENDPOINT, OPENSEARCH_TAGLINE, ROOT},
    engine::rule::{EndpointRole, Login, Mark, Rule, Shape, Then, name},
    finding::Auth,
    pods::program::{If, Listen, Path, Program, Says, Setting, answers, case, env, flag, usually},
    probe::facts::{Facts, Family, HealthPath::Below},
    product::{
        Confidence::{High, Medium},
        Product, Scheme,
    },
};

const fn by_operator(when: &'static [Mark], then: Then) -> Shape {
    Shape { made_by: "opensearch-k8s-operator", when, then, confidence: High, bundled: false }
}

const fn by_selector(when: &'static [Mark]) -> Shape {
    let made_by = "a Service that selects opensearch-k8s-operator's Pods";
    Shape { made_by, when, then: Then::Endpoint(ENDPOINT), confidence: Medium, bundled: false }
}

const POOL: &str = "the headless Service of one node pool";

pub(crate) const RULE: Rule = Rule {
    names: &[name("opensearch"), name("opensearch-cluster-master"), name("wazuh-indexer")],
    name_words: &[&["opensearch"], &["open", "search"], &["wazuh", "indexer"]],
    charts: &[name("opensearch")],
    other_components: &["dashboard", "dashboards", "prepper", "snapshot"],
    neutral_words: &["search"],
    role_keys: &["role"],
    free_roles: true,
    shapes: &[
        by_operator(&[Mark::HasLabel("opensearch.org/opensearch-nodepool")], Then::OtherRole(POOL)),
        by_operator(&[Mark::HasLabel("opster.io/opensearch-nodepool")], Then::OtherRole(POOL)),
        by_operator(&[Mark::HasLabel("opensearch.org/opensearch-cluster")], Then::Endpoint(ENDPOINT)),
        by_operator(&[Mark::HasLabel("opster.io/opensearch-cluster")], Then::Endpoint(ENDPOINT)),
        by_selector(&[Mark::HasSelector("opensearch.org/opensearch-cluster")]),
        by_selector(&[Mark::HasSelector("opster.io/opensearch-cluster")]),
    ],
    endpoints: &[
        EndpointRole { roles: COORDINATING, role_optional: true, ..ENDPOINT },
        EndpointRole { roles: &["ingest"], tier: 1, ..ENDPOINT },
        EndpointRole { roles: &["master", "cluster_manager", "cluster-manager"], tier: 2, ..ENDPOINT },
        EndpointRole { roles: &["data"], tier: 3, ..ENDPOINT },
    ],
    specific_names: &["opensearch"],
    specific_pairs: &[(9200, 9300), (9200, 9600)],
    login: Login::Usual(Auth::Basic),
    ..Rule::of(Product::OpenSearch)
};

const OFF: Setting = env("DISABLE_SECURITY_PLUGIN");
const OFF_ENV: Setting = env("plugins.security.disabled");
const OFF_FLAG: Setting = flag("plugins.security.disabled");
const HTTP_TLS: Setting = env("plugins.security.ssl.http.enabled");
const HTTP_TLS_FLAG: Setting = flag("plugins.security.ssl.http.enabled");
const FILE: &str = "/usr/share/opensearch/config/opensearch.yml";
const WAZUH_FILE: &str = "/usr/share/wazuh-indexer/opensearch.yml";
const BITNAMI_FILE: &str = "/opt/bitnami/opensearch/config/opensearch.yml";
const BITNAMI_SECURITY: Setting = env("OPENSEARCH_ENABLE_SECURITY");
const BITNAMI_TLS: Setting = env("OPENSEARCH_ENABLE_REST_TLS");
const NODE_ROLES: Setting = env("node.roles");

/// What is true of all builds.
const POD: Program = Program {
    containers: &["opensearch", "wazuh-indexer"],
    marks: &[
        If::Given(OFF),
        If::Given(OFF_ENV),
        If::Given(HTTP_TLS),
        If::Given(env("OPENSEARCH_JAVA_OPTS")),
        If::Given(env("OPENSEARCH_INITIAL_ADMIN_PASSWORD")),
        If::Given(env("DISABLE_INSTALL_DEMO_CONFIG")),
        If::Given(env("cluster.initial_cluster_manager_nodes")),
        If::Given(env("OPENSEARCH_CLUSTER_NAME")),
        If::Given(BITNAMI_SECURITY),
    ],
    shared_marks: &[
        If::Given(env("discovery.seed_hosts")),
        If::Given(env("cluster.initial_master_nodes")),
        If::Given(env("discovery.type")),
        If::Given(env("cluster.name")),
        If::Given(env("node.name")),
        If::Given(NODE_ROLES),
    ],
    listen: Listen {
        settings: &[env("http.port"), flag("http.port")],
        default: &[9200],
        never: &[9300, 9600, 9650],
        file: &[If::Mounted(FILE), If::Mounted(WAZUH_FILE), If::Mounted(BITNAMI_FILE)],
    },
    roles: &[
        case(&[If::Is(NODE_ROLES, "")], answers("coordinating")),
        case(&[If::Is(NODE_ROLES, "[]")], answers("coordinating")),
        case(&[If::Is(NODE_ROLES, "ingest")], answers("ingest")),
        case(&[If::Is(NODE_ROLES, "master")], answers("master")),
        case(&[If::Is(NODE_ROLES, "cluster_manager")], answers("cluster_manager")),
        case(&[If::Is(NODE_ROLES, "data")], answers("data")),
        case(&[], usually("")),
    ],
    prefix: &[case(&[], Says::Default(Path::Fixed("")))],
    ..Program::of(Product::OpenSearch)
};

/// Sources: `OpenSearch`'s documentation of its image (the security plugin is on, with demo certificates) and of
/// `plugins.security.*`; bitnami's image, where it is off and REST over TLS is a setting of its own; the operator's
/// `pkg/builders/cluster.go`, whose probe calls the REST port with a user.
pub(crate) const PODS: &[Program] = &[
    Program {
        images: &["opensearch"],
        when: &[
            If::Repository("bitnami"),
            If::Repository("bitnamilegacy"),
            If::Repository("bitnamisecure"),
            If::Given(env("BITNAMI_DEBUG")),
            If::Given(env("OPENSEARCH_CLUSTER_NAME")),
            If::Given(BITNAMI_SECURITY),
        ],
        scheme: &[
            case(&[If::On(BITNAMI_SECURITY), If::Off(BITNAMI_TLS)], Says::Stated(Scheme::Http)),
            case(&[If::On(BITNAMI_SECURITY)], Says::Stated(Scheme::Https)),
            case(&[If::Off(BITNAMI_SECURITY)], Says::Stated(Scheme::Http)),
            case(&[], Says::Default(Scheme::Http)),
        ],
        auth: &[case(&[If::On(BITNAMI_SECURITY)], Says::Stated(Auth::Basic)), case(&[], Says::Default(Auth::None))],
        ..POD
    },
    Program {
        images: &["opensearch", "wazuh-indexer"],
        scheme: &[
            case(&[If::On(OFF)], Says::Stated(Scheme::Http)),
            case(&[If::On(OFF_ENV)], Says::Stated(Scheme::Http)),
            case(&[If::Off(HTTP_TLS)], Says::Stated(Scheme::Http)),
            case(&[If::On(HTTP_TLS)], Says::Stated(Scheme::Https)),
            case(&[If::On(OFF_FLAG)], Says::Stated(Scheme::Http)),
            case(&[If::Off(HTTP_TLS_FLAG)], Says::Stated(Scheme::Http)),
            case(&[If::On(HTTP_TLS_FLAG)], Says::Stated(Scheme::Https)),
            case(&[If::Mounted(FILE)], Says::Usual(Scheme::Https)),
            case(&[If::Mounted(WAZUH_FILE)], Says::Usual(Scheme::Https)),
            case(&[], Says::Default(Scheme::Https)),
        ],
        auth: &[
            case(&[If::On(OFF)], Says::Stated(Auth::None)),
            case(&[If::On(OFF_ENV)], Says::Stated(Auth::None)),
            case(&[If::On(OFF_FLAG)], Says::Stated(Auth::None)),
            case(&[If::Mounted(FILE)], Says::Usual(Auth::Basic)),
            case(&[If::Mounted(WAZUH_FILE)], Says::Usual(Auth::Basic)),
            case(&[], Says::Default(Auth::Basic)),
        ],
        ..POD
    },
];

/// Source: `OpenSearch`'s reference of its REST API. With the security plugin, all paths ask for a login.
pub(crate) const PROBE: Facts = Facts {
    health: &[Below("/_cluster/health"), Below("/")],
    questions: &[ROOT],
    page: &[OPENSEARCH_TAGLINE],
    family: Some(Family::Elasticsearch),
    ..Facts::of(Product::OpenSearch)
};
