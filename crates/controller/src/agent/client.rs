//! Asks one replica of the agent.

use std::{collections::BTreeSet, fmt, io, net::SocketAddr, time::Duration};

use axum::http::{HeaderMap, HeaderValue, header};

use super::{
    answer::{self, Answer},
    installed::Access,
};
use crate::{
    api::NamespacedName,
    dial::{
        http::{self, BodyEnd, Get, Limits},
        tls::TlsFailure,
    },
};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The first request after a start of the agent waits until the agent has checked all its toolsets.
pub(crate) const TOTAL: Duration = Duration::from_secs(30);
/// The largest head of an answer, in bytes.
const MOST_HEAD: usize = 16 * 1024;
/// The most headers of an answer.
const MOST_HEADERS: usize = 64;
/// The largest body, in bytes. The states of 300 toolsets need about 100 KiB. An `error` may hold what a backend of the
/// agent has sent.
const MOST_BODY: usize = 1024 * 1024;

const PATH: &str = "/api/info?detail=full";
const KEY: &str = "x-api-key";

/// Why a replica gave no usable answer. Nothing that the replica sent is part of it, except the status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// It does not accept the key, or wants one.
    Unauthorized {
        has_key: bool,
    },
    /// It answered with this status code.
    Status(u16),
    Refused,
    /// There is no connection for another reason, such as a missing route.
    NoConnection(io::ErrorKind),
    ConnectTimeout,
    Timeout(Duration),
    /// The connection broke.
    Broken,
    /// Its certificate is not that of the Service, or nobody known has signed it.
    Certificate(&'static str),
    Tls,
    /// The head or the body is larger than the limit.
    TooLarge,
    /// It is not an answer of the agent.
    Unreadable,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthorized { has_key: true } => {
                f.write_str("rejects the API key; check apiKeySecret in the Helm value agents")
            }
            Self::Unauthorized { has_key: false } => {
                f.write_str("requires an API key; set apiKeySecret in the Helm value agents")
            }
            // HolmesGPT answers 401 to a wrong key.
            Self::Status(403) => f.write_str(
                "cannot be reached: the response has the status code 403; check the policies of a proxy or a service mesh \
                 between the operator and the agent",
            ),
            Self::Status(code) => write!(f, "responds with the status code {code}; check that the Service leads to HolmesGPT"),
            Self::Refused => f.write_str("refuses the connection; check the port of the Service and the NetworkPolicies"),
            Self::NoConnection(why) => write!(f, "cannot be reached: {why}"),
            Self::ConnectTimeout => write!(f, "does not accept a connection within {} s; check the NetworkPolicies", CONNECT.as_secs()),
            Self::Timeout(after) => write!(f, "does not respond within {} s", after.as_secs_f32()),
            Self::Broken => f.write_str("closes the connection before the response is complete"),
            Self::Certificate(why) => write!(f, "has an invalid certificate: {why}"),
            Self::Tls => f.write_str("does not use TLS; enable TLS in the agent, or remove caSecret from the Helm value agents"),
            Self::TooLarge => f.write_str("sends a response that is too large"),
            Self::Unreadable => f.write_str("does not respond like HolmesGPT; check that the Service leads to HolmesGPT"),
        }
    }
}

/// Asks the replica at an address that has been checked. `total` bounds everything.
pub(crate) async fn ask(
    address: SocketAddr,
    service: &NamespacedName,
    access: &Access,
    wanted: &BTreeSet<String>,
    total: Duration,
) -> Result<Answer, Failure> {
    let host = format!("{}.{}.svc", service.name, service.namespace);
    let limits = Limits { connect: CONNECT, total, head: MOST_HEAD, headers: MOST_HEADERS, body: MOST_BODY };
    let headers = headers(access);
    let get = Get { address, host: &host, path: PATH, tls: access.tls.clone(), headers, limits: &limits };
    let started = http::send(get).await.map_err(|failure| of_dial(failure, total))?;
    match started.status {
        200 => {}
        401 => return Err(Failure::Unauthorized { has_key: access.key.is_some() }),
        // A redirect, too. It is not followed.
        other => return Err(Failure::Status(other)),
    }
    let declared = started.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > MOST_BODY) {
        return Err(Failure::TooLarge);
    }
    match started.body().await {
        (body, BodyEnd::Complete) => answer::read(&body, wanted).ok_or(Failure::Unreadable),
        (_, BodyEnd::TooLarge) => Err(Failure::TooLarge),
        (_, BodyEnd::Broken) => Err(Failure::Broken),
        (_, BodyEnd::Timeout) => Err(Failure::Timeout(total)),
    }
}

fn headers(access: &Access) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(key) = &access.key {
        headers.insert(KEY, key.clone());
    }
    headers
}

fn of_dial(failure: http::Failure, total: Duration) -> Failure {
    match failure {
        http::Failure::Refused => Failure::Refused,
        http::Failure::NoConnection(why) => Failure::NoConnection(why),
        http::Failure::ConnectTimeout => Failure::ConnectTimeout,
        http::Failure::Timeout => Failure::Timeout(total),
        http::Failure::Reset | http::Failure::Broken => Failure::Broken,
        http::Failure::Tls(why) => of_tls(why),
        http::Failure::TooLarge => Failure::TooLarge,
        // The names of a Service and of a namespace are always valid in a request.
        http::Failure::Request | http::Failure::Unreadable => Failure::Unreadable,
    }
}

fn of_tls(why: TlsFailure) -> Failure {
    Failure::Certificate(match why {
        TlsFailure::UnknownIssuer => "it is not signed by a certificate in caSecret",
        TlsFailure::AnotherName => "it is not valid for the name of the Service, <service>.<namespace>.svc",
        TlsFailure::Expired => "it has expired",
        TlsFailure::NotValidYet => "it is not valid yet",
        TlsFailure::InvalidCertificate => "it is malformed",
        TlsFailure::NoClientCertificate | TlsFailure::Rejected | TlsFailure::Malformed => return Failure::Tls,
    })
}

#[cfg(test)]
mod tests;
