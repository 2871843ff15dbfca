//! A program that answers from a list.

use std::{borrow::Cow, collections::BTreeMap};

use detectors::{
    Assumed, Product, Scheme, Target,
    probe::{Answer, Identification, Identity, Request},
};
use serde::Deserialize;

pub(crate) const HOST: &str = "prometheus.monitoring.svc.cluster.local";
pub(crate) const PORT: u16 = 9090;
/// All that can be learned.
pub(crate) const ALL: Assumed = Assumed { scheme: true, path: true, auth: true };

/// The answer to one path.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Recorded {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
    is_cut: bool,
    reset: bool,
}

/// A program, with what it answers without TLS and with it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Program {
    /// Its name and version.
    #[serde(rename = "program")]
    pub name: String,
    /// How it was started.
    pub how: String,
    http: BTreeMap<String, Recorded>,
    https: BTreeMap<String, Recorded>,
}

/// A path that no program knows but Tempo. The answer to it stands for every path that is not listed.
const UNKNOWN: &str = "/api/echo";

impl Program {
    /// A program that was recorded: `tests/probe/recorded/<name>.json`.
    pub(crate) fn recorded(name: &str) -> Self {
        let file = format!("{}/tests/probe/recorded/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&file).expect(&file);
        serde_json::from_str(&text).expect(&file)
    }

    /// A program that answers 404 to all paths.
    pub(crate) fn empty() -> Self {
        Self::default().with(UNKNOWN, 404, "404 page not found\n")
    }

    pub(crate) fn with(mut self, path: &str, status: u16, body: &str) -> Self {
        let answer = Recorded { status, body: body.to_owned(), ..Recorded::default() };
        self.http.insert(path.to_owned(), answer);
        self
    }

    /// The start of a longer body.
    pub(crate) fn with_start(mut self, path: &str, status: u16, body: &str) -> Self {
        let answer = Recorded { status, body: body.to_owned(), is_cut: true, ..Recorded::default() };
        self.http.insert(path.to_owned(), answer);
        self
    }

    pub(crate) fn with_header(mut self, path: &str, name: &str, value: &str) -> Self {
        let answer = self.http.entry(path.to_owned()).or_default();
        answer.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn redirecting(self, path: &str, location: &str) -> Self {
        self.with(path, 302, "").with_header(path, "location", location)
    }

    /// The answer to every path that is not listed.
    pub(crate) fn otherwise(self, status: u16, body: &str) -> Self {
        self.with(UNKNOWN, status, body)
    }

    /// The same, but with TLS only.
    pub(crate) fn behind_tls(mut self, to_plain: &Plain) -> Self {
        self.https = std::mem::take(&mut self.http);
        let answer = match to_plain {
            Plain::Resets => Recorded { reset: true, ..Recorded::default() },
            Plain::Says(text) => Recorded { status: 400, body: (*text).to_owned(), ..Recorded::default() },
        };
        self.http.insert(UNKNOWN.to_owned(), answer);
        self
    }

    /// What it answers to a request.
    pub(crate) fn answer<R>(&self, request: &Request, then: impl FnOnce(&Answer<'_>) -> R) -> R {
        let by_path = match request.scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        let Some(found) = by_path.get(&request.path).or_else(|| by_path.get(UNKNOWN)) else {
            return then(if request.scheme == Scheme::Https { &Answer::NoTls } else { &Answer::Reset });
        };
        if found.reset {
            return then(&Answer::Reset);
        }
        let header = |name: &str| found.headers.get(name).map(String::as_str);
        let answer = Answer::Response {
            status: found.status,
            header: &header,
            body: found.body.as_bytes(),
            is_cut: found.is_cut,
        };
        then(&answer)
    }

    /// Asks whether this is the product at a path.
    pub(crate) fn identify(&self, product: Product, path: &str) -> Identity {
        self.identify_with(product, &target(path), ALL)
    }

    pub(crate) fn identify_with(&self, product: Product, target: &Target, assumed: Assumed) -> Identity {
        let mut identification = Identification::of(product, target, assumed, HOST, PORT).expect("a product to ask");
        let mut number = 0;
        while let Some(request) = identification.request() {
            number += 1;
            assert!(number <= 6, "more than 6 requests: {:?}", identification.identity().asked);
            self.answer(&request, |answer| identification.answered(answer));
        }
        let identity = identification.identity();
        assert_eq!(identity.asked.len(), number, "every request is listed");
        identity
    }
}

/// What a port with TLS answers to plain HTTP.
pub(crate) enum Plain {
    Resets,
    Says(&'static str),
}

pub(crate) fn target(path: &str) -> Target {
    Target { port: PORT, scheme: Scheme::Http, path: Cow::Owned(path.to_owned()) }
}
