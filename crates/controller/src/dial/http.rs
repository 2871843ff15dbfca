//! Sends one GET request to a checked address. The client follows no redirects, uses no proxy, keeps no cookies,
//! decodes nothing, and reads only up to its limits.
//!
//! ```text
//! Get ──► connector ──► (TLS) ──► head: status, headers ──► body, up to a limit ──► Response
//!             └───────────────┬──────────────┘                  │
//!                          Failure                    cut, which is no failure
//! ```

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Request, Uri, header, uri::PathAndQuery},
};
use futures::StreamExt as _;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{
    connector,
    meter::{Metered, Seen},
    tls::{self, TlsFailure},
};

/// The most bytes that TLS may add to a response: certificates and session tickets.
const TLS_OVERHEAD: usize = 64 * 1024;

/// The limits of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The longest time until the TCP connection is open.
    pub(crate) connect: Duration,
    /// The longest time for everything, including the connection.
    pub(crate) total: Duration,
    /// The largest head of a response, in bytes. Less than 8 KiB counts as 8 KiB.
    pub(crate) head: usize,
    /// The most headers of a response.
    pub(crate) headers: usize,
    /// The most bytes of a body that are read.
    pub(crate) body: usize,
}

impl Limits {
    /// The most bytes that are read in total. A body in chunks is larger than its content.
    const fn bytes(&self) -> usize {
        self.head.saturating_add(self.body.saturating_mul(2))
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Get<'a> {
    /// The address of the server. The caller has checked it.
    pub(crate) address: SocketAddr,
    /// The name for `Host` and for TLS, without a port.
    pub(crate) host: &'a str,
    /// The path with the query.
    pub(crate) path: &'a str,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Headers in addition to the usual ones.
    pub(crate) headers: HeaderMap,
    pub(crate) limits: &'a Limits,
}

/// A response, up to the limits. No part of it is trustworthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether `body` is only the start, because the rest is too long, did not arrive in time, or is malformed.
    pub(crate) is_cut: bool,
}

/// Why there is no response. It contains no text of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Failure {
    /// The host or the path cannot be part of a request. Nothing was sent.
    Request,
    Refused,
    /// The connection failed for another reason, such as a missing route.
    NoConnection(io::ErrorKind),
    ConnectTimeout,
    /// The connection was opened, but no complete head arrived in time.
    Timeout,
    /// The connection was closed or reset before the first byte arrived.
    Reset,
    /// The connection ended within the head.
    Broken,
    Tls(TlsFailure),
    /// The head is larger than the limit.
    TooLarge,
    /// The response is not HTTP/1.
    Unreadable,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => f.write_str("the address, the host or the path is not allowed"),
            Self::Refused => f.write_str("the connection was refused"),
            Self::NoConnection(why) => write!(f, "there is no connection: {why}"),
            Self::ConnectTimeout => f.write_str("the connection was not accepted in time"),
            Self::Timeout => f.write_str("there is no response in time"),
            Self::Reset => f.write_str("the connection was closed without a response"),
            Self::Broken => f.write_str("the connection was closed before the end of the response headers"),
            Self::Tls(TlsFailure::Malformed) => f.write_str("the server does not use TLS"),
            Self::Tls(TlsFailure::NoClientCertificate) => {
                f.write_str("the server rejected the TLS connection, possibly because it requires a client certificate")
            }
            Self::Tls(TlsFailure::Rejected) => f.write_str("the server rejected the TLS connection"),
            Self::Tls(_) => f.write_str("the certificate of the server is not valid"),
            Self::TooLarge => f.write_str("the response headers are too large"),
            Self::Unreadable => f.write_str("the response is not HTTP"),
        }
    }
}

/// How the reading of a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    Complete,
    /// The body is longer than the limit.
    TooLarge,
    /// The connection ended within the body, or the body is malformed.
    Broken,
    Timeout,
}

/// A response whose head has arrived.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    most: usize,
    deadline: Instant,
    seen: Arc<Seen>,
    /// The task that drives the connection. It ends when the set is dropped.
    _connection: JoinSet<hyper::Result<()>>,
}

/// Sends a request, and reads the response. An incomplete body is not a failure.
///
/// Fails if no head arrives.
pub(crate) async fn get(get: Get<'_>) -> Result<Response, Failure> {
    let mut started = send(get).await?;
    let (status, headers) = (started.status, std::mem::take(&mut started.headers));
    let (body, end) = started.body().await;
    Ok(Response { status, headers, body, is_cut: end != BodyEnd::Complete })
}

