//! Lists of records, single records and correlations.

use std::pin::pin;

use audit::{Kind, Phase, Record, Status};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{
    Reader, Store, StoreError, names_of,
    select::{COLUMNS, Select, record, text, texts, value},
    walk::{BYTES, Walk},
};

/// The most records of a correlation in one answer.
const TIMELINE: usize = 1000;
/// The most records whose times and namespaces are looked at: the newest ones.
const NEWEST: i64 = 5_000;
/// The most namespaces of a correlation or of a target that are asked about.
const NAMESPACES: usize = 16;

/// Which records a list has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// What the record is about.
    pub kind: Option<Kind>,
    /// The namespace of the object.
    pub namespace: Option<String>,
    /// The cluster of the object.
    pub cluster: Option<String>,
    /// How far it was.
    pub phase: Option<Phase>,
    /// The outcome.
    pub status: Option<Status>,
    /// How severe it was.
    pub severity: Option<String>,
    /// For example `production`.
    pub environment: Option<String>,
    /// What was done.
    pub action_type: Option<String>,
    /// What was acted on.
    pub target: Option<String>,
    /// The fingerprint of the alert.
    pub fingerprint: Option<String>,
    /// The story.
    pub correlation_id: Option<String>,
    /// The authenticated identity that wrote it.
    pub recorded_by: Option<String>,
    /// Only ids of this time and later.
    pub since: Option<Timestamp>,
    /// Only ids before this time.
    pub until: Option<Timestamp>,
}

/// Where a page begins and in which order it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Newest first, before this id.
    Newest(Option<Uuid>),
    /// Oldest first, after this id.
    Oldest(Option<Uuid>),
    /// In the order of recording, after this number.
    AfterSeq(i64),
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// Whether the list goes on.
    pub more: bool,
    /// Where it goes on. It can do so after a page without records.
    pub resume: Option<Start>,
    /// The bytes of its rows.
    pub(super) bytes: usize,
}

impl Page {
    /// The same page, which goes on after its last record.
    pub(super) fn from(mut self, start: Start) -> Self {
        self.resume = self.records.last().filter(|_| self.more).map(|last| match start {
            Start::Newest(_) => Start::Newest(Some(last.event.event_id)),
            Start::Oldest(_) => Start::Oldest(Some(last.event.event_id)),
            Start::AfterSeq(before) => Start::AfterSeq(last.seq.unwrap_or(before)),
        });
        self
    }
}

/// In which namespaces the newest records of a correlation or of a target are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// The namespaces, at most 16, those with the newest records first.
    pub names: Vec<String>,
    /// Whether there may be others.
    pub truncated: bool,
}

/// All records of one story.
#[derive(Clone, Debug, PartialEq)]
pub struct Correlation {
    /// The newest records, oldest first.
    pub timeline: Vec<Record>,
    /// Whether older records are left out.
    pub truncated: bool,
    /// When the first thing of the newest 5,000 records happened.
    pub first_at: Timestamp,
    /// When the last thing of them happened.
    pub last_at: Timestamp,
}

impl Filters {
    /// Adds the conditions to a statement.
    pub(super) fn apply(&self, select: &mut Select) {
        if let Some(kind) = self.kind {
            select.and("kind = ?", [text(kind.as_str())]);
        }
        if let Some(phase) = self.phase {
            select.and("phase = ?", [text(phase.as_str())]);
        }
        if let Some(status) = self.status {
            select.and("status = ?", [text(status.as_str())]);
        }
        let texts: [(&'static str, &Option<String>); 9] = [
            ("namespace = ?", &self.namespace),
            ("cluster = ?", &self.cluster),
            ("severity = ?", &self.severity),
            ("environment = ?", &self.environment),
            ("action_type = ?", &self.action_type),
            ("target_resource = ?", &self.target),
            ("fingerprint = ?", &self.fingerprint),
            ("correlation_id = ?", &self.correlation_id),
            ("recorded_by = ?", &self.recorded_by),
        ];
        for (condition, wanted) in texts {
            if let Some(wanted) = wanted {
                select.and(condition, [text(wanted)]);
            }
        }
        if let Some(since) = self.since {
            select.and("event_id >= ?", [value(id_at(since), Type::UUID)]);
        }
        if let Some(until) = self.until {
            select.and("event_id < ?", [value(id_at(until), Type::UUID)]);
        }
    }
}

/// The lower bound of all UUIDs version 7 of a time, as the function `id_at` of the database makes it.
pub fn id_at(time: Timestamp) -> Uuid {
    // Rounded down, also before 1970.
    let milliseconds = u64::try_from(time.as_nanosecond().div_euclid(1_000_000)).unwrap_or(0);
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&milliseconds.to_be_bytes()[2..]);
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    Uuid::from_bytes(bytes)
}

