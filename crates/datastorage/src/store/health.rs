//! Whether the database can be written now.

use std::{
    sync::atomic::{AtomicI16, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use super::{
    Store, StoreError,
    chain::key_is_missing,
    connect::{Connection, Purpose},
};

/// Nobody has said with which key this program signs.
const UNKNOWN: i16 = -1;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(1);
/// How long the database may take to answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The last answer, and the connection for the next one. It is not of the pool: a pool that is used up does not mean that the
/// database is away.
pub(super) struct Health {
    state: Mutex<State>,
    /// The key of this program, and the one of the newest record as far as it was seen.
    keys: [AtomicI16; 2],
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    answer: Option<(Instant, Result<(), Refusal>)>,
}

/// Why the database could not be written when it was asked.
#[derive(Clone)]
struct Refusal {
    reason: String,
    retry_after: Duration,
    is_told: bool,
}

impl From<&StoreError> for Refusal {
    fn from(error: &StoreError) -> Self {
        let (reason, retry_after) = match error {
            StoreError::Unavailable { reason, retry_after } | StoreError::Away { reason, retry_after } => {
                (reason.clone(), *retry_after)
            }
            other => (other.to_string(), KEPT),
        };
        Self { reason, retry_after, is_told: error.is_told() }
    }
}

impl From<Refusal> for StoreError {
    fn from(Refusal { reason, retry_after, is_told }: Refusal) -> Self {
        if is_told { Self::Away { reason, retry_after } } else { Self::Unavailable { reason, retry_after } }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self { state: Mutex::default(), keys: [AtomicI16::new(UNKNOWN), AtomicI16::new(0)] }
    }
}

impl Store {
    /// Notes down the key with which this program signs, for [`cannot_write`](Self::cannot_write).
    pub fn writes_with(&self, key_id: i16) {
        self.health.keys[0].store(key_id, Ordering::Release);
    }

    /// Why this program cannot write although the database can be written, as far as the last [`ready`](Self::ready) has seen:
    /// another replica has begun to sign with a key that this one does not have.
    pub fn cannot_write(&self) -> Option<String> {
        let [own, head] = [0, 1].map(|index| self.health.keys[index].load(Ordering::Acquire));
        (own > UNKNOWN && head > own).then(|| key_is_missing(head))
    }

    /// Whether the database can be written. It is asked for at most a second, and the answer is kept for a second.
    pub async fn ready(&self) -> Result<(), StoreError> {
        // Whoever comes while the database is asked gets the same answer.
        let mut state = self.health.state.lock().await;
        if let Some((at, answer)) = &state.answer
            && at.elapsed() < KEPT
        {
            return answer.clone().map_err(Refusal::into);
        }
        let answer = tokio::time::timeout(TIMEOUT, self.ask(&mut state.connection)).await.unwrap_or_else(|_| {
            let outage = self.connector.gate.outage();
            Err(outage.unwrap_or_else(|| StoreError::unavailable("no answer within a second")))
        });
        if answer.is_err()
            && let Some(connection) = state.connection.take()
        {
            connection.abandon();
        }
        state.answer = Some((Instant::now(), answer.as_ref().map(|&()| ()).map_err(Refusal::from)));
        answer
    }

    async fn ask(&self, connection: &mut Option<Connection>) -> Result<(), StoreError> {
        if connection.as_ref().is_none_or(|connection| connection.is_closed()) {
            // Not before its time for the gate: it comes at most once a second, and ends an outage when the database is back.
            *connection = Some(self.connector.connect(Purpose::Health).await?);
        }
        let Some(connection) = connection else { return Ok(()) };
        let own = self.health.keys[0].load(Ordering::Acquire);
        // Before the program knows that there is a schema, it does not ask for the head.
        let head =
            if own > UNKNOWN { "(SELECT chain_key FROM chain_head ORDER BY seq DESC LIMIT 1)" } else { "0::smallint" };
        let sql = format!("SELECT current_setting('transaction_read_only') = 'on', {head}");
        let row = connection.query_one(&sql, &[]).await?;
        self.health.keys[1].store(row.try_get(1)?, Ordering::Release);
        if row.get(0) {
            return Err(StoreError::unavailable("the database is read-only"));
        }
        Ok(())
    }
}
