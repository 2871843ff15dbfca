//! The only way in: one task takes all waiting records and writes them in one transaction, with their sequence numbers and
//! the chain.

mod group;
mod item;
mod task;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use audit::{Accepted, FieldError};
use jiff::Timestamp;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
};

use self::item::Item;
use crate::{
    embeddings::Embeddings,
    metrics::{DualWriteFailure, Metrics, WriteStatus},
    store::{Store, StoreError},
};

/// The most records that wait.
const QUEUE_RECORDS: usize = 4096;
/// The most bytes that wait.
const QUEUE_BYTES: usize = 16 << 20;

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The record is durable.
    Created(Position),
    /// The same record was there already.
    Duplicate(Position),
    /// Another record with this id is there, or one of another identity.
    Conflict,
    /// The database refuses this record, for example because its month is too old.
    Invalid(FieldError),
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The number of the record in the order of recording, from 1, without holes.
    pub seq: i64,
    /// When the record was written, by the database's clock.
    pub recorded_at: Timestamp,
}

/// Why nothing of a request was written, or why it is not known. A retry with the same ids is safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The queue is full.
    #[error("the queue of writes is full")]
    Full {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The service cannot write to the database.
    #[error("cannot write to the database: {reason}")]
    Unavailable {
        /// What failed, for the log.
        reason: String,
        /// When to ask again.
        retry_after: Duration,
    },
    /// There is no connection to the database, as for all who write until an attempt succeeds. The log has the reason already.
    #[error("cannot write to the database: {reason}")]
    Away {
        /// What failed.
        reason: String,
        /// When the next attempt is due.
        retry_after: Duration,
    },
    /// The write took longer than it may, and its outcome is not known.
    #[error("the write took longer than the limit")]
    Timeout,
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { reason, retry_after } => Self::Unavailable { reason, retry_after },
            StoreError::Away { reason, retry_after } => Self::Away { reason, retry_after },
            StoreError::Timeout => Self::Timeout,
            error @ StoreError::Database(_) => {
                Self::Unavailable { reason: error.to_string(), retry_after: Duration::from_secs(1) }
            }
        }
    }
}

/// What the writer needs besides the database.
#[derive(Clone)]
pub struct Settings {
    /// The keys of the chain.
    pub keys: Arc<audit::chain::Keys>,
    /// The longest that a request waits.
    pub timeout: Duration,
    /// Vectors, if texts get an embedding job.
    pub embedding: Option<Embeddings>,
    /// Where the writer counts.
    pub metrics: Arc<Metrics>,
}

/// The handle of the writer. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    /// Whether the task had a connection when it was last used.
    connected: Arc<AtomicBool>,
    queue: mpsc::UnboundedSender<Request>,
    records: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    timeout: Duration,
    metrics: Arc<Metrics>,
    stop: Arc<Notify>,
    jobs: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What one call of [`Writer::write`] brings. Its room in the queue is free when it is answered.
struct Request {
    items: Vec<Item>,
    answer: oneshot::Sender<Result<Vec<Outcome>, WriteError>>,
    _room: [OwnedSemaphorePermit; 2],
}

impl Writer {
    /// Starts the task.
    pub fn start(store: Store, settings: Settings) -> Self {
        let (queue, requests) = mpsc::unbounded_channel();
        let (stop, jobs) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let records = Arc::new(Semaphore::new(QUEUE_RECORDS));
        let connected = Arc::default();
        let task = task::Task::new(store.clone(), settings.clone(), Arc::clone(&jobs), Arc::clone(&connected));
        let task = tokio::spawn(task.run(requests, Arc::clone(&stop)));
        Self {
            inner: Arc::new(Inner {
                store,
                connected,
                queue,
                records,
                bytes: Arc::new(Semaphore::new(QUEUE_BYTES)),
                timeout: settings.timeout,
                metrics: settings.metrics,
                stop,
                jobs,
                task: Mutex::new(Some(task)),
            }),
        }
    }

