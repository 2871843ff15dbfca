//! Serves HTTP on one port. Whatever a client does, it holds a connection for a limited time and with little memory.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::Response};
use http::{HeaderValue, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::tls::Certificates;

/// The most bytes of the header of a request. A ServiceAccount token has 1 KB.
const HEADER: usize = 16 * 1024;
/// The most header lines of a request.
const HEADER_LINES: usize = 64;
/// How long a client may take for the TLS handshake, and from an answer until the header of its next request is complete.
const WAIT: Duration = Duration::from_secs(10);
/// How long an answer may wait for a client that does not read it.
const WRITE: Duration = Duration::from_secs(30);
/// How long a client may take for an answer, or for a page of an export. A page has about 2 MiB.
const SEND: Duration = Duration::from_secs(60);
/// How long to wait if the system accepts no connection, for example because no descriptor is free.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The address of the client of a request, which the extensions of every request contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Until when an answer must be sent. Its connection is closed then. While a client reads a byte from time to time, the limit for
/// a single write is never reached.
#[derive(Clone, Debug)]
pub struct SendBy(Arc<watch::Sender<Option<Instant>>>);

impl Default for SendBy {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl SendBy {
    /// From now on the time counts.
    pub fn start(&self) {
        self.0.send_replace(Some(Instant::now() + SEND));
    }

    /// There is nothing to send.
    pub fn clear(&self) {
        self.0.send_if_modified(|by| by.take().is_some());
    }

    /// Waits until the time has passed.
    async fn passed(&self) {
        let mut deadlines = self.0.subscribe();
        loop {
            let by = *deadlines.borrow_and_update();
            // The sender lives as long as this.
            let changed = deadlines.changed();
            match by {
                None => drop(changed.await),
                Some(by) => tokio::select! {
                    _ = changed => {}
                    () = sleep_until(by) => return,
                },
            }
        }
    }
}

/// How many connections each address has.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<HashMap<IpAddr, u32>>>);

/// A connection of an address.
struct Place {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    fn enter(&self, address: IpAddr, most: Option<NonZeroU32>) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if most.is_some_and(|most| *count >= most.get()) {
            return None;
        }
        *count += 1;
        Some(Place { addresses: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// A port with what it answers.
pub struct Port {
    /// Where connections come from.
    pub listener: TcpListener,
    /// The certificates, if the port has TLS.
    pub tls: Option<Arc<Certificates>>,
    /// The answers.
    pub routes: Router,
    /// The most connections. Others wait until one ends.
    pub connections: usize,
    /// The most connections of one address. Others are closed at once. None is no limit.
    pub per_address: Option<NonZeroU32>,
}

impl Port {
    /// Answers until `stop` ends. Then it takes no more connections and no more requests, and ends when all requests that it
    /// has are answered.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let free = Arc::new(Semaphore::new(self.connections));
        let addresses = Addresses::default();
        let accepting = async {
            loop {
                // The semaphore is never closed.
                let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
                let (stream, peer) = accept(&self.listener).await;
                let Some(place) = addresses.enter(peer.ip().to_canonical(), self.per_address) else { continue };
                let permit = (permit, place);
                let connection = Connection { peer, routes: self.routes.clone(), watcher: graceful.watcher(), permit };
                tokio::spawn(connection.start(stream, self.tls.clone()));
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stop => {}
        }
        drop(self.listener);
        graceful.shutdown().await;
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client is gone already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => sleep(ACCEPT_RETRY).await,
        }
    }
}

struct Connection {
    peer: SocketAddr,
    routes: Router,
    watcher: Watcher,
    permit: (OwnedSemaphorePermit, Place),
}

impl Connection {
    /// How a connection ends does not matter: the client sees it.
    async fn start(self, stream: TcpStream, tls: Option<Arc<Certificates>>) {
        // Without it, the last part of an answer may wait for an acknowledgement.
        drop(stream.set_nodelay(true));
        match tls {
            None => self.converse(stream).await,
            Some(certificates) => {
                let handshake = TlsAcceptor::from(certificates.current()).accept(stream);
                if let Ok(Ok(stream)) = timeout(WAIT, handshake).await {
                    self.converse(stream).await;
                }
            }
        }
    }

    async fn converse(self, stream: impl AsyncRead + AsyncWrite + Send + 'static) {
        let Self { peer, routes, watcher, permit } = self;
        let peer = Peer(peer.ip().to_canonical());
        let send_by = SendBy::default();
        let overdue = send_by.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            send_by.clear();
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(send_by.clone());
            let is_too_large = header_bytes(&request) > HEADER;
            let routes = routes.clone();
            async move { if is_too_large { Ok(refused_header()) } else { routes.oneshot(request).await } }
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(WAIT)
            .max_buf_size(HEADER)
            .max_headers(HEADER_LINES)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        tokio::select! {
            _ = watcher.watch(connection) => {}
            () = overdue.passed() => {}
        }
        drop(permit);
    }
}

/// How many bytes the header of a request has, about as it was sent. hyper compares only what has arrived while a header
/// is not complete, so one that arrives at once may be larger than its buffer.
fn header_bytes(request: &Request) -> usize {
    let uri = request.uri();
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let first = request.method().as_str().len() + uri.authority().map_or(0, |host| host.as_str().len()) + path;
    request
        .headers()
        .iter()
        .fold(first, |bytes, (name, value)| bytes + name.as_str().len() + value.len() + ": \r\n".len())
}

/// What hyper answers if its buffer is full.
fn refused_header() -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::oneshot,
    };

    use super::*;

    /// A port with one path, and what stops it.
    async fn start(connections: usize) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/", get(|| async { "fine" }));
        let (stop, stopped) = oneshot::channel();
        let port = Port { listener, tls: None, routes, connections, per_address: None };
        let served = tokio::spawn(port.serve(async move { drop(stopped.await) }));
        (address, stop, served)
    }

    async fn send(address: SocketAddr, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text).await;
        String::from_utf8(text).unwrap()
    }

    const WHOLE: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    const HALF: &str = "GET / HTTP/1.1\r\nhost: a\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_finish_its_header_loses_its_connection() {
        let (address, _stop, _served) = start(8).await;
        let began = Instant::now();
        rest(send(address, HALF).await).await;
        assert!(began.elapsed() >= WAIT && began.elapsed() < WAIT * 2, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_client_waits_while_there_are_as_many_connections_as_allowed() {
        let (address, _stop, _served) = start(1).await;
        let _first = send(address, HALF).await;
        let began = Instant::now();
        assert!(rest(send(address, WHOLE).await).await.ends_with("fine"));
        assert!(began.elapsed() >= WAIT / 2, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_port_that_stops_answers_what_it_has_and_takes_nothing_new() {
        let (address, stop, served) = start(8).await;
        let mut idle = send(address, WHOLE.replace("connection: close\r\n", "").as_str()).await;
        let mut answer = [0; 15];
        idle.read_exact(&mut answer).await.unwrap();
        stop.send(()).unwrap();
        served.await.unwrap();
        assert!(rest(idle).await.ends_with("fine"), "an idle connection is closed");
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_header_of_more_than_16_kib_is_refused_whether_it_arrives_at_once_or_in_parts() {
        let (address, _stop, _served) = start(8).await;
        let with = |bytes: usize| {
            format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {}\r\n\r\n", "y".repeat(bytes))
        };
        for bytes in [HEADER + 1024, HEADER + 4 * 1024, 2 * HEADER, 8 * HEADER] {
            for parts in [1, 2, 5, 40] {
                let whole = with(bytes);
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                for part in whole.as_bytes().chunks(whole.len().div_ceil(parts)) {
                    // The server may have refused it already.
                    let _ = stream.write_all(part).await;
                    tokio::task::yield_now().await;
                }
                let answer = rest(stream).await;
                assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{bytes} in {parts} parts: {answer}");
            }
        }
        assert!(rest(send(address, &with(HEADER - 1024)).await).await.ends_with("fine"));
    }

    #[test]
    fn an_address_has_no_more_connections_than_it_may_and_others_are_not_counted_with_it() {
        let (addresses, most) = (Addresses::default(), NonZeroU32::new(2));
        let (loud, quiet): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let first = addresses.enter(loud, most).unwrap();
        let _second = addresses.enter(loud, most).unwrap();
        assert!(addresses.enter(loud, most).is_none());
        let third = addresses.enter(quiet, most).unwrap();
        drop(first);
        assert!(addresses.enter(loud, most).is_some());
        drop(third);
        assert_eq!(addresses.0.lock().unwrap().len(), 1, "an address without connections is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_is_given_up_and_an_idle_connection_is_not() {
        let send_by = SendBy::default();
        timeout(10 * SEND, send_by.passed()).await.unwrap_err();
        send_by.start();
        timeout(SEND / 2, send_by.passed()).await.unwrap_err();
        send_by.start();
        timeout(SEND * 3 / 4, send_by.passed()).await.unwrap_err();
        timeout(SEND, send_by.passed()).await.unwrap();
        send_by.clear();
        timeout(10 * SEND, send_by.passed()).await.unwrap_err();
    }
}
