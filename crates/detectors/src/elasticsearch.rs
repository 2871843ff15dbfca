//! Elasticsearch.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | elastic/elasticsearch (7, 8) | `chart: elasticsearch`, `app: <cluster>-<nodes>` that the user chooses | `http` 9200 (with TLS in 8), `transport` 9300 |
//! | ECK | `common.k8s.elastic.co/type: elasticsearch`, `…/cluster-name` | named after the scheme, 9200 |
//! | ECK, not for clients | Service `*-es-internal-http`; `…/statefulset-name` on a node set's headless one; `-es-transport` has only 9300 | |
//! | by hand | the selector has ECK's `type: elasticsearch` or `elasticsearch.k8s.elastic.co/cluster-name` | 9200 |
//! | openstack-helm | the selector has `application: elasticsearch`, `component: client` | Apache's `http` 80 |
//! | bitnami/elasticsearch | `name: elasticsearch`, `component: coordinating-only`; master, data and ingest nodes answer too (up to 17 one Service each, since then headless) | `tcp-rest-api` or `http` 9200 |
//! | Open Distro's chart | `app: <release>-opendistro-es`, `chart`, `role: client`; Kibana has `role: kibana` | `http` 9200 |
//! | stable/elasticsearch, pires' manifests | `app` or `component: elasticsearch`, `component` or `role: client` | `http` 9200 |
//! | Kubernetes' cluster addon | `k8s-app: elasticsearch-logging` | 9200 |
//! | by hand | `app: elasticsearch` | 9200 under any name |
//!
//! It has no path prefix. It asks for a user and a password by default since version 8, and with ECK always.

use crate::{
    engine::rule::{EndpointRole, Login, Mark, Ports, Rule, Shape, Then, name, shared_name},
    finding::Auth,
    pods::program::{If, Listen, Path, Program, Says, Setting, answers, case, env, flag, silent, usually},
    probe::{
        facts::{Facts, Family, HealthPath::Below, Proof, Question, confirmed},
        mark::Mark::{Lacks, Text},
    },
    product::{
        Confidence::{High, Medium},
        Product, Scheme,
    },
};

pub(crate) const PORTS: Ports = Ports {
    own_names: &["tcp-rest-api"],
    numbers: &[9200],
    usual_names: &["https", "http", "rest-api", "rest", "api", "es", "elasticsearch"],
    targets: &[],
    // 5601 is the dashboards'.
    never: &[5601, 9300, 9600, 9650],
};

pub(crate) const ENDPOINT: EndpointRole = EndpointRole { path_is_fixed: true, ..EndpointRole::on(PORTS) };

/// ECK cannot switch security off.
const ECK: EndpointRole = EndpointRole { login: Some(Login::Always(Auth::Basic)), ..ENDPOINT };

/// Role values of nodes that have no other role and only route requests.
pub(crate) const COORDINATING: &[&str] = &["coordinating-only", "coordinating", "coordinator", "client", "clients"];

