//! URLs: whatever goes in, what comes out is read by every client as the host, the port and the path that were meant.

use detectors::{Scheme, ServiceKey};
use toolset::{Endpoint, checked};
use url::Url;

use crate::{Outcome, input::Input, words, world};

const PIECES: &[&str] = &[
    "http://",
    "https://",
    "http:",
    "//",
    "/",
    "\\",
    "@",
    ":",
    "#",
    "?",
    "%2f",
    "%",
    "..",
    ".",
    "[",
    "]",
    "::ffff:a9fe:a9fe",
    "169.254.169.254",
    "0251.0376.0251.0376",
    "2852039166",
    "0x7f.1",
    "localhost",
    "localhost.",
    "127.1",
    "evil.example",
    "prom.corp.example",
    "xn--",
    "\u{ff0e}",
    "\u{3002}",
    "\u{ad}",
    "80",
    "443",
    "9090",
    ":0",
    ":99999",
    "user",
    "\t",
    "\r\n",
    "a",
    "-",
    "_",
    "prometheus",
    "monitoring",
    "svc",
    "cluster.local",
    "~",
    "{{",
    "1",
    "\u{df}",
];

/// Checks one URL and one endpoint of a Service.
pub(super) fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let text = if input.any() { input.text(PIECES, 8) } else { String::from_utf8_lossy(data).into_owned() };
    if let Ok(endpoint) = Endpoint::of_url(&text) {
        reads_as_meant(&endpoint)?;
        // The text itself may have capitals in the host, no port, or a slash at its end.
        let same = Url::parse(&text).ok().zip(Url::parse(&endpoint.to_string()).ok());
        let same = same.is_some_and(|(given, taken)| {
            given.host() == taken.host()
                && given.port_or_known_default() == taken.port_or_known_default()
                && given.path().trim_end_matches('/') == taken.path().trim_end_matches('/')
        });
        check!(same, "{text:?} becomes {endpoint}");
        let again = Endpoint::of_url(&endpoint.to_string());
        check!(again.as_ref() == Ok(&endpoint), "{endpoint} becomes {again:?}");
    }
    let domain = checked::cluster_domain(&input.text(PIECES, 2));
    let domain = domain.as_deref().unwrap_or("cluster.local");
    let name = |input: &mut Input<'_>, usual| {
        if input.any() { input.text(PIECES, 3) } else { input.word(usual).to_owned() }
    };
    let key = ServiceKey::new(name(&mut input, words::TENANTS), name(&mut input, words::SERVICES));
    let scheme = input.one_of(Scheme::ALL).unwrap_or_default();
    let (port, path) = (world::port_number(&mut input).max(1), input.text(PIECES, 5));
    if let Ok(endpoint) = Endpoint::of_service(&key, scheme, port, &path, domain) {
        reads_as_meant(&endpoint)?;
        let own = format!("{}.{}.svc.{domain}", key.name, key.namespace);
        check!(endpoint.host == own, "{key} with {path:?} becomes {endpoint}");
        check!(endpoint.port == port && endpoint.scheme == scheme, "{scheme} {port} becomes {endpoint}");
        check!(path.trim_end_matches('/') == endpoint.path, "{path:?} becomes {endpoint}");
    }
    Ok(())
}

/// As the parser of browsers reads it, and as one that only looks for separators does.
fn reads_as_meant(endpoint: &Endpoint) -> Outcome {
    let text = endpoint.to_string();
    let url = Url::parse(&text).ok();
    let host = url.as_ref().and_then(Url::host_str);
    check!(host == Some(&endpoint.host), "{text} has the host {host:?}");
    let alone = url.is_some_and(|url| {
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none()
    });
    check!(alone, "{text} has more than a host and a path");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:".contains(c);
    check!(text.chars().all(plain), "{text:?} has a character that needs escaping");
    let rest = text.strip_prefix(&format!("{}://", endpoint.scheme)).unwrap_or_default();
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    check!(
        authority == format!("{}:{}", endpoint.host, endpoint.port) && path == endpoint.path,
        "{text} is split otherwise"
    );
    let below = endpoint.join("/x");
    check!(
        Url::parse(&below).is_ok_and(|url| url.host_str() == Some(&endpoint.host) && url.path() == format!("{path}/x")),
        "{below} is not below {text}"
    );
    Ok(())
}
