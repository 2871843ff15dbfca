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
//! | stable/elasticsearch, pires' manifests | `app` or `component: elasticsearch`, `component` or `role: client` | `http` 9200 |
//! | Kubernetes' cluster addon | `k8s-app: elasticsearch-logging` | 9200 |
//! | by hand | `app: elasticsearch` | 9200 under any name |
//!
//! It has no path prefix. It asks for a user and a password by default since version 8, and with ECK always.

use crate::{
    engine::rule::{EndpointRole, Login, Mark, Ports, Rule, Shape, Then, name, shared_name},
    finding::Auth,
    product::{
        Confidence::{High, Medium},
        Product,
    },
};

pub(crate) const PORTS: Ports = Ports {
    own_names: &["tcp-rest-api"],
    numbers: &[9200],
    usual_names: &["https", "http", "rest-api", "rest", "api", "es", "elasticsearch"],
    never: &[9300, 9600, 9650],
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
    charts: &[shared_name("elasticsearch")],
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
    specific_pairs: &[(9200, 9300)],
    login: Login::Usual(Auth::Basic),
    ..Rule::of(Product::Elasticsearch)
};
