//! Dropping a month by hand. Nothing else removes a record.

use audit::{Accepted, Event, Kind, Phase, Status, chain::Keys};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::{Value, json};
use tokio_postgres::{Client, error::SqlState};
use uuid::Uuid;

use super::{
    Store, StoreError,
    connect::Purpose,
    events::id_at,
    partitions,
    select::hex,
    write::{Ended, NewRow, WriteConnection},
};
use crate::verify::{ACTION, RemovedRange, trusted_ranges};

/// Who records that a month was dropped.
const RECORDED_BY: &str = "datastorage";
/// The most ranges in one record.
const RANGES: usize = 200;
/// How many texts are removed in one transaction.
const TEXTS: i64 = 500;
/// The code of the database for a month that is too young.
const TOO_YOUNG: &str = "DS002";

/// The longest runs of numbers in a month, with the hash of the last of each.
const RUNS: &str = "SELECT low, high, (SELECT chain_hash FROM audit_event e WHERE e.seq = r.high LIMIT 1) FROM ( \
                    SELECT min(seq) AS low, max(seq) AS high FROM ( \
                    SELECT seq, seq - row_number() OVER (ORDER BY seq) AS run FROM audit_event \
                    WHERE event_id >= $1 AND event_id < $2 AND seq > $3 AND seq <= $4) n GROUP BY run) r ORDER BY low";
/// Texts of which no record is left. They are looked for without the lock on the head, because that may take minutes.
const ORPHANS: &str = "SELECT text_id FROM search_text t WHERE text_id > $1 \
                       AND NOT EXISTS (SELECT FROM audit_event e WHERE e.text_id = t.text_id) ORDER BY text_id LIMIT $2";
/// Removes those that no writer has used since. A writer that is about to use one of them waits for the lock on the head.
const REMOVE: &str = "DELETE FROM search_text t WHERE text_id = ANY($1) \
                      AND NOT EXISTS (SELECT FROM audit_event e WHERE e.text_id = t.text_id)";
/// Writers wait for the lock on the head, so nothing may hold it as long as they have patience.
const IMPATIENT: &str = "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '3s'";

/// What was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// How many records.
    pub records: i64,
    /// How many texts of which no record is left.
    pub texts: u64,
}

/// Why a month was not dropped.
#[derive(Debug, thiserror::Error)]
pub enum DropError {
    /// Not a month.
    #[error("{0:?} is not a month; write it as 2026-01")]
    Month(String),
    /// There is no such month.
    #[error("there are no records of {0}")]
    Absent(String),
    /// The month is younger than the retention floor.
    #[error("{0}; drop it later, or set a shorter --retention-floor with datastorage migrate")]
    TooYoung(String),
    /// Nobody knows whether the month was dropped.
    #[error("the program does not know whether it has dropped {0} ({1}); run datastorage check")]
    Unknown(String, String),
    /// The database gave no answer or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<tokio_postgres::Error> for DropError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Drops the partition of a month such as `2026-01` and the texts that only its records had. In the same transaction, records
    /// of the chain say which numbers are gone.
    pub async fn drop_month(&self, month: &str, keys: &Keys) -> Result<Dropped, DropError> {
        let (from, to) = bounds(month).ok_or_else(|| DropError::Month(month.to_owned()))?;
        // Ranges that a record of this month vouches for are vouched for by the new record from now on.
        let mut ranges = trusted_ranges(self, keys, id_at(from), id_at(to)).await?;
        let carried = ranges.len();
        let seen = self.chain_head().await?.seq;
        let connection = WriteConnection::open(self, Purpose::Admin, false).await?;
        connection.client().batch_execute(IMPATIENT).await?;
        // Most of the reading is done before the lock.
        ranges.extend(runs(connection.client(), from, to, 0, seen).await?);
        partitions::ensure(connection.client(), Timestamp::now()).await?;

        let (mut head, now, _) = connection.begin(&[]).await?;
        ranges.extend(runs(connection.client(), from, to, seen, head.seq).await?);
        let records = ranges.iter().skip(carried).map(|range| range.to - range.from + 1).sum();
        let accepted: Vec<Accepted> = events(month, &joined(ranges)).into_iter().map(Accepted::system).collect();
        let rows: Vec<NewRow<'_>> = accepted
            .iter()
            .map(|accepted| {
                let content_hash = accepted.content_hash();
                let link = head.push(keys, now, RECORDED_BY, content_hash)?;
                Ok(NewRow { event: accepted.event(), content_hash, text: None, recorded_by: RECORDED_BY, link })
            })
            .collect::<Result<_, StoreError>>()?;
        connection.insert(&rows, now).await?;
        connection.client().execute("SELECT drop_month($1)", &[&from]).await.map_err(|error| match error.code() {
            Some(code) if code.code() == TOO_YOUNG => {
                let message = error.as_db_error().map(|error| error.message().to_owned());
                DropError::TooYoung(message.unwrap_or_default())
            }
            Some(code) if *code == SqlState::UNDEFINED_TABLE => DropError::Absent(month.to_owned()),
            _ => error.into(),
        })?;
        match connection.commit(&rows, now).await {
            Ended::Committed(_) => {}
            Ended::RolledBack(error) => return Err(error.into()),
            Ended::Unknown(reason) => return Err(DropError::Unknown(month.to_owned(), reason)),
        }
        let texts = orphans(&connection).await?;
        Ok(Dropped { records, texts })
    }
}

