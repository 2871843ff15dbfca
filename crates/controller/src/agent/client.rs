//! Asks one replica of the agent. It follows no redirect, uses no proxy, keeps no cookie, and reads no more than it must.

use std::{collections::BTreeSet, fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderValue, Request, Response, StatusCode, Uri, header},
};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{CertificateError, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    answer::{self, Answer},
    installed::Access,
};
use crate::{api::NamespacedName, dial::connector};

/// How long a connection may take, with TLS.
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
    let exchange = async {
        let host = format!("{}.{}.svc", service.name, service.namespace);
        // `connect` and the handshake share one limit.
        let connection = timeout(CONNECT, connect(address, &host, access)).await;
        match connection.unwrap_or(Err(Failure::ConnectTimeout))? {
            Connection::Plain(stream) => exchange(stream, &host, access).await,
            Connection::Tls(stream) => exchange(*stream, &host, access).await,
        }
    };
    let body = timeout(total, exchange).await.unwrap_or(Err(Failure::Timeout(total)))?;
    answer::read(&body, wanted).ok_or(Failure::Unreadable)
}

enum Connection {
    Plain(tokio::net::TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>),
}

async fn connect(address: SocketAddr, host: &str, access: &Access) -> Result<Connection, Failure> {
    let stream = connector::connect(address, CONNECT).await.map_err(|error| of_connection(error.kind()))?;
    let Some(config) = &access.tls else { return Ok(Connection::Plain(stream)) };
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Failure::Tls)?;
    let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(|error| of_tls(&error))?;
    Ok(Connection::Tls(Box::new(stream)))
}

fn of_connection(error: io::ErrorKind) -> Failure {
    match error {
        io::ErrorKind::ConnectionRefused => Failure::Refused,
        io::ErrorKind::TimedOut => Failure::ConnectTimeout,
        other => Failure::NoConnection(other),
    }
}

/// The kind of a failed handshake. rustls' own message repeats names of the certificate.
fn of_tls(error: &io::Error) -> Failure {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    match error {
        Some(rustls::Error::InvalidCertificate(why)) => Failure::Certificate(match why {
            CertificateError::UnknownIssuer => "it is not signed by a certificate in caSecret",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "it is not valid for the name of the Service, <service>.<namespace>.svc"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet",
            _ => "it is malformed",
        }),
        _ => Failure::Tls,
    }
}

/// Sends the request and reads the body of the answer.
async fn exchange<S>(stream: S, host: &str, access: &Access) -> Result<Vec<u8>, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MOST_HEAD).max_headers(MOST_HEADERS);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|error| of_http(&error))?;
    // The task ends with this set.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request(host, access)).await.map_err(|error| of_http(&error))?;
    body(response, access.key.is_some()).await
}

fn request(host: &str, access: &Access) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static(PATH);
    let headers = request.headers_mut();
    // The names of a Service and of a namespace are always valid in a header.
    headers.extend(HeaderValue::from_str(host).map(|host| (header::HOST, host)));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
        .insert(header::USER_AGENT, HeaderValue::from_static(concat!("toolset-operator/", env!("CARGO_PKG_VERSION"))));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(key) = &access.key {
        headers.insert(KEY, key.clone());
    }
    request
}

async fn body(response: Response<Incoming>, has_key: bool) -> Result<Vec<u8>, Failure> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Err(Failure::Unauthorized { has_key }),
        // A redirect, too. It is not followed.
        other => return Err(Failure::Status(other.as_u16())),
    }
    let declared = response.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > MOST_BODY) {
        return Err(Failure::TooLarge);
    }
    let bytes = to_bytes(Body::new(response.into_body()), MOST_BODY).await.map_err(|error| {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<hyper::Error>() {
                return of_http(error);
            }
            cause = error.source();
        }
        Failure::TooLarge
    })?;
    Ok(bytes.into())
}

fn of_http(error: &hyper::Error) -> Failure {
    if error.is_parse_too_large() {
        Failure::TooLarge
    } else if error.is_parse() {
        Failure::Unreadable
    } else {
        Failure::Broken
    }
}

#[cfg(test)]
mod tests;
