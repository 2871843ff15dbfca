//! One watch over kube's `watcher`. It paces the requests, and starts with a new list where only a list shows the
//! changes.
//!
//! | what happens | what follows |
//! |---|---|
//! | The request fails, or the connection breaks. | The same request, after a pause. |
//! | The API server is away or cannot work. It may come back with another state. | A list, after a pause. |
//! | The watch ends after a while. | The next watch, at once. |
//! | The watch ends too soon, after an event. | The next watch, after a pause. |
//! | The watch ends too soon, without an event. It may never have one. | A list, after a pause. |
//! | The watch has an error, or an event that cannot be read. The event is lost. | A list, after a pause. |
//! | The resource version has expired. | A list, at once. If this happens again and again, after a pause. |

use std::{fmt::Debug, pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _};
use kube::{
    Api, Client, Resource,
    runtime::watcher::{self, Event, watcher},
};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{
    error::{Cause, watch_message},
    observed::{Connection, Observer, observed},
};

/// After how many seconds the API server ends a watch. A dead connection is detected 5 s later. kube's default is 290.
pub(crate) const WATCH_TIMEOUT_SECONDS: u32 = 60;

/// A watch that never ends.
pub(crate) struct Watching<K> {
    api: Api<K>,
    config: watcher::Config,
    connection: Arc<Connection>,
    events: Events<K>,
}

type Events<K> = Pin<Box<dyn Stream<Item = watcher::Result<Event<K>>> + Send>>;

/// Why a watch has to start again.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The API server refused the request, could not be reached, or sent a malformed answer.
    Failed(watcher::Error),
    /// The watch ended too soon and without an event, although there was no error.
    Ended,
}

impl Problem {
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Failed(error) => Cause::of_watch(error),
            Self::Ended => Cause::Ended,
        }
    }

    /// The message, in one line.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Failed(error) => watch_message(error),
            Self::Ended => "the watch ended too early and without an event".to_owned(),
        }
    }

    /// Whether only a new list shows what has happened in the meantime.
    fn needs_list(&self) -> bool {
        match self {
            Self::Ended
            | Self::Failed(watcher::Error::WatchError(_) | watcher::Error::WatchFailed(kube::Error::Api(_))) => true,
            Self::Failed(watcher::Error::WatchStartFailed(error))
                if matches!(Cause::of(error), Cause::Transport | Cause::Unavailable) =>
            {
                true
            }
            Self::Failed(_) => matches!(self.cause(), Cause::Gone | Cause::Ahead | Cause::Decode),
        }
    }
}

