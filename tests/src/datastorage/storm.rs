//! Many clients that write while things break, and the checks of what is there afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{ApiClient, Database, Event, Written, events};
use crate::random::Random;

/// How long a client tries to write a record. Everything that breaks is repaired sooner.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause of a client before it tries again.
const PAUSE: Duration = Duration::from_millis(20);
/// One of so many records is sent once only, as by a client that dies.
const GIVEN_UP: usize = 20;
/// The records of a batch. Every fourth client writes in batches.
const BATCH: usize = 8;

/// Clients that write at the same time.
#[derive(Clone, Debug)]
pub struct Storm {
    /// How many clients there are.
    pub clients: usize,
    /// How many records they write, together.
    pub records: usize,
    /// The seed of what they write.
    pub seed: u64,
}

/// What the clients know at the end.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The records that a service has acknowledged, with their answers.
    acknowledged: BTreeMap<String, (Event, i64)>,
    /// The records that were sent and never acknowledged.
    unknown: BTreeMap<String, Event>,
    /// How often a client has tried again.
    pub retries: usize,
    /// The longest time from the first try to the answer.
    pub slowest: Duration,
}

/// How many records are sent and acknowledged so far.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicUsize>);

impl Progress {
    /// How many records are done.
    pub fn done(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Storm {
    /// Writes all records to the replicas in turn. A client that gets no answer, or one that says to come back, tries the next
    /// replica with the same records. Fails if a service refuses a record or answers wrongly.
    pub async fn run(&self, replicas: &[ApiClient], progress: &Progress) -> Result<Ledger> {
        let clients = (0..self.clients).map(|number| {
            let client = Client {
                replicas: replicas.to_vec(),
                next: number,
                random: Random::new(self.seed, &format!("client {number}")),
                progress: progress.clone(),
                ledger: Ledger::default(),
            };
            let share = self.records / self.clients + usize::from(number < self.records % self.clients);
            tokio::spawn(client.write(share, number % 4 == 3))
        });
        let mut all = Ledger::default();
        for client in clients.collect::<Vec<_>>() {
            let ledger = client.await??;
            all.acknowledged.extend(ledger.acknowledged);
            all.unknown.extend(ledger.unknown);
            all.retries += ledger.retries;
            all.slowest = all.slowest.max(ledger.slowest);
        }
        Ok(all)
    }
}

struct Client {
    replicas: Vec<ApiClient>,
    next: usize,
    random: Random,
    progress: Progress,
    ledger: Ledger,
}

impl Client {
    async fn write(mut self, share: usize, in_batches: bool) -> Result<Ledger> {
        let mut left = share;
        while left > 0 {
            let count = if in_batches { BATCH.min(left) } else { 1 };
            let batch: Vec<Event> = (0..count).map(|_| self.event()).collect();
            let once = self.random.below(GIVEN_UP) == 0;
            self.until_acknowledged(&batch, once).await?;
            left -= count;
            self.progress.0.fetch_add(count, Ordering::Relaxed);
        }
        Ok(self.ledger)
    }

    /// A record whose content depends on its id. Some texts are shared by many records.
    fn event(&mut self) -> Event {
        let event = events::sample();
        let id = event.id().to_owned();
        let text = self.random.below(40);
        event
            .with("summary", format!("storm: outcome {text} after a restart"))
            .with("correlation_id", format!("storm-{}", self.random.below(200)))
            .with("data", serde_json::json!({"of": id}))
    }

    async fn until_acknowledged(&mut self, batch: &[Event], once: bool) -> Result<()> {
        let started = Instant::now();
        loop {
            let api = &self.replicas[self.next % self.replicas.len()];
            self.next += 1;
            match attempt(api, batch).await? {
                Some(numbers) => {
                    self.ledger.slowest = self.ledger.slowest.max(started.elapsed());
                    let pairs = batch.iter().zip(numbers);
                    let pairs = pairs.map(|(event, seq)| (event.id().to_owned(), (event.clone(), seq)));
                    self.ledger.acknowledged.extend(pairs);
                    return Ok(());
                }
                None if once => {
                    self.ledger.unknown.extend(batch.iter().map(|event| (event.id().to_owned(), event.clone())));
                    return Ok(());
                }
                None if started.elapsed() > PATIENCE => bail!("a record was not written in {PATIENCE:?}"),
                None => {
                    self.ledger.retries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// The sequence numbers of the records, or `None` if the client has to try again. Fails on an answer that no fault explains.
async fn attempt(api: &ApiClient, batch: &[Event]) -> Result<Option<Vec<i64>>> {
    let (path, body) = match batch {
        [event] => ("/api/v1/audit/events", event.json()),
        _ => ("/api/v1/audit/events/batch", serde_json::json!({"events": batch})),
    };
    // The service is dead, or dies before it answers.
    let Ok(answer) = api.post(path, &body).await else { return Ok(None) };
    match answer.status {
        200 | 201 if batch.len() == 1 => {
            let written: Written = answer.json()?;
            ensure!(written.event_id == batch[0].id(), "the answer is about {}", written.event_id);
            Ok(Some(vec![written.seq.context("the answer has no seq")?]))
        }
        200 => {
            let results: Value = answer.json()?;
            let results = results["results"].as_array().context("the answer has no results")?;
            ensure!(results.len() == batch.len(), "{} results for {} records", results.len(), batch.len());
            let number = |(event, result): (&Event, &Value)| {
                let as_expected = result["event_id"] == event.id()
                    && ["created", "duplicate"].iter().any(|status| result["status"] == *status);
                ensure!(as_expected, "a record of a batch was refused: {result}");
                result["seq"].as_i64().with_context(|| format!("a result has no seq: {result}"))
            };
            batch.iter().zip(results).map(number).collect::<Result<_>>().map(Some)
        }
        429 | 503 | 504 => {
            let asks_to_come_back = answer.status == 504 || answer.header("retry-after").is_some();
            ensure!(asks_to_come_back, "{answer} does not say when to come back");
            Ok(None)
        }
        _ => bail!("no fault explains the answer {answer}"),
    }
}

/// What was found in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The records that were acknowledged.
    pub acknowledged: usize,
    /// The records that nobody acknowledged and that are there.
    pub unacknowledged: usize,
}

impl Ledger {
    /// How many records were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Checks what is in the database: every acknowledged record is there once, with its number and its content; every other
    /// record that is there was sent, and is complete; the numbers have no hole.
    pub async fn check(&self, database: &Database) -> Result<Found> {
        let owner = database.owner().await?;
        let rows = owner
            .query(
                "SELECT seq, event_id::text, kind, summary, data->>'of', correlation_id FROM audit_event ORDER BY seq",
                &[],
            )
            .await?;
        let mut seen = BTreeSet::new();
        let mut unacknowledged = 0;
        for (row, expected) in rows.iter().zip(1_i64..) {
            let (seq, id, kind): (i64, String, String) = (row.get(0), row.get(1), row.get(2));
            ensure!(seq == expected, "record {expected} is missing: the next one is {seq}");
            if kind == "system" {
                continue;
            }
            ensure!(seen.insert(id.clone()), "{id} is there twice");
            let event = match (self.acknowledged.get(&id), self.unknown.get(&id)) {
                (Some((event, acknowledged)), _) => {
                    ensure!(seq == *acknowledged, "{id} was acknowledged as {acknowledged}, but it is {seq}");
                    event
                }
                (None, Some(event)) => {
                    unacknowledged += 1;
                    event
                }
                (None, None) => bail!("nobody has sent {id}"),
            };
            let (summary, of, correlation): (Option<String>, Option<String>, String) =
                (row.get(3), row.get(4), row.get(5));
            let complete = event.get("summary") == &Value::from(summary)
                && of.as_deref() == Some(&id)
                && event.get("correlation_id") == &Value::from(correlation);
            ensure!(complete, "{id} is not what was sent");
        }
        let missing = self.acknowledged.keys().find(|id| !seen.contains(*id));
        ensure!(missing.is_none(), "{missing:?} was acknowledged and is not there");
        let head: i64 = owner.query_one("SELECT seq FROM chain_head", &[]).await?.get(0);
        ensure!(usize::try_from(head)? == rows.len(), "the head is {head}, but there are {} records", rows.len());
        Ok(Found { acknowledged: self.acknowledged.len(), unacknowledged })
    }
}
