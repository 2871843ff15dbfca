//! Thanos Query.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | bitnami/thanos | `name: thanos`, `component: query`; `query-frontend` beside it; storegateway, compactor and bucketweb use the same port names | `http` 9090 |
//! | kube-thanos, `OpenShift`'s `thanos-querier` | `name: thanos-query`, `component: query-layer` | `http` 9090; `OpenShift` `web` 9091 with TLS beside `tenancy` |
//! | kube-thanos' query frontend | `name: thanos-query-frontend`, `component: query-cache` | `http` 9090 |
//! | stevehipwell/thanos, banzai, by hand | `thanos-query`, `thanos-querier`, `component: query` | `http` 10902 or 9090, before 0.4 19192 |
//!
//! Never: sidecar, discovery, store, compact, receive, rule. They serve the store API (10901) and their metrics (10902).

use crate::{
    Product,
    engine::rule::{Door, Ports, Rule, name, shared_name},
};

const PORTS: Ports = Ports {
    own_names: &[],
    numbers: &[10902, 9090, 19192],
    usual_names: &["http", "web", "https", "http-query", "query"],
    never: &[10901],
};

pub(crate) const RULE: Rule = Rule {
    names: &[shared_name("thanos"), name("thanos-query"), name("thanos-querier"), name("thanos-query-frontend")],
    words: &[&["thanos"]],
    parts: &[
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
    words_need_role: true,
    doors: &[
        Door {
            roles: &["query", "querier", "query-layer", "thanos-query", "thanos-querier", "query-http"],
            bare: true,
            tier: 0,
            path: "",
            ports: PORTS,
        },
        Door {
            roles: &["query-frontend", "query-cache", "queryfrontend", "thanos-query-frontend"],
            bare: false,
            tier: 1,
            path: "",
            ports: PORTS,
        },
    ],
    ..Rule::of(Product::Thanos)
};
