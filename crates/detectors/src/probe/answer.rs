//! A request and its outcome.

use std::fmt;

use crate::product::Scheme;

/// A GET request to one Pod of a Service. It has no body and no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The scheme.
    pub scheme: Scheme,
    /// An absolute path, which can have a query: `/api/v1/query?query=1`.
    pub path: String,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GET {} over {}", self.path, self.scheme)
    }
}

/// The outcome of a request: a response, or why there is none. The caller limits its size and its time.
#[derive(Clone, Copy)]
pub enum Answer<'a> {
    /// A response.
    Response {
        /// The status code.
        status: u16,
        /// The value of a header, by its name in lower case.
        header: &'a dyn Fn(&str) -> Option<&'a str>,
        /// The body, or its start.
        body: &'a [u8],
        /// Whether the body is only the start of what was sent.
        is_cut: bool,
    },
    /// The connection was closed before the first byte of a response.
    Reset,
    /// The response is not HTTP.
    Unreadable,
    /// The connection was opened, but the TLS handshake failed.
    NoTls,
    /// The connection was refused.
    Refused,
    /// No connection could be opened: a timeout, or no route.
    Unreachable,
    /// The connection was opened, but no response arrived in time.
    Timeout,
}

impl Answer<'_> {
    /// The class of the answer. Nothing else of an answer is shown to users.
    pub fn class(&self) -> Class {
        match self {
            Self::Response { status, .. } => Class::Answered(*status),
            Self::Reset => Class::Reset,
            Self::Unreadable => Class::Unreadable,
            Self::NoTls => Class::NoTls,
            Self::Refused => Class::Refused,
            Self::Unreachable => Class::Unreachable,
            Self::Timeout => Class::Timeout,
        }
    }
}

/// The class of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A response with this status code.
    Answered(u16),
    /// The connection was refused.
    Refused,
    /// No response arrived in time.
    Timeout,
    /// No connection could be opened.
    Unreachable,
    /// The connection was closed before a response.
    Reset,
    /// The response is not HTTP.
    Unreadable,
    /// The TLS handshake failed.
    NoTls,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => write!(f, "status code {status}"),
            Self::Refused => f.write_str("connection refused"),
            Self::Timeout => f.write_str("no response in time"),
            Self::Unreachable => f.write_str("no connection"),
            Self::Reset => f.write_str("connection closed without a response"),
            Self::Unreadable => f.write_str("a response that is not HTTP"),
            Self::NoTls => f.write_str("failed TLS handshake"),
        }
    }
}

impl fmt::Debug for Answer<'_> {
    /// Prints only the class, so that no text of a response gets into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.class(), f)
    }
}
