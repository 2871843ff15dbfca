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
    product::{
        Confidence::{High, Medium},
        Product,
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
    specific_names: &["grafana-http", "http-grafana"],
    peer_ports: &[9094],
    path_setting: Some("serve_from_sub_path with the path of root_url"),
    login: Login::Usual(Auth::Bearer),
    ..Rule::of(Product::Grafana)
};
