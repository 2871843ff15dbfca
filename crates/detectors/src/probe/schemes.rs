//! Determines the scheme of a port from its answers.

use super::answer::Answer;
use crate::product::Scheme;

/// The responses of TLS servers to a request without TLS: Go's `net/http`, nginx, Apache httpd, Tomcat. Such a response
/// proves only that the port uses TLS.
const TLS_ONLY: &[&str] = &[
    "Client sent an HTTP request to an HTTPS server",
    "The plain HTTP request was sent to HTTPS port",
    "speaking plain HTTP to an SSL-enabled server port",
    "This combination of host and port requires TLS",
];

/// The scheme in use, and whether it is proved.
#[derive(Clone, Debug)]
pub(super) struct Schemes {
    scheme: Scheme,
    /// Whether the other scheme can be tried.
    is_open: bool,
    is_proven: bool,
    /// The answer with the claimed scheme, if the other scheme is tried because of it.
    first: Option<FirstAnswer>,
}

/// An answer after which the other scheme is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstAnswer {
    /// A response to plain HTTP with the status code 400, which does not mention TLS.
    BadRequest,
    /// No HTTP response, or a response which shows that the port uses TLS.
    NoResponse,
}

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Look at the response.
    Look,
    /// Send the same request with the other scheme.
    OtherScheme,
    /// The other scheme failed. The response with the first scheme counts, and proves nothing about the product.
    AsBefore,
    /// No request will get a response.
    End,
}

impl Schemes {
    pub(super) fn new(scheme: Scheme, is_open: bool) -> Self {
        Self { scheme, is_open, is_proven: false, first: None }
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(super) fn proven(&self) -> Option<Scheme> {
        self.is_proven.then_some(self.scheme)
    }

    /// Whether the scheme in use is not the claimed scheme.
    pub(super) fn is_other(&self) -> bool {
        self.first.is_some()
    }

    pub(super) fn judge(&mut self, answer: &Answer<'_>) -> Next {
        match answer {
            Answer::Response { status, body, .. } => {
                let is_plain = self.scheme == Scheme::Http && *status == 400;
                let is_tls_only = is_plain && names_tls(body);
                if is_plain && self.is_open {
                    return self.turn(if is_tls_only { FirstAnswer::NoResponse } else { FirstAnswer::BadRequest });
                }
                self.is_open = false;
                self.is_proven |= !is_tls_only;
                Next::Look
            }
            Answer::Reset | Answer::Unreadable | Answer::NoTls if self.is_open => self.turn(FirstAnswer::NoResponse),
            Answer::Reset | Answer::Unreadable | Answer::NoTls if self.first == Some(FirstAnswer::BadRequest) => {
                // The port responds to plain HTTP, and the TLS handshake fails.
                self.is_proven = matches!(answer, Answer::NoTls);
                self.scheme = Scheme::Http;
                self.first = None;
                Next::AsBefore
            }
            _ => Next::End,
        }
    }

    fn turn(&mut self, first: FirstAnswer) -> Next {
        self.scheme = match self.scheme {
            Scheme::Http => Scheme::Https,
            Scheme::Https => Scheme::Http,
        };
        self.is_open = false;
        self.first = Some(first);
        Next::OtherScheme
    }
}

fn names_tls(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    TLS_ONLY.iter().any(|one| text.contains(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &'static str) -> Answer<'static> {
        Answer::Response { status, header: &|_| None, body: body.as_bytes(), is_cut: false }
    }

    const TLS_PORT: &str = "Client sent an HTTP request to an HTTPS server.\n";

    #[test]
    fn a_response_proves_the_scheme_even_if_it_requires_a_login() {
        for (scheme, status) in [(Scheme::Http, 200), (Scheme::Http, 404), (Scheme::Https, 401), (Scheme::Https, 400)] {
            let mut schemes = Schemes::new(scheme, true);
            assert_eq!(schemes.judge(&response(status, "")), Next::Look);
            assert_eq!(schemes.proven(), Some(scheme));
        }
    }

    #[test]
    fn a_port_that_does_not_accept_plain_http_is_tried_with_tls() {
        for answer in [response(400, TLS_PORT), response(400, ""), Answer::Reset, Answer::Unreadable] {
            let mut schemes = Schemes::new(Scheme::Http, true);
            assert_eq!(schemes.judge(&answer), Next::OtherScheme);
            assert_eq!(schemes.scheme(), Scheme::Https);
            assert_eq!(schemes.judge(&response(401, "")), Next::Look);
            assert_eq!(schemes.proven(), Some(Scheme::Https));
        }
    }

    #[test]
    fn a_bad_request_and_no_tls_prove_plain_http() {
        let mut schemes = Schemes::new(Scheme::Http, true);
        schemes.judge(&response(400, "unsupported path"));
        assert_eq!(schemes.judge(&Answer::NoTls), Next::AsBefore);
        assert_eq!(schemes.proven(), Some(Scheme::Http));
    }

    #[test]
    fn a_response_that_mentions_tls_does_not_prove_plain_http() {
        let mut schemes = Schemes::new(Scheme::Http, true);
        schemes.judge(&response(400, TLS_PORT));
        assert_eq!(schemes.judge(&Answer::NoTls), Next::End);
        assert_eq!(schemes.proven(), None);
    }

    #[test]
    fn a_known_scheme_is_never_changed() {
        for answer in [Answer::Reset, Answer::Unreadable, Answer::NoTls] {
            let mut schemes = Schemes::new(Scheme::Https, false);
            assert_eq!(schemes.judge(&answer), Next::End);
            assert_eq!((schemes.scheme(), schemes.proven()), (Scheme::Https, None));
        }
        let mut schemes = Schemes::new(Scheme::Http, false);
        assert_eq!(schemes.judge(&response(400, TLS_PORT)), Next::Look);
        assert_eq!(schemes.proven(), None);
    }

    #[test]
    fn a_pod_that_cannot_be_reached_is_not_tried_with_the_other_scheme() {
        for answer in [Answer::Refused, Answer::Unreachable, Answer::Timeout] {
            assert_eq!(Schemes::new(Scheme::Http, true).judge(&answer), Next::End);
        }
    }

    #[test]
    fn a_claimed_https_is_tried_first() {
        let mut schemes = Schemes::new(Scheme::Https, true);
        assert_eq!(schemes.judge(&Answer::NoTls), Next::OtherScheme);
        assert_eq!(schemes.judge(&response(200, "")), Next::Look);
        assert_eq!(schemes.proven(), Some(Scheme::Http));
    }
}
