//! Search by meaning. The filter decides the plan.
//!
//! | records that match | plan |
//! |---|---|
//! | at most 20,000 | the distances of all their texts |
//! | more, with few texts among the newest | the distances of the texts of the newest 100,000 |
//! | more, and at most 20,000 texts have a vector | all vectors by their distance, until enough of them match |
//! | more | the HNSW index, which goes on until enough vectors match |

use tokio_postgres::types::Type;

use super::{
    Hit, Matching, Model, Reader, Reading, Scope, Store, StoreError,
    search::{BEST, hit},
    select::{Parameter, Select, value},
};

/// At most so many records or vectors are compared one by one.
const FEW: i64 = 20_000;
/// With fewer texts among the newest [`FEW`] records, the index would visit most of its vectors in vain.
const FEW_TEXTS: i64 = 1_000;
/// The most records whose texts are compared where more match.
const NEWEST: i64 = 100_000;
/// The most records of a text that are counted.
const COUNTED: i64 = 1_000;

/// How the index is searched. The other settings keep the planner from a plan that computes all distances, or that loses their
/// order.
const SETTINGS: &str = "BEGIN READ ONLY; SET LOCAL hnsw.ef_search = 100; SET LOCAL hnsw.iterative_scan = relaxed_order; \
    SET LOCAL hnsw.max_scan_tuples = 50000; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; \
    SET LOCAL enable_mergejoin = off; SET LOCAL max_parallel_workers_per_gather = 0";
/// pgvector reads its settings when it is first used in a session, and only warns of those that it does not know.
const SHOW: &str = "SELECT current_setting('hnsw.ef_search') || ' ' || current_setting('hnsw.iterative_scan') || ' ' || \
    current_setting('hnsw.max_scan_tuples')";
const SHOWN: &str = "100 relaxed_order 50000";

/// A text near the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// The text.
    pub text_id: i64,
    /// The cosine similarity.
    pub similarity: f64,
}

/// How the nearest texts were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// By all distances.
    Exact,
    /// By the HNSW index.
    Hnsw,
}

/// The nearest texts, the nearest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// The texts.
    pub near: Vec<Near>,
    /// How they were found.
    pub plan: Plan,
    /// Whether the distances of all texts that match were computed.
    pub exact: bool,
}

impl Plan {
    /// The value of the label `path`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Hnsw => "hnsw",
        }
    }
}

/// What is known of the records that match before they are compared.
#[derive(Clone, Copy, Debug)]
enum Size {
    /// No filter: all.
    All,
    /// At most [`FEW`].
    Few,
    /// More, with so many texts among the newest.
    Many { texts: i64 },
}

impl Store {
    /// The texts whose vectors are nearest to `vector`, of the records that match. None if the tables hold vectors of another
    /// model.
    pub async fn nearest(
        &self,
        reader: &Reader<'_>,
        matching: &Matching,
        model: &Model,
        vector: &[f32],
    ) -> Result<Option<Nearest>, StoreError> {
        let client = self.read().await?;
        let ((), ours, size) = futures::try_join!(
            async { Ok::<_, StoreError>(client.batch_execute(SETTINGS).await?) },
            model.is_in_use(&client),
            size(&client, reader, matching),
        )?;
        let nearest = if ours {
            let search = Search { client: &client, reader, matching, vector };
            let nearest = search.run(size).await?;
            client.batch_execute("COMMIT").await?;
            Some(nearest)
        } else {
            client.batch_execute("COMMIT").await?;
            None
        };
        client.done();
        Ok(nearest)
    }

    /// The records that match and share these texts. Texts without such a record are left out.
    pub async fn matches(
        &self,
        reader: &Reader<'_>,
        matching: &Matching,
        texts: Vec<i64>,
    ) -> Result<Vec<Hit>, StoreError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let mut select = Select::new("SELECT t.text_id, r.newest, r.matches, r.first_at, r.last_at ");
        select.push(
            "FROM unnest(?) AS t(text_id) CROSS JOIN LATERAL (\
             SELECT (array_agg(event_id ORDER BY event_id DESC))[1] AS newest, count(*) AS matches, \
             min(occurred_at) AS first_at, max(occurred_at) AS last_at \
             FROM (SELECT event_id, occurred_at FROM audit_event",
            [value(texts, Type::INT8_ARRAY)],
        );
        select.and("text_id = t.text_id", []);
        matching.apply(&mut select, reader);
        select.push(" ORDER BY event_id DESC LIMIT ?) newest) r WHERE r.matches > 0", [value(COUNTED, Type::INT8)]);
        let client = self.read().await?;
        let rows = client.query_typed(select.sql(), &select.parameters()).await?;
        client.done();
        Ok(rows.iter().map(hit).collect::<Result<_, _>>()?)
    }
}

async fn size(client: &Reading, reader: &Reader<'_>, matching: &Matching) -> Result<Size, StoreError> {
    if *reader.scope == Scope::Cluster && *matching == Matching::default() {
        return Ok(Size::All);
    }
    let mut select = Select::new("WITH newest AS MATERIALIZED (SELECT text_id FROM audit_event");
    matching.apply(&mut select, reader);
    select.push(
        " ORDER BY event_id DESC LIMIT ?) SELECT count(*), count(DISTINCT text_id) FROM newest",
        [value(FEW + 1, Type::INT8)],
    );
    let row = client.query_typed_one(select.sql(), &select.parameters()).await?;
    let (records, texts): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(if records <= FEW { Size::Few } else { Size::Many { texts } })
}