pub(crate) const RULE: Rule = Rule {
    names: &[
        name("elasticsearch"),
        name("elasticsearch-logging"),
        name("elasticsearch-master"),
        name("elasticsearch-client"),
        name("elasticsearch-coordinating"),
    ],
    name_words: &[&["elasticsearch"], &["elastic", "search"], &["elastic"]],
    charts: &[shared_name("elasticsearch"), shared_name("opendistro-es")],
    other_components: &[
        "head",
        "hq",
        "dump",
        "ilm",
        "template",
        "templates",
        "snapshot",
        "keystore",
        "certs",
        "apm",
        "internal",
    ],
    neutral_words: &["search"],
    role_keys: &["role"],
    shapes: &[
        Shape {
            made_by: "ECK",
            when: &[
                Mark::Label("common.k8s.elastic.co/type", "elasticsearch"),
                Mark::HasLabel("elasticsearch.k8s.elastic.co/statefulset-name"),
            ],
            then: Then::OtherRole("the headless Service of one node set"),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "ECK",
            when: &[
                Mark::Label("common.k8s.elastic.co/type", "elasticsearch"),
                Mark::NameEndsWith("-es-internal-http"),
            ],
            then: Then::OtherRole("the operator's own Service"),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "ECK",
            when: &[Mark::Label("common.k8s.elastic.co/type", "elasticsearch")],
            then: Then::Endpoint(ECK),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "a Service that selects ECK's Pods",
            when: &[Mark::Selector("common.k8s.elastic.co/type", "elasticsearch")],
            then: Then::Endpoint(ECK),
            confidence: Medium,
            bundled: false,
        },
        Shape {
            made_by: "a Service that selects ECK's Pods",
            when: &[Mark::HasSelector("elasticsearch.k8s.elastic.co/cluster-name")],
            then: Then::Endpoint(ECK),
            confidence: Medium,
            bundled: false,
        },
        Shape {
            made_by: "elastic/elasticsearch",
            when: &[Mark::Label("chart", "elasticsearch"), Mark::HasLabel("app")],
            then: Then::Endpoint(ENDPOINT),
            confidence: High,
            bundled: false,
        },
    ],
    endpoints: &[
        EndpointRole { roles: COORDINATING, role_optional: true, ..ENDPOINT },
        EndpointRole { roles: &["ingest"], tier: 1, ..ENDPOINT },
        EndpointRole { roles: &["master"], tier: 2, ..ENDPOINT },
        EndpointRole { roles: &["data", "data-hot", "data-warm", "data-cold"], tier: 3, ..ENDPOINT },
    ],
    specific_names: &["elasticsearch"],
    specific_pairs: &[(9200, 9300)],
    login: Login::Usual(Auth::Basic),
    ..Rule::of(Product::Elasticsearch)
};

const SECURITY: Setting = flag("xpack.security.enabled");
const HTTP_TLS: Setting = flag("xpack.security.http.ssl.enabled");
const SECURITY_ENV: Setting = env("xpack.security.enabled");
const HTTP_TLS_ENV: Setting = env("xpack.security.http.ssl.enabled");
const AUTOCONFIGURATION: Setting = flag("xpack.security.autoconfiguration.enabled");
const AUTOCONFIGURATION_ENV: Setting = env("xpack.security.autoconfiguration.enabled");
/// What is here after the first start, so that the node does not configure itself again.
const DATA: &str = "/usr/share/elasticsearch/data";
const FILE: &str = "/usr/share/elasticsearch/config/elasticsearch.yml";
const BITNAMI_FILE: &str = "/opt/bitnami/elasticsearch/config/elasticsearch.yml";
const BITNAMI_SECURITY: Setting = env("ELASTICSEARCH_ENABLE_SECURITY");
const BITNAMI_TLS: Setting = env("ELASTICSEARCH_ENABLE_REST_TLS");
const NODE_ROLES: Setting = env("node.roles");

/// What is true of all builds.
const POD: Program = Program {
    containers: &["elasticsearch"],
    marks: &[
        If::Given(SECURITY_ENV),
        If::Given(HTTP_TLS_ENV),
        If::Given(env("xpack.security.transport.ssl.enabled")),
        If::Given(env("ES_JAVA_OPTS")),
        If::Given(env("cluster.initial_master_nodes")),
        If::Given(env("discovery.zen.minimum_master_nodes")),
        If::Given(env("ELASTICSEARCH_CLUSTER_NAME")),
        If::Given(BITNAMI_SECURITY),
        If::Given(env("READINESS_PROBE_PROTOCOL")),
        If::Given(AUTOCONFIGURATION_ENV),
    ],
    shared_marks: &[
        If::Given(env("ELASTIC_PASSWORD")),
        If::Given(env("discovery.seed_hosts")),
        If::Given(env("discovery.type")),
        If::Given(env("cluster.name")),
        If::Given(env("node.name")),
        If::Given(NODE_ROLES),
    ],
    listen: Listen {
        settings: &[env("http.port"), flag("http.port")],
        default: &[9200],
        never: &[9300, 9600, 9650],
        file: &[If::Mounted(FILE), If::Mounted(BITNAMI_FILE)],
    },
    // A node without roles routes requests. Old images switch HTTP off on the other nodes.
    roles: &[
        case(&[If::Off(env("HTTP_ENABLE"))], silent("a node without HTTP")),
        case(&[If::Is(NODE_ROLES, "")], answers("coordinating")),
        case(&[If::Is(NODE_ROLES, "[]")], answers("coordinating")),
        case(&[If::Is(NODE_ROLES, "master")], answers("master")),
        case(&[If::Is(NODE_ROLES, "ingest")], answers("ingest")),
        case(&[If::Is(NODE_ROLES, "data")], answers("data")),
        case(&[If::Off(env("NODE_MASTER")), If::Off(env("NODE_DATA"))], answers("coordinating")),
        case(&[], usually("")),
    ],
    prefix: &[case(&[], Says::Default(Path::Fixed("")))],
    ..Program::of(Product::Elasticsearch)
};

