//! The records that wait: bounded in number and in bytes.

use std::{
    collections::{BTreeSet, VecDeque},
    future::pending,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use audit::Event;
use serde_json::value::RawValue;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use crate::{Counts, Dropped};

/// The most records of a batch.
const BATCH_RECORDS: usize = 100;
/// The most bytes of a batch. The service takes 4 MiB.
const BATCH_BYTES: usize = 1024 * 1024;
/// The most namespaces of a batch, for each of which the service asks for a right.
const BATCH_NAMESPACES: usize = 16;
/// The most bytes of a record, whose parts have limits of their own in the service.
const RECORD_BYTES: usize = 256 * 1024;

/// Records that were lost and that no record tells of yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub records: u64,
    /// How long ago the first one was lost.
    pub since: Duration,
}

/// A record that waits.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) json: Box<RawValue>,
    namespace: Box<str>,
}

impl Item {
    /// None if the record is larger than any that is accepted.
    pub(crate) fn new(event: &Event) -> Option<Self> {
        let json = serde_json::value::to_raw_value(event).ok().filter(|json| json.get().len() <= RECORD_BYTES)?;
        Some(Self { json, namespace: event.namespace.as_str().into() })
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    fn bytes(&self) -> usize {
        self.json.get().len() + self.namespace.len() + size_of::<Self>()
    }
}

/// The queue between the program and the task that sends.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    most_records: usize,
    most_bytes: usize,
    changed: Notify,
    /// Until when the records that wait may be sent, once the program ends.
    closing: watch::Sender<Option<Instant>>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Waiting {
    items: VecDeque<Item>,
    bytes: usize,
    /// Since when the first one has waited.
    since: Option<Instant>,
    lost: u64,
    lost_since: Option<Instant>,
}

impl Queue {
    pub(crate) fn new(most_records: usize, most_bytes: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            most_records,
            most_bytes,
            changed: Notify::new(),
            closing: watch::Sender::new(None),
            counts: Counts::default(),
        }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Adds a record, or drops it.
    pub(crate) fn push(&self, event: &Event) -> Result<(), Dropped> {
        // Before the record is written, so that a full queue costs next to nothing.
        if self.closing.borrow().is_some() {
            return Err(self.drop_one(Dropped::Shutdown));
        }
        if self.len() >= self.most_records {
            return Err(self.drop_one(Dropped::QueueFull));
        }
        let Some(item) = Item::new(event) else { return Err(self.drop_one(Dropped::Invalid)) };
        let mut waiting = self.lock();
        if waiting.items.len() >= self.most_records || waiting.bytes + item.bytes() > self.most_bytes {
            drop(waiting);
            return Err(self.drop_one(Dropped::QueueFull));
        }
        waiting.bytes += item.bytes();
        waiting.since.get_or_insert_with(Instant::now);
        waiting.items.push_back(item);
        let wakes = waiting.items.len() == 1 || waiting.items.len() >= BATCH_RECORDS || waiting.bytes >= BATCH_BYTES;
        drop(waiting);
        if wakes {
            self.changed.notify_one();
        }
        Ok(())
    }

    fn drop_one(&self, why: Dropped) -> Dropped {
        self.dropped(why, 1);
        why
    }

    /// Counts records that were dropped.
    pub(crate) fn dropped(&self, why: Dropped, records: usize) {
        self.counts.add_dropped(why, records);
        let mut waiting = self.lock();
        waiting.lost += records as u64;
        waiting.lost_since.get_or_insert_with(Instant::now);
    }

    /// The records that were lost since the last call, if any were.
    pub(crate) fn take_lost(&self) -> Option<Lost> {
        let mut waiting = self.lock();
        let records = std::mem::take(&mut waiting.lost);
        let since = waiting.lost_since.take().map(|at| at.elapsed()).unwrap_or_default();
        (records > 0).then_some(Lost { records, since })
    }

    /// Closes the queue. The records that wait may be sent until then.
    pub(crate) fn close(&self, until: Instant) {
        self.closing.send_replace(Some(until));
        self.changed.notify_one();
    }

    /// Until when records may be sent; none while the program runs.
    pub(crate) fn closes(&self) -> Option<Instant> {
        *self.closing.borrow()
    }

    /// Returns when the program begins to end.
    pub(crate) async fn closed(&self) {
        // The sender is part of `self`, so this ends only with the value.
        drop(self.closing.subscribe().wait_for(Option::is_some).await);
    }

    /// Returns when nothing may be sent any more.
    pub(crate) async fn over(&self) {
        self.closed().await;
        match self.closes() {
            Some(until) => sleep_until(until).await,
            None => pending().await,
        }
    }

    /// The next batch, as soon as it is full or its first record has waited that long; none after the last one.
    pub(crate) async fn next_batch(&self, collect: Duration) -> Option<Vec<Item>> {
        loop {
            let changed = self.changed.notified();
            let due = {
                let waiting = self.lock();
                let closed = self.closes().is_some();
                match waiting.since {
                    None if closed => return None,
                    None => None,
                    Some(_) if closed || waiting.is_full_batch() => Some(Instant::now()),
                    Some(since) => Some(since + collect),
                }
            };
            match due {
                None => changed.await,
                Some(due) if due <= Instant::now() => return Some(self.lock().take_batch()),
                Some(due) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(due) => {}
                },
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A panic elsewhere leaves the queue as it was before or after one of these short steps.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_full_batch(&self) -> bool {
        self.items.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }

    fn take_batch(&mut self) -> Vec<Item> {
        let (mut batch, mut bytes, mut namespaces) = (Vec::new(), 0, BTreeSet::new());
        while let Some(item) = self.items.front() {
            let fits = bytes + item.bytes() <= BATCH_BYTES || batch.is_empty();
            let known = namespaces.contains(&item.namespace);
            if batch.len() >= BATCH_RECORDS || !fits || !(known || namespaces.len() < BATCH_NAMESPACES) {
                break;
            }
            let Some(item) = self.items.pop_front() else { break };
            bytes += item.bytes();
            namespaces.insert(item.namespace.clone());
            batch.push(item);
        }
        self.bytes -= bytes;
        // What is left has waited for the same time at most, and is sent next.
        self.since = self.since.filter(|_| !self.items.is_empty());
        batch
    }
}
