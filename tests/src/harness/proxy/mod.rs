//! A proxy in front of the API server that holds, delays, refuses and rewrites requests for a test.
//!
//! A controller with the proxy's kubeconfig reaches the API server only through the proxy, over plain HTTP. The proxy
//! has the administrator's rights. It forwards at once what no fault concerns, and it streams watches. It keeps a log
//! of all requests and their times, so that a test can compare what came first instead of measuring time.

mod forwarding;
mod random_faults;
mod request;

use std::{
    path::{Path, PathBuf},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use kube::Client;
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use self::forwarding::{passed_on, received, refusal};
pub use self::{
    random_faults::{Applied, Faults, FaultyProxy, Traffic},
    request::{ApiRequest, End, Exchange},
};
use super::World;

/// A running proxy. Dropping it closes its port.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    kubeconfig: PathBuf,
    server: JoinHandle<()>,
}

/// What happens to the requests that a rule concerns.
enum Effect {
    /// They reach the API server when the fault ends.
    Hold,
    /// They reach the API server later.
    Delay(Duration),
    /// They reach the API server at once, and the client has the answer when the fault ends.
    HoldAnswer,
    /// The events of a watch reach the client when the fault ends.
    HoldEvents,
    /// They are answered with this status and never reach the API server.
    Refuse(StatusCode),
    /// They are answered with 200 and without a body, and never reach the API server.
    EmptyAnswer,
    /// The bodies of their answers end after this number of bytes, as if they were complete.
    Cut(usize),
    /// They reach the API server with another body, as if a mutating webhook had changed it.
    Rewrite(Box<dyn Fn(&mut Value) + Send + Sync>),
}

struct Rule {
    concerns: Box<dyn Fn(&ApiRequest) -> bool + Send + Sync>,
    effect: Effect,
    /// Closes at the end of the fault.
    gate: watch::Receiver<()>,
    /// How many requests it has concerned.
    met: AtomicUsize,
}

impl Rule {
    async fn end(&self) {
        let mut gate = self.gate.clone();
        // Nothing is ever sent: this returns when the sender is dropped.
        _ = gate.changed().await;
    }
}

/// A fault. Dropping it ends it, and what it holds goes on.
#[must_use = "a fault ends when it is dropped"]
pub struct Fault {
    shared: Arc<Shared>,
    rule: Arc<Rule>,
    _gate: watch::Sender<()>,
}

impl Fault {
    /// How many requests it has concerned so far; of a watch, how many pieces of its stream.
    pub fn met(&self) -> usize {
        self.rule.met.load(Ordering::Relaxed)
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        // Before the gate closes, so that what goes on does not meet the rule again.
        self.shared.rules().retain(|rule| !Arc::ptr_eq(rule, &self.rule));
    }
}

