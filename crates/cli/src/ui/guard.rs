//! What every request must be and what every answer says, so that no other site can use the page.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// What the browser may do with an answer. Scripts, styles and requests stay within this program.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The request is for another host, as after DNS rebinding.
    Host,
    /// Another site sent the request.
    Origin,
}

impl Refused {
    /// What to tell the user.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Host => {
                "The address in the browser is not the address of this page. Use the address that kubectl toolset ui \
                 printed. With SSH forwarding, use the same port on both sides."
            }
            Self::Origin => "Another site sent this request.",
        }
    }
}

/// Checks who sends a request and to whom.
pub(super) fn check(method: &Method, headers: &HeaderMap, port: u16) -> Result<(), Refused> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let hosts = hosts(port);
    if !text(header::HOST).is_some_and(|host| hosts.iter().any(|ours| ours == host)) {
        return Err(Refused::Host);
    }
    if *method == Method::GET || *method == Method::HEAD {
        return Ok(());
    }
    let site = text(HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| site != "same-origin") {
        return Err(Refused::Origin);
    }
    match text(header::ORIGIN) {
        // Because of our Referrer-Policy, a form of our own page sends `null`. Then the other header decides.
        None | Some("null") if site.is_some() => Ok(()),
        Some(origin) if hosts.iter().any(|ours| origin.strip_prefix("http://") == Some(ours)) => Ok(()),
        _ => Err(Refused::Origin),
    }
}

/// Adds the headers to an answer.
pub(super) fn protect(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The names of this computer for itself. A browser leaves out the port that is the default.
fn hosts(port: u16) -> Vec<String> {
    let names = ["127.0.0.1", "localhost", "[::1]"];
    let without = names.into_iter().filter(|_| port == 80).map(str::to_owned);
    names.into_iter().map(|host| format!("{host}:{port}")).chain(without).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn get(host: &'static str) -> Result<(), Refused> {
        check(&Method::GET, &headers(&[("host", host)]), 8001)
    }

    fn post(pairs: &[(&'static str, &'static str)]) -> Result<(), Refused> {
        let mut all = headers(pairs);
        all.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8001"));
        check(&Method::POST, &all, 8001)
    }

    #[test]
    fn only_the_names_of_this_computer_with_our_port_are_accepted() {
        for host in ["127.0.0.1:8001", "localhost:8001", "[::1]:8001"] {
            assert_eq!(get(host), Ok(()), "{host}");
        }
        for host in ["", "127.0.0.1", "127.0.0.1:80", "rebound.example:8001", "127.0.0.1:8001.example", "10.0.0.1:8001"]
        {
            assert_eq!(get(host), Err(Refused::Host), "{host}");
        }
        assert_eq!(check(&Method::GET, &HeaderMap::new(), 8001), Err(Refused::Host));
    }

    #[test]
    fn the_default_port_can_be_left_out() {
        let host = |host: &'static str, port| check(&Method::GET, &headers(&[("host", host)]), port);
        assert_eq!((host("localhost", 80), host("localhost:80", 80)), (Ok(()), Ok(())));
        assert_eq!((host("localhost", 8001), host("example", 80)), (Err(Refused::Host), Err(Refused::Host)));
    }

    #[test]
    fn a_form_of_another_site_is_refused() {
        assert_eq!(post(&[("origin", "http://evil.example")]), Err(Refused::Origin));
        assert_eq!(post(&[("origin", "http://127.0.0.1:8002")]), Err(Refused::Origin));
        assert_eq!(post(&[("origin", "https://127.0.0.1:8001")]), Err(Refused::Origin));
        assert_eq!(post(&[("origin", "null")]), Err(Refused::Origin));
        assert_eq!(post(&[]), Err(Refused::Origin));
        assert_eq!(post(&[("origin", "null"), ("sec-fetch-site", "cross-site")]), Err(Refused::Origin));
        assert_eq!(post(&[("origin", "http://127.0.0.1:8001"), ("sec-fetch-site", "same-site")]), Err(Refused::Origin));
    }

    #[test]
    fn a_form_of_our_own_page_is_accepted() {
        assert_eq!(post(&[("origin", "http://127.0.0.1:8001")]), Ok(()));
        assert_eq!(post(&[("origin", "http://localhost:8001"), ("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(post(&[("origin", "null"), ("sec-fetch-site", "same-origin")]), Ok(()));
    }

    #[test]
    fn an_answer_allows_no_inline_script_and_no_frame() {
        let mut headers = HeaderMap::new();
        protect(&mut headers);
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for part in ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}