/// Sends a request, and reads the head of the response.
///
/// Fails if no head arrives.
pub(crate) async fn send(get: Get<'_>) -> Result<Started, Failure> {
    let deadline = Instant::now() + get.limits.total;
    let request = request(&get).ok_or(Failure::Request)?;
    let name = ServerName::try_from(get.host.to_owned()).map_err(|_| Failure::Request)?;
    let within = get.limits.connect.min(get.limits.total);
    let stream = connector::connect(get.address, within).await.map_err(|error| of_connection(error.kind()))?;
    let exchange = async {
        match get.tls {
            None => exchange(stream, None, request, get.limits, deadline).await,
            Some(config) => {
                let (stream, below) = handshake(stream, name, config, get.limits).await?;
                exchange(stream, Some(below), request, get.limits, deadline).await
            }
        }
    };
    timeout_at(deadline, exchange).await.unwrap_or(Err(Failure::Timeout))
}

fn request(get: &Get<'_>) -> Option<Request<Body>> {
    // Without the slash, the text would be parsed as a host.
    let path: PathAndQuery = get.path.parse().ok().filter(|_| get.path.starts_with('/'))?;
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from(path);
    let headers = request.headers_mut();
    headers.extend(get.headers.clone());
    headers.insert(header::HOST, HeaderValue::from_str(get.host).ok()?);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
        .insert(header::USER_AGENT, HeaderValue::from_static(concat!("toolset-operator/", env!("CARGO_PKG_VERSION"))));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    Some(request)
}

type TlsStream = Box<tokio_rustls::client::TlsStream<Metered<TcpStream>>>;

async fn handshake(
    stream: TcpStream,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    limits: &Limits,
) -> Result<(TlsStream, Arc<Seen>), Failure> {
    let most = TLS_OVERHEAD.saturating_add(limits.bytes().saturating_mul(2));
    let (stream, seen) = Metered::new(stream, most, None);
    let stream = TlsConnector::from(config).connect(name, stream).await;
    let stream = stream.map_err(|error| match tls::failure(&error) {
        Some(why) => Failure::Tls(why),
        None if seen.is_exceeded() => Failure::TooLarge,
        None if seen.any() => Failure::Tls(TlsFailure::Malformed),
        None => Failure::Reset,
    })?;
    Ok((Box::new(stream), seen))
}

/// Sends the request and waits for the head of the response.
async fn exchange<S>(
    stream: S,
    below: Option<Arc<Seen>>,
    request: Request<Body>,
    limits: &Limits,
    deadline: Instant,
) -> Result<Started, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (stream, seen) = Metered::new(stream, limits.bytes(), below);
    let mut builder = http1::Builder::new();
    // hyper panics below this size.
    builder.max_buf_size(limits.head.max(8 * 1024)).max_headers(limits.headers);
    let handshake = builder.handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| of_http(&error, &seen))?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| of_http(&error, &seen))?;
    let (head, body) = response.into_parts();
    Ok(Started {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
        most: limits.body,
        deadline,
        seen,
        _connection: driver,
    })
}

impl Started {
    /// Reads the body up to the limit.
    pub(crate) async fn body(self) -> (Vec<u8>, BodyEnd) {
        let mut pieces = Body::new(self.body).into_data_stream();
        let mut body = Vec::new();
        let end = loop {
            match timeout_at(self.deadline, pieces.next()).await {
                Err(_) => break BodyEnd::Timeout,
                Ok(None) => break BodyEnd::Complete,
                Ok(Some(Err(_))) if self.seen.is_exceeded() => break BodyEnd::TooLarge,
                Ok(Some(Err(_))) => break BodyEnd::Broken,
                Ok(Some(Ok(piece))) => {
                    let room = self.most - body.len();
                    body.extend(piece.iter().take(room));
                    if piece.len() > room {
                        break BodyEnd::TooLarge;
                    }
                }
            }
        };
        (body, end)
    }
}

fn of_connection(error: io::ErrorKind) -> Failure {
    match error {
        io::ErrorKind::ConnectionRefused => Failure::Refused,
        io::ErrorKind::TimedOut => Failure::ConnectTimeout,
        io::ErrorKind::ConnectionReset => Failure::Reset,
        other => Failure::NoConnection(other),
    }
}

fn of_http(error: &hyper::Error, seen: &Seen) -> Failure {
    let mut causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    let io = causes.find_map(|error| error.downcast_ref::<io::Error>());
    if seen.is_exceeded() || error.is_parse_too_large() {
        Failure::TooLarge
    } else if error.is_parse() {
        Failure::Unreadable
    } else if let Some(why) = io.and_then(tls::failure) {
        Failure::Tls(why)
    } else if !seen.any() {
        Failure::Reset
    } else if error.is_canceled() {
        // The server sent something before it received the request.
        Failure::Unreadable
    } else {
        Failure::Broken
    }
}

#[cfg(test)]
mod tests;