struct Shared {
    upstream: Client,
    rules: Mutex<Vec<Arc<Rule>>>,
    exchanges: Mutex<Vec<Exchange>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl World {
    /// Starts a proxy with the administrator's rights.
    pub async fn proxy(&self) -> Result<Proxy> {
        Proxy::start(self.cluster().kubeconfig(), self.folder()).await
    }
}

impl Proxy {
    async fn start(kubeconfig: &Path, folder: &Path) -> Result<Self> {
        let upstream = forwarding::upstream(kubeconfig).await?;
        let shared = Arc::new(Shared { upstream, rules: Mutex::default(), exchanges: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let (kubeconfig, server) = forwarding::serve(router, folder).await?;
        Ok(Self { shared, kubeconfig, server })
    }

    /// A kubeconfig whose server is the proxy.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Every request so far, in the order of their arrival.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.exchanges().clone()
    }

    /// Those that `concerns` is true of.
    pub fn exchanges_of(&self, concerns: impl Fn(&ApiRequest) -> bool) -> Vec<Exchange> {
        self.shared.exchanges().iter().filter(|exchange| concerns(&exchange.request)).cloned().collect()
    }

    /// Holds requests: they reach the API server when the fault ends, unless the client gives up before.
    pub fn hold(&self, concerns: impl Fn(&ApiRequest) -> bool + Send + Sync + 'static) -> Fault {
        self.fault(concerns, Effect::Hold)
    }

    /// Delays requests.
    pub fn delay(&self, by: Duration, concerns: impl Fn(&ApiRequest) -> bool + Send + Sync + 'static) -> Fault {
        self.fault(concerns, Effect::Delay(by))
    }

    /// Holds answers: the API server carries the requests out, and the client has the answers when the fault ends.
    pub fn hold_answers(&self, concerns: impl Fn(&ApiRequest) -> bool + Send + Sync + 'static) -> Fault {
        self.fault(concerns, Effect::HoldAnswer)
    }

    /// Holds the events of watches, also of watches that have begun before.
    pub fn hold_events(&self, concerns: impl Fn(&ApiRequest) -> bool + Send + Sync + 'static) -> Fault {
        self.fault(move |request| request.verb == "watch" && concerns(request), Effect::HoldEvents)
    }

    /// Answers requests with a status of failure. They do not reach the API server.
    pub fn refuse(&self, status: StatusCode, concerns: impl Fn(&ApiRequest) -> bool + Send + Sync + 'static) -> Fault {
        self.fault(concerns, Effect::Refuse(status))
    }

    /// Answers requests with 200 and without a body. They do not reach the API server.
    pub fn empty_answer(&self, concerns: impl Fn(&ApiRequest) -> bool + Send + Sync + 'static) -> Fault {
        self.fault(concerns, Effect::EmptyAnswer)
    }

    /// Ends the body of every answer after `bytes`, without an error.
    pub fn cut(&self, bytes: usize, concerns: impl Fn(&ApiRequest) -> bool + Send + Sync + 'static) -> Fault {
        self.fault(concerns, Effect::Cut(bytes))
    }

    /// Changes the bodies of requests on the way to the API server, as a mutating webhook does.
    pub fn rewrite(
        &self,
        concerns: impl Fn(&ApiRequest) -> bool + Send + Sync + 'static,
        change: impl Fn(&mut Value) + Send + Sync + 'static,
    ) -> Fault {
        self.fault(concerns, Effect::Rewrite(Box::new(change)))
    }

    fn fault(&self, concerns: impl Fn(&ApiRequest) -> bool + Send + Sync + 'static, effect: Effect) -> Fault {
        let (sender, gate) = watch::channel(());
        let rule = Arc::new(Rule { concerns: Box::new(concerns), effect, gate, met: AtomicUsize::new(0) });
        self.shared.rules().push(rule.clone());
        Fault { shared: self.shared.clone(), rule, _gate: sender }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Vec<Arc<Rule>>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exchanges(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules that concern a request now.
    fn concerning(&self, request: &ApiRequest, effect: impl Fn(&Effect) -> bool) -> Vec<Arc<Rule>> {
        let rules = self.rules();
        let concerning = rules.iter().filter(|rule| effect(&rule.effect) && (rule.concerns)(request));
        concerning.inspect(|rule| _ = rule.met.fetch_add(1, Ordering::Relaxed)).cloned().collect()
    }

    async fn serve(self: &Arc<Self>, request: &ApiRequest, parts: &http::request::Parts, mut body: Bytes) -> Response {
        let rules = self.concerning(request, |effect| !matches!(effect, Effect::HoldEvents));
        for rule in &rules {
            match &rule.effect {
                Effect::Hold => rule.end().await,
                Effect::Delay(by) => tokio::time::sleep(*by).await,
                Effect::Refuse(status) => return refusal(*status, "a test refuses it"),
                Effect::EmptyAnswer => return Response::default(),
                Effect::Rewrite(change) => body = rewritten(&body, change),
                Effect::HoldAnswer | Effect::HoldEvents | Effect::Cut(_) => {}
            }
        }
        let mut response = match self.forward(request, parts, body).await {
            Ok(response) => response,
            Err(error) => refusal(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
        };
        for rule in &rules {
            match rule.effect {
                Effect::HoldAnswer => rule.end().await,
                Effect::Cut(bytes) => response = response.map(|body| cut(body, bytes)),
                _ => {}
            }
        }
        response
    }

    async fn forward(
        self: &Arc<Self>,
        request: &ApiRequest,
        parts: &http::request::Parts,
        body: Bytes,
    ) -> Result<Response> {
        let (head, body) = forwarding::forward(&self.upstream, parts, body).await?.into_parts();
        let body = if request.verb == "watch" { self.stream(request.clone(), body) } else { Body::new(body) };
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        *response.headers_mut() = passed_on(&head.headers);
        Ok(response)
    }

    /// The body of a watch, each piece of which may be held.
    fn stream(self: &Arc<Self>, request: ApiRequest, body: kube::client::Body) -> Body {
        let shared = self.clone();
        let pieces = Body::new(body).into_data_stream().then(move |piece| {
            let (shared, request) = (shared.clone(), request.clone());
            async move {
                for rule in shared.concerning(&request, |effect| matches!(effect, Effect::HoldEvents)) {
                    rule.end().await;
                }
                piece
            }
        });
        Body::from_stream(pieces)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (request, parts, body) = match received(request).await {
        Ok(received) => received,
        Err(refused) => return refused,
    };
    let entry = Entry::begin(shared.clone(), request.clone(), body.clone());
    let response = pin!(shared.serve(&request, &parts, body)).await;
    entry.end(End::Answered(response.status().as_u16()));
    response
}

/// An exchange in progress. A client that goes away drops it.
struct Entry {
    shared: Arc<Shared>,
    index: usize,
}

impl Entry {
    fn begin(shared: Arc<Shared>, request: ApiRequest, body: Bytes) -> Self {
        let mut exchanges = shared.exchanges();
        let index = exchanges.len();
        exchanges.push(Exchange { request, body, arrived: Instant::now(), end: None });
        drop(exchanges);
        Self { shared, index }
    }

    fn end(&self, end: End) {
        if let Some(exchange) = self.shared.exchanges().get_mut(self.index) {
            exchange.end.get_or_insert((Instant::now(), end));
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(End::Abandoned);
    }
}

/// The first bytes of a body. It ends with the last one of them, although the answer goes on.
fn cut(body: Body, bytes: usize) -> Body {
    let pieces = body.into_data_stream();
    Body::from_stream(stream::try_unfold((pieces, bytes), async |(mut pieces, left)| {
        if left == 0 {
            return Ok(None);
        }
        let piece = pieces.try_next().await?.map(|piece| piece.slice(..piece.len().min(left)));
        Ok::<_, axum::Error>(piece.map(|piece| (piece.clone(), (pieces, left - piece.len()))))
    }))
}

fn rewritten(body: &Bytes, change: &(dyn Fn(&mut Value) + Send + Sync)) -> Bytes {
    let Ok(mut value) = serde_json::from_slice(body) else { return body.clone() };
    change(&mut value);
    value.to_string().into()
}