async fn runs(
    client: &Client,
    from: Timestamp,
    to: Timestamp,
    after: i64,
    up_to: i64,
) -> Result<Vec<RemovedRange>, StoreError> {
    let rows = client.query(RUNS, &[&id_at(from), &id_at(to), &after, &up_to]).await?;
    rows.iter()
        .map(|row| {
            Ok(RemovedRange {
                from: row.try_get(0)?,
                to: row.try_get(1)?,
                hash_after: hex(row.try_get::<_, &[u8]>(2)?),
            })
        })
        .collect()
}

/// Ranges in their order, where those that follow each other are one.
fn joined(mut ranges: Vec<RemovedRange>) -> Vec<RemovedRange> {
    ranges.sort_unstable_by_key(|range| (range.from, range.to));
    let mut joined: Vec<RemovedRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.to + 1 == range.from => {
                last.to = range.to;
                last.hash_after = range.hash_after;
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// The records that say which numbers are gone.
fn events(month: &str, ranges: &[RemovedRange]) -> Vec<Event> {
    let none: &[RemovedRange] = &[];
    let parts: Vec<_> = if ranges.is_empty() { vec![none] } else { ranges.chunks(RANGES).collect() };
    parts
        .into_iter()
        .map(|part| {
            let mut event = Event::new(
                Kind::System,
                month,
                "",
                Phase::Completed,
                ACTION,
                format!("{ACTION}/{month}/{}", Uuid::now_v7()),
            );
            event.status = Some(Status::Success);
            event.summary = Some(format!("The records of {month} were dropped"));
            event.data.insert("month".to_owned(), Value::from(month));
            event.data.insert("removed".to_owned(), json!(part));
            event
        })
        .collect()
}

/// Removes texts of which no record is left, a few in each transaction.
async fn orphans(connection: &WriteConnection) -> Result<u64, StoreError> {
    let mut removed = 0;
    let mut last = 0_i64;
    loop {
        let rows = connection.client().query(ORPHANS, &[&last, &TEXTS]).await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        let Some(highest) = ids.last() else { return Ok(removed) };
        last = *highest;
        connection.begin(&[]).await?;
        removed += connection.client().execute(REMOVE, &[&ids]).await?;
        connection.client().batch_execute("COMMIT").await?;
    }
}

/// The first moment of a month and of the next one.
fn bounds(month: &str) -> Option<(Timestamp, Timestamp)> {
    let (year, number) = month.split_once('-')?;
    if year.len() != 4 || number.len() != 2 {
        return None;
    }
    let first = Date::new(year.parse().ok()?, number.parse().ok()?, 1).ok()?;
    let next = first.checked_add(1.month()).ok()?;
    let moment = |date: Date| Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp());
    Some((moment(first)?, moment(next)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_four_digits_a_hyphen_and_two_digits() {
        let (from, to) = bounds("2026-12").unwrap();
        assert_eq!((from.to_string(), to.to_string()), ("2026-12-01T00:00:00Z".into(), "2027-01-01T00:00:00Z".into()));
        for wrong in ["2026", "2026-13", "2026-1", "26-01", "2026-01-01", ""] {
            assert_eq!(bounds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ranges_that_follow_each_other_become_one_with_the_hash_of_the_last() {
        let range = |from, to, hash: &str| RemovedRange { from, to, hash_after: hash.to_owned() };
        let ranges = vec![range(7, 9, "c"), range(1, 2, "a"), range(3, 5, "b")];
        assert_eq!(joined(ranges), [range(1, 5, "b"), range(7, 9, "c")]);
    }
}
