//! Zipkin.
//!
//! | made by | labels | port |
//! |---|---|---|
//! | openzipkin/zipkin | `name: zipkin` | `http-query` 9411 |
//! | Istio's addon | `app: zipkin`, Service `tracing` | `http-query` 80 to 9411 |
//! | the same | `name: zipkin` (the plain key), selector `app: zipkin`: receives spans, the same Pods | `http-query` 9411 |
//! | by hand | `app: zipkin` | 9411 under any name |
//!
//! `ZIPKIN_UI_BASEPATH` moves the web pages and not the API. It asks nobody for a password.
//!
//! A Service named `zipkin` that selects the Pods of Jaeger or of a collector only receives spans.

use crate::{
    engine::rule::{EndpointRole, Login, Mark, Ports, Rule, Shape, Then, name},
    finding::Auth,
    pods::program::{If, Listen, Path, Program, Says, case, env, silent, usually},
    probe::{
        facts::{Facts, HealthPath::Below, Question, confirmed},
        mark::Mark::Text,
    },
    product::{Confidence::High, Product, Scheme},
};

const PORTS: Ports = Ports {
    own_names: &[],
    numbers: &[9411],
    usual_names: &["http-query", "http", "query", "http-zipkin", "zipkin"],
    ..Ports::NONE
};

const ENDPOINT: EndpointRole = EndpointRole { path_is_fixed: true, ..EndpointRole::on(PORTS) };

pub(crate) const RULE: Rule = Rule {
    names: &[name("zipkin"), name("zipkin-server")],
    name_words: &[&["zipkin"]],
    charts: &[name("zipkin")],
    other_components: &["dependencies", "gcp", "storage"],
    shapes: &[Shape {
        made_by: "the Istio addon, for spans",
        when: &[Mark::Label("name", "zipkin"), Mark::Selector("app", "zipkin"), Mark::Port("http-query", 9411)],
        then: Then::Endpoint(EndpointRole { tier: 1, ..ENDPOINT }),
        confidence: High,
        bundled: false,
    }],
    endpoints: &[EndpointRole { roles: &["zipkin", "query", "server"], role_optional: true, ..ENDPOINT }],
    // Collectors receive spans on 9411, too, and name the port after the format. They have ports for other formats beside,
    // as SkyWalking has 11800.
    specific_ports: &[9411],
    never_beside: &[4317, 4318, 6831, 6832, 11800, 14250, 14267, 14268],
    login: Login::Usual(Auth::None),
    serves_metrics: true,
    ..Rule::of(Product::Zipkin)
};

/// Source: `openzipkin/zipkin` `zipkin-server/README.md` (`QUERY_PORT`, `QUERY_ENABLED`, `ARMERIA_SSL_ENABLED`). Its UI
/// can have a base path, its API has none.
pub(crate) const PODS: &[Program] = &[Program {
    images: &["zipkin", "zipkin-slim", "zipkin-server"],
    containers: &["zipkin"],
    marks: &[
        If::Given(env("QUERY_ENABLED")),
        If::Given(env("QUERY_LOOKBACK")),
        If::Given(env("QUERY_ALLOWED_ORIGINS")),
        If::Given(env("COLLECTOR_SAMPLE_RATE")),
        If::Given(env("COLLECTOR_HTTP_ENABLED")),
        If::Given(env("SELF_TRACING_ENABLED")),
        If::Given(env("ZIPKIN_UI_BASEPATH")),
    ],
    shared_marks: &[If::Given(env("STORAGE_TYPE")), If::Given(env("QUERY_PORT")), If::Given(env("ES_HOSTS"))],
    listen: Listen { settings: &[env("QUERY_PORT")], default: &[9411], never: &[9410], ..Listen::NONE },
    roles: &[case(&[If::Off(env("QUERY_ENABLED"))], silent("collector")), case(&[], usually("zipkin"))],
    scheme: &[
        case(&[If::On(env("ARMERIA_SSL_ENABLED"))], Says::Stated(Scheme::Https)),
        case(&[], Says::Default(Scheme::Http)),
    ],
    prefix: &[case(&[], Says::Default(Path::Fixed("")))],
    auth: &[case(&[], Says::Default(Auth::None))],
    ..Program::of(Product::Zipkin)
}];

/// Source: openzipkin/zipkin `zipkin-server/README.md`.
pub(crate) const PROBE: Facts = Facts {
    health: &[Below("/health"), Below("/api/v2/services")],
    questions: &[
        Question { path: "/info", proofs: &[confirmed(&[Text("/zipkin/version", &[])])] },
        Question { path: "/health", proofs: &[confirmed(&[Text("/status", &[]), Text("/zipkin/status", &[])])] },
    ],
    prefixes: &["/zipkin"],
    pages: &["/zipkin"],
    rivals: &[Product::Jaeger],
    ..Facts::of(Product::Zipkin)
};
