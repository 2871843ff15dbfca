//! The numbers of records, by result.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a record was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// As many records or bytes wait as the queue holds.
    #[error("the queue is full")]
    QueueFull,
    /// The service cannot accept the record, whenever it is sent: it breaks a rule, is too large, or its id belongs to
    /// another record.
    #[error("the record is invalid")]
    Invalid,
    /// The service does not let this identity write the record.
    #[error("the record is refused")]
    Refused,
    /// The program ended before the record was sent.
    #[error("the program is stopping")]
    Shutdown,
}

impl Dropped {
    /// All reasons.
    pub const ALL: [Dropped; 4] = [Dropped::QueueFull, Dropped::Invalid, Dropped::Refused, Dropped::Shutdown];

    /// The word for labels of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Counters since the program started.
#[derive(Debug, Default)]
pub struct Counts {
    sent: AtomicU64,
    retries: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
}

impl Counts {
    /// Records that the service has stored.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Requests that were made again.
    pub fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    /// Records that were dropped for a reason.
    pub fn dropped(&self, why: Dropped) -> u64 {
        self.dropped[why as usize].load(Relaxed)
    }

    pub(crate) fn add_sent(&self, records: usize) {
        self.sent.fetch_add(records as u64, Relaxed);
    }

    pub(crate) fn add_retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    pub(crate) fn add_dropped(&self, why: Dropped, records: usize) {
        self.dropped[why as usize].fetch_add(records as u64, Relaxed);
    }
}
