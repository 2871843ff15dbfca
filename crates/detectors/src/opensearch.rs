//! `OpenSearch`.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | opensearch-project/opensearch | `name: opensearch`, `component: <cluster>-<nodes>` of the user's choice; a headless twin with the same | `http` 9200 (TLS unless the security plugin is off), `transport` 9300, `metrics` 9600 |
//! | opensearch-k8s-operator 3 | `opensearch.org/opensearch-cluster`; `…-nodepool` on a pool's headless one; `-discovery` has only 9300 | `http` 9200 with `appProtocol` |
//! | opensearch-k8s-operator 2 | the same under `opster.io/` | `http` 9200 |
//! | bitnami/opensearch | `name: opensearch`, `component: coordinating-only`; the other roles headless | `tcp-rest-api` 9200 |
//! | by hand | `app: opensearch`, or the selector asks for the operator's label | 9200 |
//!
//! `component: dashboards` is in `kibana.rs`.

use crate::{
    Confidence::{High, Medium},
    Product,
    elasticsearch::{COORDINATING, PORTS},
    engine::rule::{Door, Mark, Rule, Shape, Then, name},
};

const DOOR: Door = Door { roles: &[], bare: false, tier: 0, path: "", ports: PORTS };

const fn by_operator(when: &'static [Mark], then: Then) -> Shape {
    Shape { made_by: "opensearch-k8s-operator", when, then, confidence: High, bundled: false }
}

const fn by_selector(when: &'static [Mark]) -> Shape {
    let made_by = "a Service over opensearch-k8s-operator's pods";
    Shape { made_by, when, then: Then::Door(DOOR), confidence: Medium, bundled: false }
}

const POOL: &str = "the headless Service of one node pool";

pub(crate) const RULE: Rule = Rule {
    names: &[name("opensearch"), name("opensearch-cluster-master")],
    words: &[&["opensearch"], &["open", "search"]],
    parts: &["dashboard", "dashboards", "prepper", "snapshot"],
    role_keys: &["role"],
    free_roles: true,
    shapes: &[
        by_operator(&[Mark::HasLabel("opensearch.org/opensearch-nodepool")], Then::Part(POOL)),
        by_operator(&[Mark::HasLabel("opster.io/opensearch-nodepool")], Then::Part(POOL)),
        by_operator(&[Mark::HasLabel("opensearch.org/opensearch-cluster")], Then::Door(DOOR)),
        by_operator(&[Mark::HasLabel("opster.io/opensearch-cluster")], Then::Door(DOOR)),
        by_selector(&[Mark::HasSelector("opensearch.org/opensearch-cluster")]),
        by_selector(&[Mark::HasSelector("opster.io/opensearch-cluster")]),
    ],
    doors: &[
        Door { roles: COORDINATING, bare: true, ..DOOR },
        Door { roles: &["ingest"], tier: 1, ..DOOR },
        Door { roles: &["master", "cluster_manager", "cluster-manager"], tier: 2, ..DOOR },
        Door { roles: &["data"], tier: 3, ..DOOR },
    ],
    ..Rule::of(Product::OpenSearch)
};