struct Search<'a> {
    client: &'a Reading,
    reader: &'a Reader<'a>,
    matching: &'a Matching,
    vector: &'a [f32],
}

impl Search<'_> {
    async fn run(&self, size: Size) -> Result<Nearest, StoreError> {
        let (near, plan, exact) = match size {
            Size::Few => (self.of_texts(FEW).await?, Plan::Exact, true),
            Size::Many { texts } if texts < FEW_TEXTS => (self.of_texts(NEWEST).await?, Plan::Exact, false),
            Size::All | Size::Many { .. } if self.has_few_vectors().await? => {
                (self.of_vectors().await?, Plan::Exact, true)
            }
            Size::All => (self.of_index().await?, Plan::Hnsw, false),
            Size::Many { .. } => {
                let mut near = self.of_index().await?;
                if near.len() < enough() {
                    near.extend(self.of_texts(NEWEST).await?);
                }
                (near, Plan::Hnsw, false)
            }
        };
        Ok(Nearest { near: sorted(near), plan, exact })
    }

    async fn has_few_vectors(&self) -> Result<bool, StoreError> {
        let mut select = Select::new("SELECT count(*) FROM (SELECT FROM embedding_1");
        select.push(" LIMIT ?) v", [value(FEW + 1, Type::INT8)]);
        let row = self.client.query_typed_one(select.sql(), &select.parameters()).await?;
        Ok(row.try_get::<_, i64>(0)? <= FEW)
    }

    /// All distances of the texts of the newest records.
    async fn of_texts(&self, newest: i64) -> Result<Vec<Near>, StoreError> {
        let mut select = Select::new("WITH newest AS MATERIALIZED (SELECT text_id FROM audit_event");
        self.matching.apply(&mut select, self.reader);
        select.and("text_id IS NOT NULL", []);
        select.push(
            " ORDER BY event_id DESC LIMIT ?), texts AS MATERIALIZED (SELECT DISTINCT text_id FROM newest) ",
            [value(newest, Type::INT8)],
        );
        // The sum keeps the index out, which would not compare all of them.
        select.push(
            "SELECT text_id, distance FROM (SELECT text_id, embedding <=> ?::real[]::halfvec AS distance \
             FROM texts JOIN embedding_1 USING (text_id)) d ORDER BY distance + 0 LIMIT ?",
            [self.vector(), value(BEST, Type::INT8)],
        );
        self.near(&select).await
    }

    /// All vectors by their distance, until enough of them match.
    async fn of_vectors(&self) -> Result<Vec<Near>, StoreError> {
        self.until_enough_match(
            "SELECT e.text_id, e.distance FROM (SELECT text_id, embedding <=> ?::real[]::halfvec AS distance \
             FROM embedding_1 ORDER BY (embedding <=> $1::real[]::halfvec) + 0) e",
        )
        .await
    }

    /// What the index finds, until enough of it matches.
    async fn of_index(&self) -> Result<Vec<Near>, StoreError> {
        let near = self
            .until_enough_match(
                "SELECT e.text_id, e.distance FROM (SELECT text_id, embedding <=> ?::real[]::halfvec AS distance \
                 FROM embedding_1 ORDER BY embedding <=> $1::real[]::halfvec) e",
            )
            .await?;
        let shown: String = self.client.query_typed_one(SHOW, &[]).await?.try_get(0)?;
        if shown != SHOWN {
            tracing::warn!(shown, "pgvector does not know a setting of the index, so searches may find less");
        }
        Ok(near)
    }

    async fn until_enough_match(&self, vectors: &'static str) -> Result<Vec<Near>, StoreError> {
        let mut select = Select::new("");
        select.push(vectors, [self.vector()]);
        select.push(" CROSS JOIN LATERAL (SELECT FROM audit_event", []);
        select.and("text_id = e.text_id", []);
        self.matching.apply(&mut select, self.reader);
        select.push(" LIMIT 1) a LIMIT ?", [value(BEST, Type::INT8)]);
        self.near(&select).await
    }

    async fn near(&self, select: &Select) -> Result<Vec<Near>, StoreError> {
        let rows = self.client.query_typed(select.sql(), &select.parameters()).await?;
        let near = rows.iter().map(|row| {
            let distance: f64 = row.try_get("distance")?;
            Ok(Near { text_id: row.try_get("text_id")?, similarity: 1.0 - distance })
        });
        near.collect()
    }

    fn vector(&self) -> Parameter {
        value(self.vector.to_vec(), Type::FLOAT4_ARRAY)
    }
}

/// How many texts are asked for.
fn enough() -> usize {
    usize::try_from(BEST).unwrap_or(usize::MAX)
}

/// The nearest first, each text once, and no more than asked for.
fn sorted(mut near: Vec<Near>) -> Vec<Near> {
    near.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.text_id.cmp(&b.text_id)));
    // Twice the same text has the same distance, so both stand together.
    near.dedup_by_key(|near| near.text_id);
    near.truncate(enough());
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_text_stands_first_and_each_text_once() {
        let near = [(3, 0.5), (1, 0.9), (3, 0.5), (2, 0.5)].map(|(text_id, similarity)| Near { text_id, similarity });
        let texts: Vec<_> = sorted(near.to_vec()).iter().map(|near| near.text_id).collect();
        assert_eq!(texts, [1, 2, 3]);
    }
}
