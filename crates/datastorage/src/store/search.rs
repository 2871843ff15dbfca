//! Search by words.

use audit::{Kind, Record};
use jiff::Timestamp;
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{
    Filters, Reader, Store, StoreError,
    select::{COLUMNS, Select, record, text, texts, value},
};

/// The most records that a search by words compares: the newest that have the words.
const CANDIDATES: i64 = 5_000;
/// The most texts that a search by words returns.
pub(super) const BEST: i64 = 50;

/// Which records can be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// These kinds. All if empty.
    pub kinds: Vec<Kind>,
    /// The other conditions.
    pub filters: Filters,
}

impl Matching {
    /// Adds the conditions, and the one of what the reader may see, to a statement.
    pub(super) fn apply(&self, select: &mut Select, reader: &Reader<'_>) {
        select.visible_to(reader);
        if !self.kinds.is_empty() {
            let kinds = self.kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
            select.and("kind = ANY(?)", [texts(kinds)]);
        }
        self.filters.apply(select);
    }
}

/// A text that was found, and the records that match and share it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The text. None if the record has no text.
    pub text_id: Option<i64>,
    /// The newest record that matches.
    pub newest: Uuid,
    /// How many records match. A lower bound if there are very many.
    pub matches: i64,
    /// When the first of them happened.
    pub first_at: Timestamp,
    /// When the last of them happened.
    pub last_at: Timestamp,
}

/// What a search by words found, the best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Hits {
    /// The texts.
    pub hits: Vec<Hit>,
    /// Whether all records that have the words were compared.
    pub exact: bool,
}

/// Reads the columns `text_id, newest, matches, first_at, last_at`.
pub(super) fn hit(row: &Row) -> Result<Hit, tokio_postgres::Error> {
    Ok(Hit {
        text_id: row.try_get("text_id")?,
        newest: row.try_get("newest")?,
        matches: row.try_get("matches")?,
        first_at: row.try_get("first_at")?,
        last_at: row.try_get("last_at")?,
    })
}

impl Store {
    /// The texts of the records that match and have the words. `words` is in the form of `websearch_to_tsquery`.
    pub async fn by_words(&self, reader: &Reader<'_>, matching: &Matching, words: &str) -> Result<Hits, StoreError> {
        let mut select = Select::new("WITH candidate AS MATERIALIZED (SELECT event_id, occurred_at, text_id, ");
        select.push(
            "ts_rank(words, websearch_to_tsquery('pg_catalog.simple', ?)) AS rank FROM audit_event",
            [text(words)],
        );
        select.and("words @@ websearch_to_tsquery('pg_catalog.simple', $1)", []);
        matching.apply(&mut select, reader);
        select.push(" ORDER BY event_id DESC LIMIT ?", [value(CANDIDATES + 1, Type::INT8)]);
        select.push(
            ") SELECT text_id, (array_agg(event_id ORDER BY event_id DESC))[1] AS newest, count(*) AS matches, \
             min(occurred_at) AS first_at, max(occurred_at) AS last_at, (SELECT count(*) FROM candidate) AS candidates \
             FROM candidate GROUP BY text_id, CASE WHEN text_id IS NULL THEN event_id END \
             ORDER BY max(rank) DESC, newest DESC LIMIT ?",
            [value(BEST, Type::INT8)],
        );
        let client = self.read().await?;
        let rows = client.query_typed(select.sql(), &select.parameters()).await?;
        client.done();
        let candidates: i64 = rows.first().map(|row| row.try_get("candidates")).transpose()?.unwrap_or_default();
        let hits = rows.iter().map(hit).collect::<Result<_, _>>()?;
        Ok(Hits { hits, exact: candidates <= CANDIDATES })
    }

    /// The records with these ids that the reader may see, in no order.
    pub async fn records(&self, reader: &Reader<'_>, ids: Vec<Uuid>) -> Result<Vec<Record>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut select = Select::new(format!("SELECT {COLUMNS} FROM audit_event"));
        select.and("event_id = ANY(?)", [value(ids, Type::UUID_ARRAY)]).visible_to(reader);
        let client = self.read().await?;
        let rows = client.query_typed(select.sql(), &select.parameters()).await?;
        client.done();
        Ok(rows.iter().map(|row| record(row, reader)).collect::<Result<_, _>>()?)
    }
}