/// Sources: Elasticsearch's reference of `xpack.security.*` (on with TLS since 8.0, off before; the OSS builds have none;
/// without the auto-configuration, security is on and TLS is not; it is skipped if there are data already);
/// elastic/cloud-on-k8s `pkg/controller/elasticsearch/nodespec` (ECK always has users, and names the port after the
/// scheme); bitnami's image; pires/docker-elasticsearch-kubernetes and ES 2 to 6 for `HTTP_ENABLE`.
pub(crate) const PODS: &[Program] = &[
    // ECK.
    Program {
        images: &["elasticsearch"],
        when: &[
            If::Given(env("READINESS_PROBE_PROTOCOL")),
            If::Given(env("PROBE_PASSWORD_PATH")),
            If::Given(env("NSS_SDB_USE_CACHE")),
            If::Given(env("HEADLESS_SERVICE_NAME")),
            If::Mounted("/mnt/elastic-internal/xpack-file-realm"),
        ],
        scheme: &[
            case(&[If::Is(env("READINESS_PROBE_PROTOCOL"), "https")], Says::Stated(Scheme::Https)),
            case(&[If::Is(env("READINESS_PROBE_PROTOCOL"), "http")], Says::Stated(Scheme::Http)),
            case(&[If::PortName("https")], Says::Stated(Scheme::Https)),
            case(&[If::PortName("http")], Says::Stated(Scheme::Http)),
            case(&[], Says::Usual(Scheme::Https)),
        ],
        auth: &[case(&[], Says::Default(Auth::Basic))],
        ..POD
    },
    // bitnami.
    Program {
        images: &["elasticsearch"],
        when: &[
            If::Repository("bitnami"),
            If::Repository("bitnamilegacy"),
            If::Repository("bitnamisecure"),
            If::Given(env("BITNAMI_DEBUG")),
            If::Given(env("ELASTICSEARCH_CLUSTER_NAME")),
            If::Given(BITNAMI_SECURITY),
        ],
        // REST over TLS is on with security, unless it is switched off by itself.
        scheme: &[
            case(&[If::On(BITNAMI_SECURITY), If::Off(BITNAMI_TLS)], Says::Stated(Scheme::Http)),
            case(&[If::On(BITNAMI_SECURITY)], Says::Stated(Scheme::Https)),
            case(&[If::Off(BITNAMI_SECURITY)], Says::Stated(Scheme::Http)),
            case(&[], Says::Default(Scheme::Http)),
        ],
        auth: &[case(&[If::On(BITNAMI_SECURITY)], Says::Stated(Auth::Basic)), case(&[], Says::Default(Auth::None))],
        ..POD
    },
    // Open Distro, from which OpenSearch comes: its security plugin is on, with demo certificates.
    Program {
        images: &["opendistro-for-elasticsearch"],
        marks: &[If::Given(env("opendistro_security.disabled"))],
        scheme: &[
            case(&[If::On(env("opendistro_security.disabled"))], Says::Stated(Scheme::Http)),
            case(&[If::Off(env("opendistro_security.ssl.http.enabled"))], Says::Stated(Scheme::Http)),
            case(&[If::Mounted(FILE)], Says::Usual(Scheme::Https)),
            case(&[], Says::Default(Scheme::Https)),
        ],
        auth: &[
            case(&[If::On(env("opendistro_security.disabled"))], Says::Stated(Auth::None)),
            case(&[If::Mounted(FILE)], Says::Usual(Auth::Basic)),
            case(&[], Says::Default(Auth::Basic)),
        ],
        ..POD
    },
    // Builds without the security plugin.
    Program {
        images: &["elasticsearch-oss", "docker-elasticsearch-kubernetes"],
        marks: &[],
        scheme: &[case(&[], Says::Default(Scheme::Http))],
        auth: &[case(&[], Says::Default(Auth::None))],
        ..POD
    },
    Program {
        images: &["elasticsearch", "elasticsearch6", "logging-elasticsearch6", "logging-elasticsearch5"],
        scheme: &[
            case(&[If::Off(SECURITY_ENV)], Says::Stated(Scheme::Http)),
            case(&[If::On(HTTP_TLS_ENV)], Says::Stated(Scheme::Https)),
            case(&[If::Off(HTTP_TLS_ENV)], Says::Stated(Scheme::Http)),
            case(&[If::Off(SECURITY)], Says::Stated(Scheme::Http)),
            case(&[If::On(HTTP_TLS)], Says::Stated(Scheme::Https)),
            case(&[If::Off(HTTP_TLS)], Says::Stated(Scheme::Http)),
            // The image of 8 writes TLS into the file itself at its first start, unless security is stated.
            case(&[If::Since(8), If::On(SECURITY_ENV)], Says::Usual(Scheme::Http)),
            case(&[If::Since(8), If::Off(AUTOCONFIGURATION_ENV), If::Mounted(FILE)], Says::Usual(Scheme::Http)),
            case(&[If::Since(8), If::Off(AUTOCONFIGURATION), If::Mounted(FILE)], Says::Usual(Scheme::Http)),
            case(&[If::Since(8), If::Off(AUTOCONFIGURATION_ENV)], Says::Stated(Scheme::Http)),
            case(&[If::Since(8), If::Off(AUTOCONFIGURATION)], Says::Stated(Scheme::Http)),
            case(&[If::Since(8), If::Mounted(FILE)], Says::Usual(Scheme::Https)),
            // A new Pod with old data does not write it again, so that what it was at first decides.
            case(&[If::Since(8), If::Mounted(DATA)], Says::Usual(Scheme::Https)),
            case(&[If::Since(8)], Says::Default(Scheme::Https)),
            case(&[If::Before(8), If::Mounted(FILE)], Says::Usual(Scheme::Http)),
            case(&[If::Before(8)], Says::Default(Scheme::Http)),
        ],
        auth: &[
            case(&[If::Off(SECURITY_ENV)], Says::Stated(Auth::None)),
            case(&[If::On(SECURITY_ENV)], Says::Stated(Auth::Basic)),
            case(&[If::Off(SECURITY)], Says::Stated(Auth::None)),
            case(&[If::On(SECURITY)], Says::Stated(Auth::Basic)),
            case(&[If::Mounted(FILE)], Says::Open),
            case(&[If::Since(8)], Says::Default(Auth::Basic)),
            case(&[If::Before(8)], Says::Default(Auth::None)),
        ],
        ..POD
    },
];

/// Source: Elasticsearch's reference of its REST API. With security on, all paths ask for a login.
pub(crate) const PROBE: Facts = Facts {
    health: &[Below("/_cluster/health"), Below("/")],
    questions: &[ROOT],
    page: &[TAGLINE],
    family: Some(Family::Elasticsearch),
    ..Facts::of(Product::Elasticsearch)
};

/// `OpenSearch` began as a copy of Elasticsearch and has kept its API, so a client can use either.
pub(crate) const ROOT: Question = Question { path: "/", proofs: &[TAGLINE, OPENSEARCH_TAGLINE] };

/// `OpenSearch` names its distribution.
const TAGLINE: Proof = confirmed(&[
    Text("/tagline", &["You Know, for Search"]),
    Text("/version/number", &[]),
    Lacks("/version/distribution"),
]);

/// What `OpenSearch` answers to the same question.
pub(crate) const OPENSEARCH_TAGLINE: Proof =
    confirmed(&[Text("/version/distribution", &["opensearch"]), Text("/version/number", &[]), Text("/tagline", &[])]);
