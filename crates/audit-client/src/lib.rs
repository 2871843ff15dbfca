//! Sends audit records to Data Storage without ever delaying the program that has something to record.
//!
//! ```text
//!   Client::try_send ──► queue, bounded in records and bytes ──► Sender: batches ──► POST /api/v1/audit/events/batch
//!                          full: dropped and counted                 retries with the same ids
//! ```
//!
//! This is best effort: what does not fit into the queue, and what could not be sent before the program ended, is lost.
//! Both are counted ([`Client::counts`]), and after a loss the next batch begins with a record that says how many were
//! lost. What was sent is in Data Storage exactly once, because every attempt has the same ids.

mod answer;
mod config;
mod connection;
mod counts;
mod queue;
mod sender;

use std::sync::Arc;

pub use audit::{Actor, Event, Kind, Phase, Status};
use tokio::time::Instant;

pub use crate::{
    config::{Config, ConfigError, Endpoint, Timing},
    counts::{Counts, Dropped},
    queue::Lost,
    sender::Sender,
};
use crate::{connection::Connection, queue::Queue};

/// Where the program leaves its records. Clones share one queue.
#[derive(Debug, Clone)]
pub struct Client(Arc<Queue>);

/// Makes a client and the task that sends what is left with it.
///
/// Fails if the configuration cannot work, for example an `https` URL without a CA file. It reads no file and connects to
/// nothing yet, because both may appear later, and neither must keep the program from starting.
pub fn new(config: Config) -> Result<(Client, Sender), ConfigError> {
    let queue = Arc::new(Queue::new(config.queue_records, config.queue_bytes));
    let connection = Connection::new(config.endpoint, config.token_file, config.ca_file)?;
    Ok((Client(queue.clone()), Sender::new(queue, connection, config.timing, config.lost_record)))
}

impl Client {
    /// Leaves a record. It never waits: the record is dropped and counted if the queue is full or closed, or if the
    /// record is too large to be accepted by anybody.
    pub fn try_send(&self, event: &Event) -> Result<(), Dropped> {
        self.0.push(event)
    }

    /// What became of the records.
    pub fn counts(&self) -> &Counts {
        self.0.counts()
    }

    /// How many records wait.
    pub fn queued(&self) -> usize {
        self.0.len()
    }

    /// Takes no more records and lets the [`Sender`] send those that wait, until then.
    pub fn close(&self, until: Instant) {
        self.0.close(until);
    }
}
