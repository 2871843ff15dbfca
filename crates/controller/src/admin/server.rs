//! Serves HTTP on one port with little memory, whatever the clients do.
//!
//! Every pod can reach these ports, and the pod's memory limit is small. `axum::serve` keeps every connection for as
//! long as its client wants, with up to 400 KB of a request that is never complete. Here every step of a connection has
//! a time limit, its buffers are small, and the number of connections is limited. If the limit is reached, a new
//! connection replaces another one, so that the kubelet gets an answer during an attack.

use std::{
    collections::BTreeMap,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::Router;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet, yield_now},
    time::{Instant, sleep, sleep_until},
};
use tower::Service as _;

/// The most connections of one port. The kubelet needs one, and each Prometheus one.
const CONNECTIONS: usize = 64;
/// The size of the buffers of a connection, and so of a request. hyper allows no smaller one. A ServiceAccount token
/// has 1 KB.
const BUFFER: usize = 8 * 1024;
/// The most headers of a request.
const HEADERS: usize = 64;
/// How long a client may take to send a request, from the connection or from the first byte.
const REQUEST: Duration = Duration::from_secs(5);
/// How long a client may take to read the answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a connection may be idle after an answer. Prometheus scrapes once a minute by default.
const IDLE: Duration = Duration::from_secs(90);
/// After this time a connection closes with its next answer, or when it is idle.
const LIFETIME: Duration = Duration::from_secs(600);
/// How long to wait if the system accepts no connection, for example because no descriptor is free.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Answers until dropped.
pub(super) async fn serve(listener: TcpListener, routes: Router) {
    let mut tasks = JoinSet::new();
    let mut open: BTreeMap<u64, Connection> = BTreeMap::new();
    for number in 0.. {
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                // The client is gone already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => sleep(ACCEPT_RETRY).await,
            }
        };
        while tasks.try_join_next().is_some() {}
        open.retain(|_, connection| !connection.task.is_finished());
        if open.len() >= CONNECTIONS {
            let states = open.iter().map(|(number, connection)| (*number, connection.progress.get()));
            if let Some(victim) = least_useful(states).and_then(|number| open.remove(&number)) {
                victim.task.abort();
            }
        }
        let progress = Progress::new(Instant::now());
        let task = tasks.spawn(converse(stream, routes.clone(), progress.clone()));
        open.insert(number, Connection { progress, task });
        // A request that has arrived with its connection is answered before the next connection can replace this one.
        yield_now().await;
    }
}

/// An open connection.
struct Connection {
    progress: Progress,
    task: AbortHandle,
}

/// The connection to close for a new one: the oldest that has had no answer. If there are only a few of these, they are
/// probably about to send their request, so it is the connection whose last answer is the longest ago.
fn least_useful(states: impl Iterator<Item = (u64, State)>) -> Option<u64> {
    let (answered, unanswered): (Vec<_>, Vec<_>) = states.partition(|(_, state)| state.answered);
    let oldest = unanswered.iter().map(|(number, _)| *number).min();
    let idlest = answered.iter().min_by_key(|(_, state)| state.since).map(|(number, _)| *number);
    if unanswered.len() > CONNECTIONS / 2 { oldest } else { idlest.or(oldest) }
}

/// Answers the requests of one connection, until it ends or a step takes too long.
async fn converse(stream: TcpStream, routes: Router, progress: Progress) {
    // Without it, the last part of an answer may wait for an acknowledgement.
    drop(stream.set_nodelay(true));
    let service = {
        let progress = progress.clone();
        service_fn(move |request: hyper::Request<Incoming>| {
            progress.enter(Phase::Answer { written: false });
            let mut routes = routes.clone();
            async move {
                // One request at a time, so that a client that sends hundreds at once does not delay everything else.
                yield_now().await;
                routes.call(request).await
            }
        })
    };
    let io = TokioIo::new(Watched { stream, progress: progress.clone() });
    let connection =
        http1::Builder::new().max_buf_size(BUFFER).max_headers(HEADERS).half_close(false).serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut lifetime = pin!(sleep(LIFETIME));
    let mut limit = pin!(sleep_until(progress.get().limit()));
    let mut closing = false;
    std::future::poll_fn(|context| {
        if !closing && lifetime.as_mut().poll(context).is_ready() {
            closing = true;
            connection.as_mut().graceful_shutdown();
        }
        // How the connection ended does not matter.
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let now = progress.get().limit();
        if limit.deadline() != now {
            limit.as_mut().reset(now);
        }
        limit.as_mut().poll(context)
    })
    .await;
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The rest of a request.
    Request,
    /// The client reads the answer, of which a part is written or not.
    Answer { written: bool },
    /// The next request.
    Idle,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    /// When this phase began.
    since: Instant,
    /// Whether the client has had an answer.
    answered: bool,
}

impl State {
    /// When the connection is closed if nothing changes.
    fn limit(&self) -> Instant {
        self.since
            + match self.phase {
                Phase::Request => REQUEST,
                Phase::Answer { .. } => ANSWER,
                Phase::Idle => IDLE,
            }
    }
}

/// The state of a connection, for the task that closes connections.
#[derive(Clone)]
struct Progress(Arc<Mutex<State>>);

impl Progress {
    fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(State { phase: Phase::Request, since: now, answered: false })))
    }

    fn get(&self) -> State {
        *self.state()
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        state.answered |= phase == Phase::Idle;
        (state.phase, state.since) = (phase, Instant::now());
    }

    /// Notes that a part of the answer is written. The time limit does not begin again.
    fn wrote(&self) {
        if let Phase::Answer { written } = &mut self.state().phase {
            *written = true;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes when a request begins and when an answer has been written.
struct Watched {
    stream: TcpStream,
    progress: Progress,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before && self.progress.get().phase == Phase::Idle {
            self.progress.enter(Phase::Request);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.progress.wrote();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bytes))?;
        self.progress.wrote();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes after it has written everything that it holds, and our answers have only one part.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.progress.get().phase == (Phase::Answer { written: true }) {
            self.progress.enter(Phase::Idle);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(answered: bool, since: Instant) -> State {
        State { phase: Phase::Idle, since, answered }
    }

    #[test]
    fn a_flood_of_half_sent_requests_replaces_itself_and_not_the_clients_that_had_an_answer() {
        let now = Instant::now();
        let prometheus = (0, state(true, now));
        let flood = (1..64).map(|number| (number, state(false, now)));
        assert_eq!(least_useful(std::iter::once(prometheus).chain(flood)), Some(1));
    }

    #[test]
    fn clients_that_keep_their_connections_after_an_answer_do_not_lock_others_out() {
        let now = Instant::now();
        let held = (0..63).map(|number| (number, state(true, now + Duration::from_secs(63 - number))));
        let kubelet = (63, state(false, now));
        assert_eq!(least_useful(held.chain(std::iter::once(kubelet))), Some(62), "the one that is idle for longest");
    }
}