impl<K: Resource + Clone + DeserializeOwned + Debug + Send + 'static> Watching<K> {
    /// A watch of what `config` selects. `api` makes the typed API of a client. It starts with a list.
    pub(crate) fn new(
        client: &Client,
        api: impl FnOnce(Client) -> Api<K>,
        config: watcher::Config,
        observer: impl Observer + 'static,
    ) -> Self {
        let connection = Connection::new(observer);
        let (api, config) = (api(observed(client, connection.clone())), config.timeout(WATCH_TIMEOUT_SECONDS));
        let events = Box::pin(watcher(api.clone(), config.clone()));
        Self { api, config, connection, events }
    }

    /// The next event. After a problem, the watch starts again by itself. No event is lost if this is cancelled.
    pub(crate) async fn next(&mut self) -> Result<Event<K>, Problem> {
        let event = tokio::select! {
            // An event that has been read comes before the end of the watch that it is from.
            biased;
            event = self.events.next() => event,
            () = self.connection.ended_empty.notified() => None,
        };
        let problem = match event {
            Some(Ok(event)) => {
                if matches!(event, Event::Apply(_) | Event::Delete(_)) {
                    self.connection.event();
                }
                return Ok(event);
            }
            Some(Err(error)) => Problem::Failed(error),
            // kube's watcher never ends.
            None => Problem::Ended,
        };
        let now = Instant::now();
        match problem.cause() {
            Cause::Gone => self.connection.pace().expired(now),
            _ => self.connection.pace().failed(now),
        }
        if problem.needs_list() {
            self.list_again();
        }
        Err(problem)
    }

    /// Starts again with a list, because the resource version cannot be used any more. It skips a pause that is due,
    /// but not twice in a row.
    pub(crate) fn list_at_once(&mut self) {
        self.connection.pace().expired(Instant::now());
        self.list_again();
    }

    /// Starts again with a list. A pause that is due comes first.
    pub(crate) fn list_again(&mut self) {
        self.events = Box::pin(watcher(self.api.clone(), self.config.clone()));
    }

    /// When bytes were last read from the connection.
    pub(crate) fn last_read(&self) -> Instant {
        self.connection.last_read()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use axum::{
        body::{Body as AnswerBody, Bytes},
        http::{Request, Response},
    };
    use futures::stream;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::client::Body;
    use tokio::time::{Instant, sleep};
    use tower::service_fn;

    use super::*;

    const LIST: &str = r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}"#;
    const EVENT: &str = r#"{"type":"MODIFIED","object":{"metadata":{"name":"c","resourceVersion":"2"}}}"#;
    const BOOKMARK: &str =
        r#"{"type":"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"2"}}}"#;
    const MINUTES: Duration = Duration::from_secs(600);

    /// What an API server answers.
    #[derive(Clone)]
    struct Answers {
        list: (u16, String),
        watch: (u16, String),
        /// After this time, the watch sends its body.
        sends_after: Duration,
        /// After this time, the watch ends.
        ends_after: Duration,
    }

    impl Default for Answers {
        fn default() -> Self {
            let now = Duration::ZERO;
            Self { list: (200, LIST.to_owned()), watch: (200, String::new()), sends_after: now, ends_after: now }
        }
    }

    fn watch(status: u16, body: &str) -> Answers {
        let body = if body.is_empty() { String::new() } else { format!("{body}\n") };
        Answers { watch: (status, body), ..Answers::default() }
    }

    fn failure(code: u16, message: &str) -> String {
        format!(r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{message}","code":{code}}}"#)
    }

    fn error_event(code: u16) -> String {
        format!(r#"{{"type":"ERROR","object":{}}}"#, failure(code, "no"))
    }

    #[derive(Clone, Default)]
    struct Server {
        answers: Arc<Mutex<Answers>>,
        /// When a list arrived, and when a watch arrived.
        lists: Arc<Mutex<Vec<Instant>>>,
        watches: Arc<Mutex<Vec<Instant>>>,
        contacts: Arc<AtomicUsize>,
    }

    impl Observer for Server {
        fn contact(&self) {
            self.contacts.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Server {
        fn start(answers: &Answers) -> (Self, Watching<ConfigMap>) {
            let server = Self::default();
            server.set(answers);
            let this = server.clone();
            let service = service_fn(move |request: Request<Body>| {
                let answer = this.answer(request.uri().query().unwrap_or_default());
                async move { Ok::<_, Infallible>(answer) }
            });
            let client = Client::new(service, "default");
            let watching = Watching::new(&client, Api::default_namespaced, watcher::Config::default(), server.clone());
            (server, watching)
        }

        fn set(&self, answers: &Answers) {
            *self.answers.lock().unwrap() = answers.clone();
        }

        fn answer(&self, query: &str) -> Response<AnswerBody> {
            let answers = self.answers.lock().unwrap().clone();
            let watches = query.contains("watch=true");
            let arrivals = if watches { &self.watches } else { &self.lists };
            arrivals.lock().unwrap().push(Instant::now());
            let ((status, body), sends, ends) = if watches {
                (answers.watch, answers.sends_after, answers.ends_after)
            } else {
                (answers.list, Duration::ZERO, Duration::ZERO)
            };
            let pieces = stream::once(async move {
                sleep(sends).await;
                Ok::<_, Infallible>(Bytes::from(body))
            });
            let pieces = pieces.filter(|piece| std::future::ready(piece.as_ref().is_ok_and(|bytes| !bytes.is_empty())));
            let end = stream::once(sleep(ends.saturating_sub(sends))).filter_map(|()| std::future::ready(None));
            let body = AnswerBody::from_stream(pieces.chain(end));
            Response::builder().status(status).body(body).unwrap()
        }

        /// How many lists and watches arrived within `time` of the start.
        fn within(&self, start: Instant, time: Duration) -> (usize, usize) {
            let count = |arrivals: &Mutex<Vec<Instant>>| {
                arrivals.lock().unwrap().iter().filter(|at| **at - start < time).count()
            };
            (count(&self.lists), count(&self.watches))
        }
    }

    /// Watches for `time`. Returns the events and the causes of problems.
    async fn watch_for(watching: &mut Watching<ConfigMap>, time: Duration) -> (Vec<Event<ConfigMap>>, Vec<Cause>) {
        let (mut events, mut problems) = (Vec::new(), Vec::new());
        let end = Instant::now() + time;
        while let Ok(next) = tokio::time::timeout_at(end, watching.next()).await {
            match next {
                Ok(event) => events.push(event),
                Err(problem) => problems.push(problem.cause()),
            }
        }
        (events, problems)
    }

    fn broken() -> Vec<(&'static str, Answers, Cause)> {
        let later =
            |answers: Answers, ends_after: u64| Answers { ends_after: Duration::from_millis(ends_after), ..answers };
        let list = |status, body: &str| Answers { list: (status, body.to_owned()), ..Answers::default() };
        vec![
            ("an empty watch", watch(200, ""), Cause::Ended),
            ("an empty watch that ends after 100 ms", later(watch(200, ""), 100), Cause::Ended),
            ("an empty watch that ends after 9 s", later(watch(200, ""), 9000), Cause::Ended),
            ("a bookmark at once", watch(200, BOOKMARK), Cause::Ended),
            ("a bookmark, and the end after 100 ms", later(watch(200, BOOKMARK), 100), Cause::Ended),
            ("half an event", watch(200, &EVENT[..30]), Cause::Ended),
            ("garbage", watch(200, "<html>"), Cause::Decode),
            ("much garbage", watch(200, &"<html>\n".repeat(1000)), Cause::Decode),
            ("an event that is a string", watch(200, "\"event\""), Cause::Decode),
            ("an error event", watch(200, &error_event(500)), Cause::Unavailable),
            ("many error events", watch(200, &format!("{}\n", error_event(500)).repeat(1000)), Cause::Unavailable),
            ("an error event that requires a list", watch(200, &error_event(410)), Cause::Gone),
            ("an error event with an unknown code", watch(200, &error_event(0)), Cause::Other),
            ("a status instead of events", watch(200, &failure(500, "no")), Cause::Unavailable),
            ("a refused watch that requires a list", watch(410, &failure(410, "expired")), Cause::Gone),
            ("a resource version of the future", watch(504, &failure(504, "Too large resource version")), Cause::Ahead),
            ("a list without a body", list(200, ""), Cause::Decode),
            ("a list of garbage", list(200, "<html>"), Cause::Decode),
            ("a list without a resource version", list(200, r#"{"metadata":{},"items":[]}"#), Cause::Decode),
            ("a list that is refused", list(403, &failure(403, "no")), Cause::Forbidden),
        ]
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_ends_or_fails_at_once_is_repeated_ever_more_slowly_and_is_no_contact() {
        for (what, answers, cause) in broken() {
            let start = Instant::now();
            let (server, mut watching) = Server::start(&answers);
            let (_, problems) = watch_for(&mut watching, MINUTES).await;

            let (lists, watches) = server.within(start, Duration::from_secs(3));
            assert!(lists + watches <= 8, "{what}: {lists} lists, {watches} watches in 3 s");
            let (lists, watches) = server.within(start, MINUTES);
            assert!(lists + watches <= 80, "{what}: {lists} lists, {watches} watches in 10 minutes");
            assert!(lists >= 8, "{what}: {lists} lists in 10 minutes, which is what shows changes");
            assert!(problems.len() <= 40 && problems.iter().all(|one| *one == cause), "{what}: {problems:?}");
            assert_eq!(server.contacts.load(Ordering::Relaxed), 0, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn events_arrive_after_the_fault() {
        for (what, answers, _) in broken() {
            let (server, mut watching) = Server::start(&answers);
            watch_for(&mut watching, MINUTES).await;
            server.set(&Answers { ends_after: Duration::from_secs(60), ..watch(200, EVENT) });
            // The last broken watch is still open. The pause after it is at most a minute.
            let (events, _) = watch_for(&mut watching, answers.ends_after + Duration::from_secs(65)).await;
            assert!(events.iter().any(|event| matches!(event, Event::Apply(_))), "{what}: {events:?}");
            assert!(server.contacts.load(Ordering::Relaxed) > 0, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_watch_is_contact_and_follows_the_last_one_at_once() {
        for body in ["", BOOKMARK] {
            let minute = Duration::from_secs(60);
            let start = Instant::now();
            let (server, mut watching) = Server::start(&Answers {
                sends_after: Duration::from_secs(58),
                ends_after: minute,
                ..watch(200, body)
            });
            let (_, problems) = watch_for(&mut watching, MINUTES).await;
            assert!(problems.is_empty(), "{problems:?}");
            let (lists, watches) = server.within(start, MINUTES);
            assert_eq!(lists, 1);
            assert!((10..=11).contains(&watches), "{watches}");
            assert!(server.contacts.load(Ordering::Relaxed) >= 9);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_begins_and_says_nothing_is_no_contact() {
        let (server, mut watching) = Server::start(&Answers { ends_after: MINUTES, ..watch(200, "") });
        watch_for(&mut watching, MINUTES).await;
        assert_eq!(server.contacts.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_is_cut_every_few_seconds_goes_on_without_lists_and_long_pauses() {
        let start = Instant::now();
        let answers = Answers { ends_after: Duration::from_secs(5), ..watch(200, EVENT) };
        let (server, mut watching) = Server::start(&answers);
        watch_for(&mut watching, MINUTES).await;
        let (lists, watches) = server.within(start, MINUTES);
        assert_eq!(lists, 1);
        assert!((85..=110).contains(&watches), "{watches}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_list_on_request_starts_at_once() {
        let (server, mut watching) = Server::start(&Answers { ends_after: MINUTES, ..watch(200, EVENT) });
        watch_for(&mut watching, Duration::from_secs(20)).await;
        let start = Instant::now();
        watching.list_at_once();
        watch_for(&mut watching, Duration::from_millis(1)).await;
        assert_eq!(server.lists.lock().unwrap().iter().filter(|at| **at >= start).count(), 1);
    }
}
