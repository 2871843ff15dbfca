//! The task that writes: one connection, one transaction after the other.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use audit::{FieldError, Reason, chain::Hash};
use jiff::Timestamp;
use tokio::{
    sync::{
        Notify,
        mpsc::{self, error::TryRecvError},
    },
    time::timeout,
};
use tokio_postgres::error::SqlState;

use super::{
    Outcome, Position, Request, Settings, WriteError,
    group::{Group, refusal},
};
use crate::store::{
    Store, StoreError,
    chain::Head,
    connect::Purpose,
    partitions::{self, Month},
    write::{Ended, NewRow, WriteConnection},
};

/// The most records of one transaction, unless one request has more.
const GROUP: usize = 256;
/// How long a group waits for requests that probably come.
const GATHER: Duration = Duration::from_micros(300);
/// How often a group is tried before its requests get an error.
const ATTEMPTS: u32 = 4;
/// How long undoing a transaction may take.
const ROLLBACK: Duration = Duration::from_secs(1);
/// For so many groups after a record that was there already, the ids are asked for before the insert.
const CAREFUL: u32 = 64;

/// See [`super::Writer`].
pub(super) struct Task {
    store: Store,
    settings: Settings,
    jobs: Arc<Notify>,
    connected: Arc<AtomicBool>,
    connection: Option<WriteConnection>,
    /// The connection was made when vectors could be used.
    with_vectors: bool,
    months: HashSet<Month>,
    careful: u32,
    /// How many requests the last group had.
    expected: usize,
}

/// How an attempt to write a group ended.
enum Attempt {
    /// All records are decided and durable.
    Done,
    /// Try again, and ask for the ids first.
    Again,
    /// Try again, and find the record that the database refuses.
    Bisect,
    /// It makes no sense to try again now.
    Failed(StoreError),
}

/// How the next attempt proceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Insert at once. An id that is there already makes the transaction fail.
    Straight,
    /// Ask for the ids first.
    Careful,
    /// Ask for the ids, then insert in halves until the record that is refused stands alone.
    Bisect,
}

impl Task {
    pub(super) fn new(store: Store, settings: Settings, jobs: Arc<Notify>, connected: Arc<AtomicBool>) -> Self {
        Self {
            store,
            settings,
            jobs,
            connected,
            connection: None,
            with_vectors: false,
            months: HashSet::new(),
            careful: 0,
            expected: 0,
        }
    }

