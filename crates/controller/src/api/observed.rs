//! The client of one watch. It observes the connection, and it delays requests as the watch's pace requires.
//!
//! kube's `watcher` yields nothing while a watch is quiet, nothing when a watch is established or allowed again, and
//! nothing when a watch ends. Only the client sees all of this.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{Request, Response},
};
use http_body::{Frame, SizeHint};
use kube::{Client, client::Body};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};
use tower::Service;

use super::pace::{LONG, Pace};

/// How long the API server may take to begin its answer to a list or a watch. Without this limit, a watch on a dead
/// connection of the pool would wait until TCP gives up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Receives what happens on the connection of a watch.
pub(crate) trait Observer: Send + Sync {
    /// The API server began a successful answer, so it does not refuse the request. It has not sent anything yet.
    fn answered(&self) {}

    /// The watch works. It had an event, or it was open for a while.
    fn contact(&self) {}
}

/// What a watch and its client share.
pub(super) struct Connection {
    observer: Box<dyn Observer>,
    pace: Mutex<Pace>,
    last_read: Mutex<Option<Instant>>,
    /// The open watch had an event.
    had_event: AtomicBool,
    /// Notified when a watch ended too soon and without an event.
    pub(super) ended_empty: Notify,
}

impl Connection {
    pub(super) fn new(observer: impl Observer + 'static) -> Arc<Self> {
        Arc::new(Self {
            observer: Box::new(observer),
            pace: Mutex::default(),
            last_read: Mutex::default(),
            had_event: AtomicBool::new(false),
            ended_empty: Notify::new(),
        })
    }

    /// When bytes were last read, or now if nothing has been read yet. The latency of an event counts from then, so it
    /// includes parsing.
    pub(super) fn last_read(&self) -> Instant {
        self.last_read.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(Instant::now)
    }

    pub(super) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open watch had an event that can be read.
    pub(super) fn event(&self) {
        self.had_event.store(true, Ordering::Relaxed);
        self.observer.contact();
    }

    fn read(&self, at: Instant) {
        *self.last_read.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    fn ended(&self, open: Duration, now: Instant) {
        let events = self.had_event.load(Ordering::Relaxed);
        if self.pace().ended(open, events, now) {
            self.observer.contact();
        } else if !events {
            self.ended_empty.notify_one();
        }
    }
}

/// Makes a client for one watch.
pub(super) fn observed(client: &Client, connection: Arc<Connection>) -> Client {
    Client::new(Observed { client: client.clone(), connection }, client.default_namespace())
}

#[derive(Clone)]
struct Observed {
    client: Client,
    connection: Arc<Connection>,
}

impl Service<Request<Body>> for Observed {
    type Response = Response<ObservedBody>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, kube::Error>> + Send>>;

    /// Always ready, because the client below queues.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { client, connection } = self.clone();
        Box::pin(async move {
            let watches = request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "watch=true"));
            let not_before = connection.pace().not_before();
            if let Some(not_before) = not_before {
                sleep_until(not_before).await;
            }
            // If this is dropped earlier, the pause applies to the request that replaces this one.
            connection.pace().started();
            connection.had_event.store(false, Ordering::Relaxed);
            // The timeout ends when the answer begins, because a watch then stays open.
            let answer = timeout(ANSWER_TIMEOUT, client.send(request)).await;
            let response = answer.map_err(|elapsed| kube::Error::Service(elapsed.into()))??;
            let success = response.status().is_success();
            if success {
                connection.observer.answered();
            }
            let opened = (watches && success).then(Instant::now);
            Ok(response.map(|body| ObservedBody { body, connection, opened }))
        })
    }
}

/// The body of an answer.
struct ObservedBody {
    body: Body,
    connection: Arc<Connection>,
    /// When it began, if it is the body of a watch that has not ended.
    opened: Option<Instant>,
}

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = kube::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let now = Instant::now();
        if matches!(frame, Some(Ok(_))) {
            self.connection.read(now);
            // A quiet watch has nothing but bookmarks, which kube's watcher does not yield.
            if self.opened.is_some_and(|opened| now - opened >= LONG) {
                self.connection.observer.contact();
            }
        } else if let Some(opened) = self.opened.take() {
            self.connection.ended(now - opened, now);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        // The end must be read, because it is observed.
        false
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
