//! Thanos Query.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | bitnami/thanos | `name: thanos`, `component: query`; `query-frontend` beside it; storegateway, compactor and bucketweb use the same port names | `http` 9090 |
//! | kube-thanos, `OpenShift`'s `thanos-querier` | `name: thanos-query`, `component: query-layer` | `http` 9090; `OpenShift` `web` 9091 with TLS beside `tenancy` |
//! | kube-thanos' query frontend | `name: thanos-query-frontend`, `component: query-cache` | `http` 9090 |
//! | stevehipwell/thanos, banzai, by hand | `thanos-query`, `thanos-querier`, `component: query` | `http` 10902 or 9090, before 0.4 19192 |
//!
//! It asks nobody for a password by default (`--http.config`).
//!
//! Sidecar, discovery, store, compact, receive and rule answer no queries. They serve the store API (10901) and their
//! metrics (10902).

use crate::{
    engine::rule::{EndpointRole, Login, Ports, Rule, name, shared_name},
    finding::Auth,
    product::Product,
};

const PORTS: Ports = Ports {
    own_names: &[],
    numbers: &[10902, 9090, 19192],
    usual_names: &["http", "web", "https", "http-query", "query"],
    never: &[10901],
};

pub(crate) const RULE: Rule = Rule {
    names: &[shared_name("thanos"), name("thanos-query"), name("thanos-querier"), name("thanos-query-frontend")],
    name_words: &[&["thanos"]],
    charts: &[shared_name("thanos")],
    other_components: &[
        "bucket",
        "bucketweb",
        "compact",
        "compactor",
        "external",
        "grpc",
        "receive",
        "receiver",
        "rule",
        "ruler",
        "store",
        "storegateway",
        "gateway",
    ],
    name_words_need_role: true,
    endpoints: &[
        EndpointRole {
            roles: &["query", "querier", "query-layer", "thanos-query", "thanos-querier", "query-http"],
            role_optional: true,
            ..EndpointRole::on(PORTS)
        },
        EndpointRole {
            roles: &["query-frontend", "query-cache", "queryfrontend", "thanos-query-frontend"],
            tier: 1,
            ..EndpointRole::on(PORTS)
        },
    ],
    // Every component has 10902, so a candidate can be any of them.
    specific_ports: &[10902, 19192],
    specific_names: &["thanos-query"],
    path_setting: Some("--web.route-prefix"),
    login: Login::Usual(Auth::None),
    ..Rule::of(Product::Thanos)
};
