//! Zipkin.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | openzipkin/zipkin | `name: zipkin` | `http-query` 9411 |
//! | Istio's addon | `app: zipkin`, Service `tracing` | `http-query` 80 to 9411 |
//! | the same | `name: zipkin` (the plain key), selector `app: zipkin`: the address spans go to, the same pods | `http-query` 9411 |
//! | by hand | `app: zipkin` | 9411 under any name |
//!
//! A Service called `zipkin` over Jaeger's or a collector's pods only takes spans in.

use crate::{
    Confidence::High,
    Product,
    engine::rule::{Door, Mark, Ports, Rule, Shape, Then, name},
};

const PORTS: Ports = Ports {
    own_names: &[],
    numbers: &[9411],
    usual_names: &["http-query", "http", "query", "http-zipkin", "zipkin"],
    ..Ports::NONE
};

const DOOR: Door = Door { roles: &[], bare: false, tier: 0, path: "", ports: PORTS };

pub(crate) const RULE: Rule = Rule {
    names: &[name("zipkin"), name("zipkin-server")],
    words: &[&["zipkin"]],
    parts: &["dependencies", "gcp", "storage"],
    shapes: &[Shape {
        made_by: "Istio's addon, the address spans go to",
        when: &[Mark::Label("name", "zipkin"), Mark::Selector("app", "zipkin"), Mark::Port("http-query", 9411)],
        then: Then::Door(Door { tier: 1, ..DOOR }),
        confidence: High,
        bundled: false,
    }],
    doors: &[Door { roles: &["zipkin", "query", "server"], bare: true, ..DOOR }],
    ..Rule::of(Product::Zipkin)
};
