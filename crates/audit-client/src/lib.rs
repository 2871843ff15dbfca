//! Sends audit records to Data Storage without delaying the program.
//!
//! ```text
//!   Client::try_send ──► queue, bounded in records and bytes ──► Sender: batches ──► POST /api/v1/audit/events/batch
//!                          full: dropped and counted                 retries with the same ids
//! ```
//!
//! Records are sent on a best-effort basis. A record is lost if the queue is full, or if the program ends before it is
//! sent. [`Client::counts`] counts lost records, and after a loss, the next batch starts with a record that contains
//! their number. Data Storage stores a sent record exactly once, because every attempt has the same ids.

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

/// Creates a client and the task that sends its records.
///
/// Fails if the configuration is invalid, for example an `https` URL without a CA file. It does not read files or open
/// connections yet, because they may become available later, and the program must start without them.
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

    /// The numbers of records, by result.
    pub fn counts(&self) -> &Counts {
        self.0.counts()
    }

    /// How many records wait.
    pub fn queued(&self) -> usize {
        self.0.len()
    }

    /// Accepts no more records. The [`Sender`] sends the waiting records until this time.
    pub fn close(&self, until: Instant) {
        self.0.close(until);
    }
}
