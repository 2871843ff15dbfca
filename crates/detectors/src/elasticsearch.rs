//! Elasticsearch.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | elastic/elasticsearch (7, 8) | `chart: elasticsearch`, `app: <cluster>-<nodes>` of the user's choice | `http` 9200 (8 with TLS all the same), `transport` 9300 |
//! | ECK | `common.k8s.elastic.co/type: elasticsearch`, `…/cluster-name` | named after the scheme, 9200 |
//! | ECK, not for clients | Service `*-es-internal-http`; `…/statefulset-name` on a node set's headless one; `-es-transport` has only 9300 | |
//! | by hand | the selector asks for ECK's `type: elasticsearch` | 9200 |
//! | bitnami/elasticsearch | `name: elasticsearch`, `component: coordinating-only`; master, data, ingest answer too (up to 17 one Service each, else headless) | `tcp-rest-api` or `http` 9200 |
//! | stable/elasticsearch, pires' manifests | `app` or `component: elasticsearch`, `component` or `role: client` | `http` 9200 |
//! | Kubernetes' cluster addon | `k8s-app: elasticsearch-logging` | 9200 |
//! | by hand | `app: elasticsearch` | 9200 under any name |

use crate::{
    Confidence::{High, Medium},
    Product,
    engine::rule::{Door, Mark, Ports, Rule, Shape, Then, name},
};

pub(crate) const PORTS: Ports = Ports {
    own_names: &["tcp-rest-api"],
    numbers: &[9200],
    usual_names: &["https", "http", "rest-api", "rest", "api", "es", "elasticsearch"],
    never: &[9300, 9600, 9650],
};

const DOOR: Door = Door { roles: &[], bare: false, tier: 0, path: "", ports: PORTS };

/// The role's values for nodes without a role of their own, which route every request.
pub(crate) const COORDINATING: &[&str] = &["coordinating-only", "coordinating", "coordinator", "client", "clients"];

pub(crate) const RULE: Rule = Rule {
    names: &[
        name("elasticsearch"),
        name("elasticsearch-logging"),
        name("elasticsearch-master"),
        name("elasticsearch-client"),
        name("elasticsearch-coordinating"),
    ],
    words: &[&["elasticsearch"], &["elastic", "search"], &["elastic"]],
    parts: &["head", "hq", "dump", "ilm", "template", "templates", "snapshot", "keystore", "certs", "apm", "internal"],
    role_keys: &["role"],
    shapes: &[
        Shape {
            made_by: "ECK",
            when: &[
                Mark::Label("common.k8s.elastic.co/type", "elasticsearch"),
                Mark::HasLabel("elasticsearch.k8s.elastic.co/statefulset-name"),
            ],
            then: Then::Part("the headless Service of one node set"),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "ECK",
            when: &[
                Mark::Label("common.k8s.elastic.co/type", "elasticsearch"),
                Mark::NameEndsWith("-es-internal-http"),
            ],
            then: Then::Part("the operator's own Service"),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "ECK",
            when: &[Mark::Label("common.k8s.elastic.co/type", "elasticsearch")],
            then: Then::Door(DOOR),
            confidence: High,
            bundled: false,
        },
        Shape {
            made_by: "a Service over ECK's pods",
            when: &[Mark::Selector("common.k8s.elastic.co/type", "elasticsearch")],
            then: Then::Door(DOOR),
            confidence: Medium,
            bundled: false,
        },
        Shape {
            made_by: "elastic/elasticsearch",
            when: &[Mark::Label("chart", "elasticsearch"), Mark::HasLabel("app")],
            then: Then::Door(DOOR),
            confidence: High,
            bundled: false,
        },
    ],
    doors: &[
        Door { roles: COORDINATING, bare: true, ..DOOR },
        Door { roles: &["ingest"], tier: 1, ..DOOR },
        Door { roles: &["master"], tier: 2, ..DOOR },
        Door { roles: &["data", "data-hot", "data-warm", "data-cold"], tier: 3, ..DOOR },
    ],
    telling_ports: &[9200],
    ..Rule::of(Product::Elasticsearch)
};
