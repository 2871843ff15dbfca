//! Sends what waits, until the service has decided about it.

use std::{fmt, sync::Arc, time::Duration};

use audit::Event;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::{
    Dropped, Lost, Timing,
    answer::{self, Answer, Outcome, Rejection},
    connection::Connection,
    queue::{Item, Queue},
};

/// The task that sends. It ends after [`crate::Client::close`].
pub struct Sender {
    queue: Arc<Queue>,
    connection: Connection,
    timing: Timing,
    lost_record: Box<dyn Fn(&Lost) -> Event + Send + Sync>,
    /// Whether the last request failed. Only a change is logged.
    failing: bool,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("endpoint", self.connection.endpoint()).finish_non_exhaustive()
    }
}

/// The body of a request.
#[derive(Serialize)]
struct Batch<'a> {
    events: Vec<&'a RawValue>,
}

/// How sending a batch ended.
enum End {
    Decided(Vec<Outcome>),
    Rejected(Rejection),
    /// The program ends.
    Over,
}

/// The two parts in which a batch is sent that was not taken as a whole, in the same order: without a right for a
/// namespace, the records of the first one and the others; otherwise halves. If it cannot be divided, how many records
/// it has.
fn parts(mut batch: Vec<Item>, why: Rejection) -> Result<(Vec<Item>, Vec<Item>), usize> {
    let records = batch.len();
    let (first, rest) = match why {
        Rejection::Invalid => {
            let rest = batch.split_off(records.div_ceil(2));
            (batch, rest)
        }
        Rejection::Forbidden => {
            let namespace = batch.first().map(|item| item.namespace().to_owned());
            batch.into_iter().partition(|item| Some(item.namespace()) == namespace.as_deref())
        }
    };
    if rest.is_empty() { Err(records) } else { Ok((first, rest)) }
}

impl Sender {
    pub(crate) fn new(
        queue: Arc<Queue>,
        connection: Connection,
        timing: Timing,
        lost_record: Box<dyn Fn(&Lost) -> Event + Send + Sync>,
    ) -> Self {
        Self { queue, connection, timing, lost_record, failing: false }
    }

    /// Sends until the queue is closed and empty, or until the time for that is over.
    pub async fn run(mut self) {
        while let Some(mut batch) = self.queue.next_batch(self.timing.collect).await {
            // The service decided about the batch before, so it can be told now.
            let record = self.queue.take_lost().and_then(|lost| Item::new(&(self.lost_record)(&lost)));
            let told = usize::from(record.is_some());
            batch.splice(0..0, record);
            self.deliver(batch, told).await;
        }
        let lost = self.queue.counts().dropped(Dropped::Shutdown);
        if lost > 0 {
            warn!(records = lost, "could not send all audit records before the program stopped; the records are lost");
        }
    }

    /// Sends a batch. If the service does not take it as a whole, its parts are sent, so that one record that nobody
    /// takes does not take others along. The first `told` of them tell of lost records, and are not counted themselves.
    async fn deliver(&mut self, batch: Vec<Item>, told: usize) {
        let mut pieces = vec![(batch, told)];
        while let Some((piece, told)) = pieces.pop() {
            match self.send(&piece).await {
                End::Decided(outcomes) => self.count(&outcomes[told.min(outcomes.len())..]),
                End::Rejected(why) => match parts(piece, why) {
                    Ok((first, rest)) => {
                        pieces.push((rest, told.saturating_sub(first.len())));
                        pieces.push((first, told));
                    }
                    Err(records) => self.not_taken(why.as_dropped(), records - told),
                },
                End::Over => {
                    let unsent = pieces.iter().map(|(piece, told)| piece.len() - told).sum::<usize>();
                    self.queue.dropped(Dropped::Shutdown, piece.len() - told + unsent);
                    return;
                }
            }
        }
    }

    fn count(&self, outcomes: &[Outcome]) {
        let of = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
        self.queue.counts().add_sent(of(Outcome::Stored));
        self.not_taken(Dropped::Invalid, of(Outcome::Invalid));
        self.not_taken(Dropped::Refused, of(Outcome::Refused));
    }

    fn not_taken(&self, why: Dropped, records: usize) {
        if records > 0 {
            warn!(records, reason = why.as_str(), "Data Storage rejected audit records; the records are lost");
            self.queue.dropped(why, records);
        }
    }

    /// Sends the same body until there is an answer that decides.
    async fn send(&mut self, items: &[Item]) -> End {
        let body = Batch { events: items.iter().map(|item| &*item.json).collect() };
        let body = Bytes::from(serde_json::to_vec(&body).unwrap_or_default());
        let mut pauses = ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(self.timing.first_pause)
            .with_max_delay(self.timing.longest_pause)
            .without_max_times()
            .build();
        loop {
            let queue = self.queue.clone();
            let wanted = tokio::select! {
                biased;
                () = queue.over() => return End::Over,
                answer = self.attempt(body.clone(), items.len()) => match answer {
                    Answer::Decided(outcomes) => return End::Decided(outcomes),
                    Answer::Rejected(why) => return End::Rejected(why),
                    Answer::Later(wanted) => wanted,
                },
            };
            let pause = pauses.next().unwrap_or(self.timing.longest_pause);
            let pause = wanted.unwrap_or_default().max(pause).min(self.timing.longest_pause);
            if self.pause(pause).await {
                return End::Over;
            }
            self.queue.counts().add_retry();
        }
    }

    async fn attempt(&mut self, body: Bytes, records: usize) -> Answer {
        let limit = self.timing.request;
        let failure = match timeout(limit, self.connection.post(body)).await {
            Ok(Ok(response)) => {
                let answer = answer::read(response.status, &response.headers, &response.body, records);
                if !matches!(answer, Answer::Later(_)) {
                    self.recovered();
                    return answer;
                }
                self.failed(&format_args!("the response has the status code {}", response.status.as_u16()));
                return answer;
            }
            Ok(Err(failure)) => failure.to_string(),
            Err(_elapsed) => format!("no response within {limit:?}"),
        };
        self.failed(&failure);
        Answer::Later(None)
    }

    /// Waits before the next attempt. When the program ends, pauses are short, because few attempts are left. Returns
    /// whether the time is over.
    async fn pause(&self, pause: Duration) -> bool {
        if self.queue.closes().is_none() {
            tokio::select! {
                () = sleep(pause) => {}
                () = self.queue.closed() => {}
            }
            return false;
        }
        tokio::select! {
            () = sleep(pause.min(self.timing.first_pause / 2)) => false,
            () = self.queue.over() => true,
        }
    }

    fn failed(&mut self, why: &dyn fmt::Display) {
        if !std::mem::replace(&mut self.failing, true) {
            warn!(endpoint = %self.connection.endpoint(), reason = %why, "cannot send audit records, trying again");
        }
    }

    fn recovered(&mut self) {
        if std::mem::replace(&mut self.failing, false) {
            info!(endpoint = %self.connection.endpoint(), "audit records are sent again");
        }
    }
}
