//! What a Pod answers to a probe: few requests with plain paths, a denial only by proof, nothing of the answer but what it
//! proves, and no trust in where a redirect leads.

use detectors::{
    Assumed, Product, Scheme, Target,
    probe::{Answer, Class, Health, Identification, Identity, Verdict, health, health_paths},
};
use serde_json::json;
use toolset::{
    DEFAULT_CLUSTER_DOMAIN, Index, checked,
    identity::{IdentityEvidence, IdentityVerdict, Stated},
    select::evidence::each_question,
};

use super::pipeline::outcome;
use crate::{Broken, Outcome, checks, input::Input, spec, words, world};

/// The most requests of one identification.
const MAX_REQUESTS: usize = 6;
const PATHS: &[&str] = &["", "/prom", "/prometheus", "/select/0/prometheus", "/jaeger", "/grafana", "/a/b"];
const STATUS: &[u16] = &[200, 301, 302, 307, 400, 401, 403, 404, 405, 429, 500, 503, 204, 0, 101, 999];

/// One answer, which owns its texts.
#[derive(Debug)]
enum Reply {
    Response { status: u16, headers: Vec<(&'static str, String)>, body: String, is_cut: bool },
    Without(Class),
}

impl Reply {
    fn of(input: &mut Input<'_>, host: &str) -> Self {
        if input.one_in(8) {
            let classes =
                [Class::Refused, Class::Timeout, Class::Unreachable, Class::Reset, Class::Unreadable, Class::NoTls];
            return Self::Without(input.one_of(&classes).unwrap_or(Class::Reset));
        }
        let status = if input.any() { 200 } else { input.one_of(STATUS).unwrap_or(200) };
        let headers = input.several(3, |input| match input.word(HEADERS) {
            "location" => ("location", location(input, host)),
            name => (name, input.word(VALUES).to_owned()),
        });
        Self::Response { status, headers, body: body(input, 0), is_cut: input.one_in(6) }
    }

    /// Hands it over as the client does.
    fn give<T>(&self, take: impl FnOnce(&Answer<'_>) -> T) -> T {
        match self {
            Self::Response { status, headers, body, is_cut } => {
                let header = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
                take(&Answer::Response { status: *status, header: &header, body: body.as_bytes(), is_cut: *is_cut })
            }
            Self::Without(Class::Refused | Class::Answered(_)) => take(&Answer::Refused),
            Self::Without(Class::Timeout) => take(&Answer::Timeout),
            Self::Without(Class::Unreachable) => take(&Answer::Unreachable),
            Self::Without(Class::Reset) => take(&Answer::Reset),
            Self::Without(Class::Unreadable) => take(&Answer::Unreadable),
            Self::Without(Class::NoTls) => take(&Answer::NoTls),
        }
    }

    fn is_success(&self) -> bool {
        matches!(self, Self::Response { status: 200..=299, .. })
    }
}

/// Checks one Service that is asked.
pub(super) fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let mut view = world::service(&mut input);
    view.ports = Box::new([detectors::PortView {
        name: None,
        port: 9090,
        target: None,
        protocol: detectors::Protocol::Tcp,
        app_protocol: None,
    }]);
    let host = format!("{}.{}.svc.cluster.local", view.key.name, view.key.namespace);
    let product = input.one_of(Product::ALL).unwrap_or(Product::Prometheus);
    let path = input.word(PATHS);
    let target = Target { port: 9090, scheme: input.one_of(Scheme::ALL).unwrap_or_default(), path: path.into() };
    let assumed = Assumed { scheme: input.any(), path: input.any(), auth: input.any() };
    for path in health_paths(product, path) {
        check!(checked::path(without_query(&path)).is_ok(), "{product} is probed at {path}");
    }
    let Some(mut asked) = Identification::of(product, &target, assumed, &host, 9090) else { return Ok(()) };
    let mut replies = Vec::new();
    while let Some(request) = asked.request() {
        check!(replies.len() < MAX_REQUESTS, "{product} is asked more than {MAX_REQUESTS} times");
        check!(
            checked::path(without_query(&request.path)).is_ok(),
            "{product} is asked at {:?} after {replies:?}",
            request.path
        );
        check!(assumed.scheme || request.scheme == target.scheme, "{product} is asked over {}", request.scheme);
        let reply = Reply::of(&mut input, &host);
        reply.give(|answer| asked.answered(answer));
        check!(says_nothing(&reply), "the class of {reply:?} has its text");
        health_is_as_documented(&reply)?;
        replies.push(reply);
    }
    let identity = asked.identity();
    judge(&identity, &target, assumed, &replies)?;
    in_the_output(view, product, &identity)
}

/// Only a product's own path has a query.
fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// What the answers prove.
fn judge(identity: &Identity, target: &Target, assumed: Assumed, replies: &[Reply]) -> Outcome {
    let text = format!("{identity:?}");
    for foreign in [words::SECRET, words::TAINT, words::MARK, "evil.example"] {
        check!(!text.contains(foreign), "{text} has a text of {replies:?}");
    }
    let path = identity.path.as_deref();
    check!(
        path.is_none_or(|path| checked::path_prefix(path).as_deref() == Ok(path)),
        "{text} has a path that is not allowed"
    );
    check!(assumed.path || path.is_none_or(|path| path == target.path), "{text} has another path than {target:?}");
    check!(
        assumed.scheme || identity.scheme.is_none_or(|scheme| scheme == target.scheme),
        "{text} has another scheme than {target:?}"
    );
    if let Verdict::Denied { is } = identity.verdict {
        check!(replies.iter().any(Reply::is_success), "{is} is proven by {replies:?}");
        check!(matches!(identity.class, Class::Answered(200..=299)), "{text} is proven by its class");
    }
    if identity.verdict != Verdict::Unknown {
        check!(replies.iter().any(|reply| matches!(reply, Reply::Response { .. })), "{text} is proven by {replies:?}");
    }
    Ok(())
}

/// Only the class of an answer is shown.
fn says_nothing(reply: &Reply) -> bool {
    reply.give(|answer| {
        let text = format!("{answer:?} {}", answer.class());
        !text.contains(words::SECRET) && !text.contains("evil.example") && !text.contains('<')
    })
}

fn health_is_as_documented(reply: &Reply) -> Outcome {
    let found = reply.give(health);
    let fits = match reply {
        Reply::Response { status: 200..=399 | 401 | 403 | 405 | 429, .. } => found == Health::There,
        Reply::Response { status: 400..=499, .. } => found == Health::NotFound,
        Reply::Response { .. } | Reply::Without(_) => matches!(found, Health::Failing(_)),
    };
    check!(fits, "{reply:?} means {found:?}");
    Ok(())
}

fn in_the_output(view: detectors::ServiceView, product: Product, identity: &Identity) -> Outcome {
    let config = spec::config_of(&json!({
        "sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}}],
        "evidence": {"identity": "Probe"},
        "detectors": [{"type": product, "minConfidence": "Low"}],
    }));
    let config = config.ok_or_else(|| Broken("the spec is not valid".to_owned()))?;
    let verdict = match identity.verdict {
        Verdict::Confirmed => IdentityVerdict::Confirmed,
        Verdict::Denied { is } => IdentityVerdict::Denied { is },
        Verdict::Unknown => IdentityVerdict::Unknown,
    };
    let key = view.key.clone();
    let mut index = Index::default();
    index.apply_service(view);
    let mut stated = Stated::default();
    each_question(&config, &index, |question| stated = question.stated());
    let evidence = IdentityEvidence {
        product,
        port: 9090,
        stated,
        verdict,
        scheme: identity.scheme,
        path: identity.path.clone(),
        said: format!("{} gave {}", identity.asked.join(", "), identity.class),
    };
    index.apply_identity(&key, vec![evidence]);
    let (plan, rendered) = outcome(&config, &index, None, None);
    checks::output(&config, DEFAULT_CLUSTER_DOMAIN, &plan, &rendered, false)
}

const HEADERS: &[&str] =
    &["location", "x-elastic-product", "kbn-name", "osd-name", "content-type", "www-authenticate", "server"];
const VALUES: &[&str] =
    &["Elasticsearch", "kibana", "application/json", "text/html", "Basic realm=\"s3cr3t-w0rd\"", "s3cr3t-w0rd"];

/// Where a redirect leads. A path behind another host is tainted.
fn location(input: &mut Input<'_>, host: &str) -> String {
    let page = input.word(&[
        "/login",
        "/graph",
        "/prom/graph",
        "/grafana/login?s3cr3t-w0rd",
        "/a/../b",
        "//x",
        "/",
        "",
        "/\u{a7}",
        "/%2f",
        "/app/home#s3cr3t-w0rd",
    ]);
    match input.up_to(5_u8) {
        0 => page.to_owned(),
        1 => format!("http://{host}{page}"),
        2 => format!("https://{host}:9090{page}"),
        3 => format!("{}{}", input.word(FOREIGN), "/t4inted-text/login"),
        4 => format!(
            "{}{host}{}/t4inted-text",
            input.word(&["http://evil.example@", "//", "http:\\\\", "ftp://"]),
            input.word(&[".evil.example", ":1", "@evil.example", "\\"])
        ),
        _ => input.text(
            &[
                "/",
                "..",
                "login",
                "@",
                "\\",
                "\r\n",
                "?s3cr3t-w0rd",
                "%2f",
                "graph",
                ":",
                "#s3cr3t-w0rd",
                "//s3cr3t-w0rd/",
            ],
            6,
        ),
    }
}

const FOREIGN: &[&str] = &[
    "http://evil.example",
    "//evil.example",
    "https://169.254.169.254",
    "http://[::ffff:a9fe:a9fe]",
    "http://2852039166",
    "http://0251.0376.0251.0376",
    "http://localhost.",
    "http://evil.example:9090",
    "\\\\evil.example",
    "http:///evil.example",
];

/// Bodies that products send, pieces of them, and what is nobody's.
const BODIES: &[&str] = &[
    r#"{"status":"success","data":{"version":"2.51.0","revision":"a","branch":"b","buildUser":"u","buildDate":"d","goVersion":"g"}}"#,
    r#"{"version":"3.0.0","revision":"a","branch":"b","buildUser":"u","buildDate":"d","goVersion":"g"}"#,
    r#"{"status":"success","data":{"application":"Grafana Mimir","version":"2"}}"#,
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}"#,
    r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#,
    r#"{"database":"ok","version":"11.0.0","commit":"c"}"#,
    r#"{"data":["a"],"total":1,"limit":0,"offset":0,"errors":null}"#,
    r#"{"name":"n","tagline":"You Know, for Search","version":{"number":"8.1.0"}}"#,
    r#"{"version":{"distribution":"opensearch","number":"2.1.0"},"tagline":"The OpenSearch Project"}"#,
    r#"{"name":"k","uuid":"u","version":{"number":"8","build_hash":"h","build_number":1},"status":{}}"#,
    r#"{"cluster":{"status":"ready"},"config":{"original":""},"versionInfo":{}}"#,
    r#"{"zipkin":{"version":"2","status":"UP"},"status":"UP"}"#,
    r#"{"status":"error","errorType":"unavailable","error":"unavailable with Prometheus Agent"}"#,
    "echo",
    "OK",
    "",
    "s3cr3t-w0rd",
    "null",
    "[]",
    "<!DOCTYPE html><html><head><title>Grafana</title><base href=\"/grafana/\"></head>s3cr3t-w0rd",
    "<html><head><title>Jaeger UI</title><base href=\"/jaeger/\"></head>",
    "<html><title>Prometheus Pushgateway</title>s3cr3t-w0rd",
    "<html><title>Alertmanager</title>",
    "<html><title>Node Exporter</title>",
    "<html><title>UI for VictoriaLogs</title>",
    "<h2>Single-node VictoriaMetrics</h2>",
    "<h2>vmagent</h2>",
    "<h2>Single-node VictoriaLogs</h2>",
    "<html><title>MinIO Console</title>",
    "<base href=\"http://evil.example/t4inted-text/\"><title>Jaeger UI</title>",
    "Client sent an HTTP request to an HTTPS server.\n",
    "no org id",
];

fn body(input: &mut Input<'_>, depth: u8) -> String {
    let text = input.word(BODIES);
    match input.up_to(5_u8) {
        // Cut somewhere, with something in it, or one behind the other.
        0 => text.chars().take(usize::from(input.any::<u8>())).collect(),
        1 => {
            let at = text.char_indices().nth(usize::from(input.any::<u8>())).map_or(text.len(), |(at, _)| at);
            format!("{}{}{}", &text[..at], input.text(PIECES, 3), &text[at..])
        }
        2 if depth < 2 => format!("{text}{}", body(input, depth + 1)),
        _ => text.to_owned(),
    }
}

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"s3cr3t-w0rd\"",
    "1e999",
    "\\u0000",
    "\\",
    "null",
    "<",
    ">",
    "<title>",
    "</title>",
    "[[[[[[[[",
];