    /// Notified after each transaction that added embedding jobs.
    pub fn new_jobs(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.jobs)
    }

    /// Writes the records of one request and waits until they are durable. The outcomes have the order of `events`.
    ///
    /// A caller that goes away leaves its records in the queue: they are written.
    pub async fn write(&self, events: Vec<Accepted>, recorded_by: Arc<str>) -> Result<Vec<Outcome>, WriteError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let metrics = &self.inner.metrics;
        let kinds: Vec<_> = events.iter().map(|event| event.event().kind).collect();
        let started = Instant::now();
        let result = self.write_counted(events, recorded_by).await;
        let took = started.elapsed();
        let failure = match &result {
            Ok(_) => None,
            Err(WriteError::Timeout) => Some(DualWriteFailure::ContextCanceled),
            Err(_) => Some(DualWriteFailure::PostgresqlFailure),
        };
        for (index, kind) in kinds.iter().enumerate() {
            let outcome = result.as_ref().ok().and_then(|outcomes| outcomes.get(index));
            let status = match outcome {
                Some(Outcome::Created(_)) => WriteStatus::Success,
                Some(Outcome::Duplicate(_)) => WriteStatus::Duplicate,
                Some(Outcome::Conflict | Outcome::Invalid(_)) => WriteStatus::Refused,
                None => WriteStatus::Failure,
            };
            metrics.write(*kind, status);
            metrics.write_duration(*kind, took);
        }
        if let Some(reason) = failure {
            metrics.dualwrite_failure(reason, kinds.len() as u64);
        }
        result
    }

    async fn write_counted(&self, events: Vec<Accepted>, recorded_by: Arc<str>) -> Result<Vec<Outcome>, WriteError> {
        // Nobody waits in the queue for a database that is away.
        if !self.inner.connected.load(Ordering::Acquire)
            && let Some(error) = self.inner.store.refuse()
        {
            return Err(error.into());
        }
        let room = self.room(&events)?;
        let items = events.into_iter().map(|event| Item::new(event, Arc::clone(&recorded_by))).collect();
        let (answer, answered) = oneshot::channel();
        let stopped = || WriteError::Unavailable {
            reason: "the service is stopping".to_owned(),
            retry_after: Duration::from_secs(1),
        };
        self.inner.queue.send(Request { items, answer, _room: room }).map_err(|_| stopped())?;
        match tokio::time::timeout(self.inner.timeout, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(stopped()),
            Err(_) => Err(WriteError::Timeout),
        }
    }

    /// Room in the queue, if there is any. Nobody waits for it: who comes too late must know at once.
    fn room(&self, events: &[Accepted]) -> Result<[OwnedSemaphorePermit; 2], WriteError> {
        let bytes = events.iter().map(item::size).sum::<usize>().min(QUEUE_BYTES);
        let take =
            |of: &Arc<Semaphore>, many: usize| Arc::clone(of).try_acquire_many_owned(u32::try_from(many).ok()?).ok();
        let records = take(&self.inner.records, events.len());
        let bytes = take(&self.inner.bytes, bytes);
        let waiting = QUEUE_RECORDS - self.inner.records.available_permits();
        self.inner.metrics.write_queue_depth(i64::try_from(waiting).unwrap_or(i64::MAX));
        match (records, bytes) {
            (Some(records), Some(bytes)) => Ok([records, bytes]),
            _ => Err(WriteError::Full { retry_after: Duration::from_secs(1) }),
        }
    }

    /// Waits until the task takes no more records. Unless somebody called [`stop`](Self::stop), it has panicked, and all writes
    /// fail from now on.
    pub async fn ended(&self) {
        self.inner.queue.closed().await;
    }

    /// Takes no more records, writes those that wait, and ends the task.
    pub async fn stop(self) {
        self.inner.stop.notify_one();
        let task = self.inner.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // Ends with an error only if the task panicked, which is logged where it happens.
            drop(task.await);
        }
    }
}

#[cfg(test)]
mod tests {
    use audit::chain::Keys;

    use super::*;
    use crate::store::Tls;

    fn store() -> Store {
        let settings = crate::store::Settings {
            url: "postgresql://nobody@127.0.0.1:1/nothing".to_owned(),
            password_file: None,
            ca: None,
            tls: Tls::Disable,
            connections: 3,
            schema: "datastorage".to_owned(),
            query_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
        };
        Store::new(&settings).unwrap()
    }

    fn settings() -> Settings {
        Settings {
            keys: Arc::new(Keys::none()),
            timeout: Duration::from_secs(10),
            embedding: None,
            metrics: Arc::new(Metrics::new()),
        }
    }

    impl Writer {
        /// A writer that nobody gives a record.
        pub(crate) fn that_waits() -> Self {
            Self::start(store(), settings())
        }

        /// A writer whose task panics at once.
        pub(crate) fn that_panics() -> Self {
            let settings = settings();
            let (queue, requests) = mpsc::unbounded_channel();
            let task = tokio::spawn(async move {
                let _requests: mpsc::UnboundedReceiver<Request> = requests;
                panic!("as a fault in the task would");
            });
            let inner = Inner {
                store: store(),
                connected: Arc::default(),
                queue,
                records: Arc::new(Semaphore::new(QUEUE_RECORDS)),
                bytes: Arc::new(Semaphore::new(QUEUE_BYTES)),
                timeout: settings.timeout,
                metrics: settings.metrics,
                stop: Arc::default(),
                jobs: Arc::default(),
                task: Mutex::new(Some(task)),
            };
            Self { inner: Arc::new(inner) }
        }
    }

    #[tokio::test]
    async fn a_task_that_panics_is_noticed_and_every_write_fails() {
        let writer = Writer::that_waits();
        let still = tokio::time::timeout(Duration::from_millis(1), writer.ended()).await;
        assert!(still.is_err(), "the task runs");
        let writer = Writer::that_panics();
        tokio::time::timeout(Duration::from_secs(10), writer.ended()).await.unwrap();
        let event =
            audit::Event::new(audit::Kind::Execution, "a", "prod", audit::Phase::Completed, "restart_pod", "rr-1");
        let written = writer.write(vec![Accepted::system(event)], "somebody".into()).await;
        assert!(matches!(written, Err(WriteError::Unavailable { .. })), "{written:?}");
    }
}
