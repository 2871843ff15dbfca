//! `OpenSearch`.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | opensearch-project/opensearch | `name: opensearch`, `component: <cluster>-<nodes>` that the user chooses; its headless twin has the same labels | `http` 9200 (TLS unless the security plugin is off), `transport` 9300, `metrics` 9600 |
//! | opensearch-k8s-operator 3 | `opensearch.org/opensearch-cluster`; `…-nodepool` on a pool's headless one; `-discovery` has only 9300 | `http` 9200 with `appProtocol` |
//! | opensearch-k8s-operator 2 | the same under `opster.io/` | `http` 9200 |
//! | bitnami/opensearch | `name: opensearch`, `component: coordinating-only`; the other roles headless | `tcp-rest-api` 9200 |
//! | by hand | `app: opensearch`, or the selector has the operator's label | 9200 |
//!
//! It has no path prefix. It asks for a user and a password unless the security plugin is off, as it is in bitnami's image.
//!
//! `component: dashboards` is in `kibana.rs`.

use crate::{
    elasticsearch::{COORDINATING, ENDPOINT},
    engine::rule::{EndpointRole, Login, Mark, Rule, Shape, Then, name},
    finding::Auth,
    product::{
        Confidence::{High, Medium},
        Product,
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
    names: &[name("opensearch"), name("opensearch-cluster-master")],
    name_words: &[&["opensearch"], &["open", "search"]],
    charts: &[name("opensearch")],
    other_components: &["dashboard", "dashboards", "prepper", "snapshot"],
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
    specific_pairs: &[(9200, 9300), (9200, 9600)],
    login: Login::Usual(Auth::Basic),
    ..Rule::of(Product::OpenSearch)
};
