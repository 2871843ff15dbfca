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
//! | by hand | the selector has one of the operators' labels | 5601 |
//! | openstack-helm | the selector has `application: kibana`, `component: dashboard` | Apache's `http` 80 |
//!
//! They ask for a user and a password if the search engine behind them does.

use crate::{
    engine::rule::{EndpointRole, Login, Mark, Ports, Rule, Shape, Then, name},
    finding::Auth,
    product::{
        Confidence::{High, Medium},
        Product,
    },
};

const ENDPOINT: EndpointRole = EndpointRole::on(Ports {
    own_names: &[],
    numbers: &[5601],
    usual_names: &["https", "http", "web", "ui", "kibana", "dashboards", "service"],
    never: &[9601],
});

const fn by_label(made_by: &'static str, when: &'static [Mark]) -> Shape {
    Shape { made_by, when, then: Then::Endpoint(ENDPOINT), confidence: High, bundled: false }
}

const fn by_selector(made_by: &'static str, when: &'static [Mark]) -> Shape {
    Shape { made_by, when, then: Then::Endpoint(ENDPOINT), confidence: Medium, bundled: false }
}

pub(crate) const RULE: Rule = Rule {
    names: &[name("kibana"), name("kibana-logging"), name("opensearch-dashboards"), name("opensearch-dashboard")],
    name_words: &[
        &["kibana"],
        &["opensearch", "dashboards"],
        &["opensearch", "dashboard"],
        &["open", "search", "dashboards"],
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
    endpoints: &[EndpointRole { roles: &["kibana", "frontend", "dashboard"], role_optional: true, ..ENDPOINT }],
    charts: &[name("kibana"), name("opensearch-dashboards")],
    specific_ports: &[5601],
    specific_names: &["kibana-port", "kibana-ui"],
    path_setting: Some("server.rewriteBasePath with server.basePath"),
    login: Login::Usual(Auth::Basic),
    ..Rule::of(Product::Kibana)
};