    /// Writes what comes until `stop`, and then what still waits.
    pub(super) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>, stop: Arc<Notify>) {
        let mut left = None;
        loop {
            let next = if left.is_some() { left.take() } else { Self::next(&mut requests, &stop).await };
            let Some(request) = next else { return };
            let taken;
            (taken, left) = self.gather(request, &mut requests).await;
            self.expected = taken.len();
            self.write(Group::new(taken)).await;
            self.connected.store(self.connection.is_some(), Ordering::Release);
        }
    }

    /// All requests that wait, and one that is left if it does not fit in.
    ///
    /// Clients that wait for their answers before they send again come together: all that were in the last group. The first of
    /// them would be written alone, and the others would wait for it.
    async fn gather(
        &self,
        first: Request,
        requests: &mut mpsc::UnboundedReceiver<Request>,
    ) -> (Vec<Request>, Option<Request>) {
        let started = Instant::now();
        let mut count = first.items.len();
        let mut taken = vec![first];
        while count < GROUP {
            match requests.try_recv() {
                Ok(next) if count + next.items.len() > GROUP => return (taken, Some(next)),
                Ok(next) => {
                    count += next.items.len();
                    taken.push(next);
                }
                // Timers are too coarse for this.
                Err(TryRecvError::Empty) if taken.len() < self.expected && started.elapsed() < GATHER => {
                    tokio::task::yield_now().await;
                }
                Err(_) => break,
            }
        }
        (taken, None)
    }

    /// The next request; none after `stop` when the queue is empty.
    async fn next(requests: &mut mpsc::UnboundedReceiver<Request>, stop: &Notify) -> Option<Request> {
        loop {
            tokio::select! {
                next = requests.recv() => return next,
                () = stop.notified() => requests.close(),
            }
        }
    }

    /// Writes a group and answers its requests.
    async fn write(&mut self, mut group: Group) {
        let started = Instant::now();
        let mut way = if self.careful > 0 { Way::Careful } else { Way::Straight };
        self.careful = self.careful.saturating_sub(1);
        for _ in 0..ATTEMPTS {
            match self.attempt(&mut group, way).await {
                Attempt::Done => {
                    self.settings.metrics.write_batch_size(u32::try_from(group.len()).unwrap_or(u32::MAX));
                    return group.answer();
                }
                // The time of all who waited is up.
                Attempt::Again | Attempt::Bisect if started.elapsed() > self.settings.timeout => {
                    tracing::warn!(
                        records = group.len(),
                        "a write reached its timeout; it is unknown whether the records are stored"
                    );
                    return group.fail(&WriteError::Timeout);
                }
                Attempt::Again => way = Way::Careful,
                Attempt::Bisect => way = Way::Bisect,
                Attempt::Failed(error) => {
                    if !error.is_told() {
                        tracing::warn!(records = group.len(), "did not store records: {error}");
                    }
                    return group.fail(&error.into());
                }
            }
        }
        tracing::warn!(records = group.len(), "cannot find out whether records were stored");
        group.fail(&StoreError::unavailable("the result of the write is unknown").into());
    }

    async fn attempt(&mut self, group: &mut Group, way: Way) -> Attempt {
        let connection = match self.connect().await {
            Ok(connection) => connection,
            Err(error) => return Attempt::Failed(error),
        };
        let result = timeout(self.settings.timeout, async {
            self.make_months(&connection, group).await?;
            self.transaction(&connection, group, way).await
        });
        let error = match result.await {
            Ok(Ok(attempt)) => {
                self.connection = Some(connection);
                return attempt;
            }
            Ok(Err(error)) => error,
            // Whether the COMMIT is on its way is not known. It is not cancelled.
            Err(_) => {
                connection.abandon();
                return Attempt::Again;
            }
        };
        if connection.is_closed() {
            // Nothing was committed, and a new session may do better.
            return Attempt::Again;
        }
        match timeout(ROLLBACK, connection.rollback()).await {
            Ok(Ok(())) => self.connection = Some(connection),
            _ => connection.abandon(),
        }
        Attempt::Failed(error)
    }

    /// One transaction. An error means that nothing of it was committed.
    async fn transaction(
        &mut self,
        connection: &WriteConnection,
        group: &mut Group,
        way: Way,
    ) -> Result<Attempt, StoreError> {
        let open = group.open();
        let ids = if way == Way::Straight { Vec::new() } else { group.ids(&open) };
        let (head, now, known) = connection.begin(&ids).await?;
        let mut outcomes = group.found(&known);
        if !outcomes.is_empty() {
            self.careful = CAREFUL;
        }
        let there: HashSet<usize> = outcomes.iter().map(|(index, _)| *index).collect();
        let mut fresh: Vec<usize> = open.into_iter().filter(|index| !there.contains(index)).collect();
        if way == Way::Bisect {
            let refused = self.insert_in_parts(connection, group, &mut fresh, head, now).await?;
            outcomes.extend(refused);
        }

        let positions: Vec<(usize, Position)> =
            fresh.iter().zip(head.seq + 1..).map(|(index, seq)| (*index, Position { seq, recorded_at: now })).collect();
        group.attempting(&positions);
        let rows = group.link(&fresh, &mut head.clone(), &self.settings.keys, now)?;
        let ended = match way {
            Way::Bisect => connection.commit(&rows, now).await,
            Way::Straight | Way::Careful => connection.insert_and_commit(&rows, now).await,
        };
        match ended {
            Ended::Committed(without_vector) => {
                self.count(&rows, &without_vector);
                outcomes.extend(positions.iter().map(|(index, position)| (*index, Outcome::Created(*position))));
                for (index, outcome) in outcomes {
                    group.decide(index, outcome);
                }
                Ok(Attempt::Done)
            }
            Ended::RolledBack(error) if way == Way::Straight && error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                // An id is there already. The commit was not obeyed, so the transaction still stands.
                self.careful = CAREFUL;
                connection.rollback().await?;
                Ok(Attempt::Again)
            }
            Ended::RolledBack(error) if way != Way::Bisect && is_refusal(&error) => {
                // A month may have been dropped.
                self.months.clear();
                connection.rollback().await?;
                Ok(Attempt::Bisect)
            }
            Ended::RolledBack(error) => Err(error),
            Ended::Unknown(reason) => {
                tracing::warn!(records = rows.len(), "the result of a write is unknown, looking up the ids: {reason}");
                Ok(Attempt::Again)
            }
        }
    }

    /// Inserts records in halves, until those that the database refuses stand alone. They are taken out of `fresh`.
    async fn insert_in_parts(
        &self,
        connection: &WriteConnection,
        group: &Group,
        fresh: &mut Vec<usize>,
        mut head: Head,
        now: Timestamp,
    ) -> Result<Vec<(usize, Outcome)>, StoreError> {
        let all = std::mem::take(fresh);
        let mut refused = Vec::new();
        let mut parts = vec![all.as_slice()];
        // From left to right: the place of a record in the chain depends on which of those before it are kept.
        while let Some(part) = parts.pop() {
            let mut next = head;
            let rows = group.link(part, &mut next, &self.settings.keys, now)?;
            connection.savepoint().await?;
            match (connection.insert(&rows, now).await, part) {
                (Ok(()), _) => {
                    connection.release().await?;
                    fresh.extend(part);
                    head = next;
                }
                (Err(error), _) if !is_refusal(&error) => return Err(error),
                (Err(error), [index]) => {
                    connection.rollback_to_savepoint().await?;
                    refused.push((*index, Outcome::Invalid(refusal(&error))));
                }
                (Err(_), _) => {
                    connection.rollback_to_savepoint().await?;
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.extend([right, left]);
                }
            }
        }
        Ok(refused)
    }

    /// Makes the months that the records need, each in a transaction of its own.
    async fn make_months(&mut self, connection: &WriteConnection, group: &mut Group) -> Result<(), StoreError> {
        for index in group.open() {
            let Some((month, time)) = group.item(index).map(|item| (item.month(), item.id_time)) else { continue };
            if self.months.contains(&month) {
                continue;
            }
            if partitions::ensure(connection.client(), time).await? {
                self.months.insert(month);
            } else {
                let error =
                    FieldError::new("event_id", Reason::Invalid, "the time of the id is older than --retention");
                group.decide(index, Outcome::Invalid(error));
            }
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<WriteConnection, StoreError> {
        let with_vectors = self.store.has_vectors();
        if let Some(connection) = self.connection.take()
            && !connection.is_closed()
            && self.with_vectors == with_vectors
        {
            return Ok(connection);
        }
        self.with_vectors = with_vectors;
        WriteConnection::open(&self.store, Purpose::Write, self.settings.embedding.is_some()).await
    }

    /// Counts records that are durable.
    fn count(&self, rows: &[NewRow<'_>], without_vector: &[Hash]) {
        let metrics = &self.settings.metrics;
        if let Some(last) = rows.last() {
            metrics.chain_seq(last.link.seq);
        }
        let Some(embeddings) = &self.settings.embedding else { return };
        let texts = || rows.iter().filter_map(|row| row.text);
        if self.with_vectors {
            // The table of texts is the cache that all replicas share.
            let with_vector = texts().filter(|text| !without_vector.contains(&text.hash)).count() as u64;
            metrics.dualwrite_success(with_vector);
            metrics.cache(with_vector, 0);
        }
        if !(self.with_vectors && embeddings.available()) {
            metrics.fallback_mode(texts().count() as u64);
        }
        if !without_vector.is_empty() {
            self.jobs.notify_one();
        }
    }
}

/// Whether the database refuses the content of a record: SQLSTATE classes 22 (data) and 23 (integrity).
fn is_refusal(error: &StoreError) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("22") || code.code().starts_with("23"))
}
