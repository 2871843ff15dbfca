//! A service that answers as a test wants.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

/// How the service answers one request.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    /// It stores every record, except that records with this summary are invalid.
    Store { invalid: &'static str },
    /// Like `Store`, after this time.
    Slow(Duration),
    /// This status code, with this `Retry-After`.
    Status(u16, Option<&'static str>),
    /// The whole batch is refused with this status code while it contains a record with this text.
    RefuseWhole(u16, &'static str),
    /// It never answers.
    Hang,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) at: Instant,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Bytes,
}

impl Arrived {
    pub(crate) fn events(&self) -> Vec<Value> {
        let body: Value = serde_json::from_slice(&self.body).expect("JSON");
        body["events"].as_array().expect("events").clone()
    }
}

#[derive(Default)]
struct State {
    behaviours: VecDeque<Behaviour>,
    arrived: Vec<Arrived>,
    stored: Vec<Value>,
}

/// A running service. It ends with the value.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    changed: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    /// A service that does these things in turn, and the last one for ever.
    pub(crate) async fn start(behaviours: &[Behaviour]) -> Self {
        Self::listen("127.0.0.1:0".parse().expect("an address"), behaviours, false).await
    }

    pub(crate) async fn start_with_tls(behaviours: &[Behaviour]) -> Self {
        Self::listen("127.0.0.1:0".parse().expect("an address"), behaviours, true).await
    }

    pub(crate) async fn listen(address: SocketAddr, behaviours: &[Behaviour], tls: bool) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state =
            Arc::new(Mutex::new(State { behaviours: behaviours.iter().cloned().collect(), ..State::default() }));
        let (notify, changed) = watch::channel(0);
        let task = tokio::spawn(accept(listener, state.clone(), Arc::new(notify), tls.then(acceptor)));
        Self { address, state, changed, task }
    }

    /// Waits until that many requests have arrived, and gives them.
    pub(crate) async fn requests(&self, count: usize) -> Vec<Arrived> {
        self.wait(|state| (state.arrived.len() >= count).then(|| state.arrived.clone())).await
    }

    /// Waits until that many records are stored, and gives their summaries.
    pub(crate) async fn stored(&self, count: usize) -> Vec<String> {
        let summary = |event: &Value| event["summary"].as_str().unwrap_or_default().to_owned();
        self.wait(|state| (state.stored.len() >= count).then(|| state.stored.iter().map(summary).collect())).await
    }

    pub(crate) fn arrived(&self) -> usize {
        self.state.lock().expect("no panic").arrived.len()
    }

    async fn wait<T>(&self, condition: impl Fn(&State) -> Option<T>) -> T {
        let mut changed = self.changed.clone();
        let met = async {
            loop {
                changed.borrow_and_update();
                if let Some(found) = condition(&self.state.lock().expect("no panic")) {
                    return found;
                }
                changed.changed().await.expect("the service runs");
            }
        };
        timeout(Duration::from_secs(20), met).await.expect("the condition within 20 s")
    }
}

fn acceptor() -> TlsAcceptor {
    let pem = include_bytes!("test-service.pem");
    let certificates = CertificateDer::pem_slice_iter(pem).map(|der| der.expect("a certificate")).collect();
    let key = PrivateKeyDer::from_pem_slice(pem).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .expect("a pair");
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(
    listener: TcpListener,
    state: Arc<Mutex<State>>,
    notify: Arc<watch::Sender<usize>>,
    tls: Option<TlsAcceptor>,
) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (state, notify) = (state.clone(), notify.clone());
        match tls.clone() {
            None => _ = connections.spawn(serve(stream, state, notify)),
            Some(tls) => {
                connections.spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, state, notify).await;
                    }
                });
            }
        }
    }
}

async fn serve<S>(stream: S, state: Arc<Mutex<State>>, notify: Arc<watch::Sender<usize>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| answer(request, state.clone(), notify.clone()));
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    notify: Arc<watch::Sender<usize>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get("authorization").map(|value| value.to_str().expect("ASCII").to_owned());
    let body = request.into_body().collect().await.expect("a body").to_bytes();
    let arrived = Arrived { at: Instant::now(), path, authorization, body };
    let behaviour = {
        let mut state = state.lock().expect("no panic");
        state.arrived.push(arrived.clone());
        let last = state.behaviours.len() == 1;
        if last { state.behaviours.front().cloned() } else { state.behaviours.pop_front() }.expect("a behaviour")
    };
    notify.send_modify(|changes| *changes += 1);
    let invalid = match behaviour {
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Status(status, retry_after) => return Ok(status_only(status, retry_after)),
        Behaviour::RefuseWhole(status, text) if arrived.body.windows(text.len()).any(|w| w == text.as_bytes()) => {
            return Ok(status_only(status, None));
        }
        Behaviour::RefuseWhole(..) => "",
        Behaviour::Slow(delay) => {
            sleep(delay).await;
            ""
        }
        Behaviour::Store { invalid } => invalid,
    };
    let mut results = Vec::new();
    {
        let mut state = state.lock().expect("no panic");
        for event in arrived.events() {
            let known = state.stored.iter().any(|stored| stored["event_id"] == event["event_id"]);
            let is_invalid = !invalid.is_empty() && event["summary"] == invalid;
            let status = if is_invalid {
                "invalid"
            } else if known {
                "duplicate"
            } else {
                "created"
            };
            results.push(json!({"event_id": event["event_id"], "status": status}));
            if status == "created" {
                state.stored.push(event);
            }
        }
    }
    notify.send_modify(|changes| *changes += 1);
    let body = json!({"created": 0, "duplicates": 0, "rejected": 0, "results": results});
    Ok(Response::new(Full::from(body.to_string())))
}

fn status_only(status: u16, retry_after: Option<&'static str>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status code");
    if let Some(value) = retry_after {
        response.headers_mut().insert("retry-after", value.parse().expect("a value"));
    }
    response
}