impl Store {
    /// A page of a list.
    pub async fn list(
        &self,
        reader: &Reader<'_>,
        filters: &Filters,
        start: Start,
        limit: u16,
    ) -> Result<Page, StoreError> {
        self.walk(&Walk { reader, filters, up_to: None, start }, limit).await
    }

    /// The record with this id, if the reader may see it.
    pub async fn get(&self, reader: &Reader<'_>, id: Uuid) -> Result<Option<Record>, StoreError> {
        let mut select = Select::new(format!("SELECT {COLUMNS} FROM audit_event"));
        select.and("event_id = ?", [value(id, Type::UUID)]).visible_to(reader);
        let client = self.read().await?;
        let row = client.query_typed_opt(select.sql(), &select.parameters()).await?;
        client.done();
        Ok(row.map(|row| record(&row, reader)).transpose()?)
    }

    /// The records of a story that are of a namespace, or of any, if the reader may see any.
    pub async fn correlation(
        &self,
        reader: &Reader<'_>,
        id: &str,
        namespace: Option<&str>,
    ) -> Result<Option<Correlation>, StoreError> {
        let filters = Filters {
            correlation_id: Some(id.to_owned()),
            namespace: namespace.map(str::to_owned),
            ..Filters::default()
        };
        let mut select = Select::new(format!("SELECT {COLUMNS} FROM audit_event"));
        filters.apply(select.visible_to(reader));
        select.push(" ORDER BY event_id DESC LIMIT ?", [value(1001_i64, Type::INT8)]);
        let page = self.page(reader, &select, TIMELINE).await?;
        let mut timeline = page.records;
        timeline.reverse();

        let mut select =
            Select::new("SELECT min(occurred_at), max(occurred_at) FROM (SELECT occurred_at FROM audit_event");
        filters.apply(select.visible_to(reader));
        select.push(" ORDER BY event_id DESC LIMIT ?) AS newest", [value(NEWEST, Type::INT8)]);
        let client = self.read().await?;
        let row = client.query_typed_one(select.sql(), &select.parameters()).await?;
        client.done();
        let (first_at, last_at): (Option<Timestamp>, Option<Timestamp>) = (row.try_get(0)?, row.try_get(1)?);
        let (Some(first_at), Some(last_at)) = (first_at, last_at) else { return Ok(None) };
        Ok(Some(Correlation { timeline, truncated: page.more, first_at, last_at }))
    }

    /// In which namespaces of a cluster a list has records, without those of no namespace.
    pub async fn namespaces(&self, cluster: &str, filters: &Filters) -> Result<Namespaces, StoreError> {
        let mut select = Select::new("SELECT namespace, count(*) FROM (SELECT namespace, event_id FROM audit_event");
        filters.apply(&mut select);
        select.and("cluster = ANY(?) AND namespace <> ''", [texts(names_of(cluster, cluster))]);
        // The sum of the counts says whether all records were looked at.
        select.push(
            " ORDER BY event_id DESC LIMIT ?) AS newest GROUP BY namespace ORDER BY max(event_id::text) DESC",
            [value(NEWEST, Type::INT8)],
        );
        let client = self.read().await?;
        let rows = client.query_typed(select.sql(), &select.parameters()).await?;
        client.done();
        let counts = rows.iter().map(|row| row.try_get::<_, i64>(1)).sum::<Result<i64, _>>()?;
        let names = rows.iter().take(NAMESPACES).map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        Ok(Namespaces { names, truncated: counts == NEWEST || rows.len() > NAMESPACES })
    }

    /// Reads rows until there are `limit`, or they have too many bytes.
    pub(super) async fn page(&self, reader: &Reader<'_>, select: &Select, limit: usize) -> Result<Page, StoreError> {
        let client = self.read().await?;
        let mut page = Page::default();
        {
            let rows = client.query_typed_raw(select.sql(), select.parameters()).await?;
            let mut rows = pin!(rows);
            while let Some(row) = rows.try_next().await? {
                let bytes = page.bytes + row.raw_size_bytes();
                if page.records.len() == limit || (bytes > BYTES && !page.records.is_empty()) {
                    page.more = true;
                    break;
                }
                page.bytes = bytes;
                page.records.push(record(&row, reader)?);
            }
        }
        client.done();
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_of_a_time_is_below_every_id_of_its_millisecond() {
        let time: Timestamp = "2026-11-25T22:25:42.888999Z".parse().unwrap();
        let bound = id_at(time);
        assert_eq!(bound.to_string(), "01a214d0-91e8-7000-8000-000000000000");
        assert!(bound <= id_at("2026-11-25T22:25:42.888Z".parse().unwrap()));
        assert_eq!(id_at(Timestamp::MIN).to_string(), "00000000-0000-7000-8000-000000000000");
    }
}
