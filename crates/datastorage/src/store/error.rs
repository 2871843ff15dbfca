//! Why the database gave no answer.

use std::time::Duration;

use tokio_postgres::error::SqlState;

/// Why the database gave no answer. The API turns it into a problem without details of the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no connection, or the pool had none free in time. Asking again later can help.
    #[error("the database is not available: {reason}")]
    Unavailable {
        /// What failed, for the log.
        reason: String,
        /// When to ask again.
        retry_after: Duration,
    },
    /// There is no connection, as for all who ask until an attempt succeeds. The log has the reason already.
    #[error("the database is not available: {reason}")]
    Away {
        /// What failed.
        reason: String,
        /// When the next attempt is due.
        retry_after: Duration,
    },
    /// The statement took longer than it may.
    #[error("the statement took longer than the limit")]
    Timeout,
    /// The database refused the statement. This is a fault of the program or of the database.
    #[error("the database rejected a statement: {}", describe(.0))]
    // Not a source: what the server adds in its detail contains values of the record, and would be logged.
    Database(tokio_postgres::Error),
}

impl StoreError {
    /// The database cannot be used now.
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), retry_after: Duration::from_secs(1) }
    }

    /// Whether this is one of many errors of an outage, which the log has told.
    pub fn is_told(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// The code of the error in the database, if it comes from there.
    pub(crate) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Database(error) => error.code(),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            // A lock that is not free in time is no less slow than a statement.
            Some(code) if [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE].contains(code) => Self::Timeout,
            Some(code) if may_pass(code) => Self::unavailable(describe(&error)),
            None if lost(&error) => Self::unavailable(describe(&error)),
            _ => Self::Database(error),
        }
    }
}

/// Errors of the state that the database is in, rather than of a statement.
fn may_pass(code: &SqlState) -> bool {
    // 08: connection. 53: out of memory, disk or connections. 57P: the server stops or starts. 58: input and output.
    // 40: the transaction lost against another one. 25006: a standby. 25P03: the session was idle in its transaction.
    // 28: the password is being changed.
    let class = code.code().get(..2).unwrap_or_default();
    matches!(class, "08" | "28" | "40" | "53" | "58")
        || code.code().starts_with("57P")
        || matches!(code.code(), "25006" | "25P03")
}

/// Whether the connection is gone, so that the database said nothing about the statement.
fn lost(error: &tokio_postgres::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<std::io::Error>() {
            return true;
        }
        source = cause.source();
    }
    error.is_closed()
}

/// The error with what the server said. It contains no values of a record: those are in the server's detail, which is left
/// out.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} ({})", said.message(), said.code().code());
    }
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
