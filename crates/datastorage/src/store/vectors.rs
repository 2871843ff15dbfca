//! Search by meaning. The filter decides the plan.
//!
//! | records that match | plan |
//! |---|---|
//! | all, with at most 20,000 vectors | the distances of all vectors |
//! | all, with more | the HNSW index |
//! | at most 50,000, with at most 30,000 texts | the distances of all their texts |
//! | more, and the newest 50,000 have at most 10,000 texts | the HNSW index, and the distances of the texts of the newest |
//! | more | the HNSW index. If it finds too few, also the distances of the texts of the newest 30,000 |

use tokio_postgres::types::Type;

use super::{
    Hit, Matching, Model, Reader, Reading, Scope, Store, StoreError,
    search::{BEST, hit},
    select::{Parameter, Select, value},
};

/// Without a filter, at most so many vectors are compared one by one.
const FEW_VECTORS: i64 = 20_000;
/// So many of the newest records that match are read for their texts before a plan is chosen, so that a filter that matches
/// millions is not counted whole. 50,000 entries of the index of namespaces took 12 ms, as much as the distances of 5,000 texts.
const RECORDS: i64 = 50_000;
/// At most so many texts are compared one by one. The limit is as high as the time for a search allows, because the index finds
/// less with a filter: of 250,000 texts, it found 99 % of the nearest where the filter took every tenth text, but 74 % to 78 %
/// where it took every tenth cluster of similar texts, as a namespace does. Comparing took 2.2 µs for each text, 55 ms for that
/// tenth: 9 times as long as the index.
const TEXTS: i64 = 30_000;
/// The index finds little of so few texts. They are compared one by one even if older records may have others.
const CONCENTRATED: i64 = 10_000;
/// The index compares so many of the newest records of a text with the filter. A text may have millions of others.
const PROBED: i64 = 200;
/// The most records of a text that are counted.
const COUNTED: i64 = 1_000;

/// How the index is searched. Clusters of similar texts are far apart in the index, and a search that does not come to the right
/// one finds none of the nearest. With an `ef_search` of 100, 200, 400 and 600, 200 searches of 250,000 texts found 94, 97, 98 and
/// 99 % of the nearest, in 1.6, 2.5, 4.2 and 6.2 ms. With 1,000 they found no more. Within 5,000 tuples, a search with a filter has
/// found enough, or it goes on in vain. The other settings keep the planner from a plan that computes all distances, or that
/// loses their order.
const SETTINGS: &str = "BEGIN READ ONLY; SET LOCAL hnsw.ef_search = 600; SET LOCAL hnsw.iterative_scan = relaxed_order; \
    SET LOCAL hnsw.max_scan_tuples = 5000; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; \
    SET LOCAL enable_mergejoin = off; SET LOCAL max_parallel_workers_per_gather = 0";
/// pgvector reads its settings when it is first used in a session, and only warns of those that it does not know.
const SHOW: &str = "SELECT current_setting('hnsw.ef_search') || ' ' || current_setting('hnsw.iterative_scan') || ' ' || \
    current_setting('hnsw.max_scan_tuples')";
const SHOWN: &str = "600 relaxed_order 5000";

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

/// The newest records that match.
#[derive(Debug)]
struct Newest {
    /// How many were read.
    records: i64,
    /// Their texts. None if there are more than [`TEXTS`].
    texts: Option<Vec<i64>>,
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
        let search = Search { client: &client, reader, matching, vector };
        let ((), ours, newest) = futures::try_join!(
            async { Ok::<_, StoreError>(client.batch_execute(SETTINGS).await?) },
            model.is_in_use(&client),
            search.filtered(),
        )?;
        let nearest = if ours {
            let nearest = search.run(newest).await?;
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

struct Search<'a> {
    client: &'a Reading,
    reader: &'a Reader<'a>,
    matching: &'a Matching,
    vector: &'a [f32],
}

impl Search<'_> {
    /// The newest records that match. None if there is no filter.
    async fn filtered(&self) -> Result<Option<Newest>, StoreError> {
        if *self.reader.scope == Scope::Cluster && *self.matching == Matching::default() {
            return Ok(None);
        }
        self.newest(RECORDS + 1).await.map(Some)
    }

    async fn run(&self, newest: Option<Newest>) -> Result<Nearest, StoreError> {
        let (near, plan, exact) = match newest {
            None if self.has_few_vectors().await? => (self.of_vectors().await?, Plan::Exact, true),
            None => (self.of_index().await?, Plan::Hnsw, false),
            Some(Newest { records, texts: Some(texts) }) if records <= RECORDS => {
                (self.of_texts(texts).await?, Plan::Exact, true)
            }
            Some(newest) => {
                let mut near = self.of_index().await?;
                let few = newest.texts.filter(|texts| texts.len() <= size(CONCENTRATED));
                if let Some(texts) = few {
                    near.extend(self.of_texts(texts).await?);
                } else if near.len() < size(BEST) {
                    let texts = self.newest(TEXTS).await?.texts;
                    near.extend(self.of_texts(texts.unwrap_or_default()).await?);
                }
                (near, Plan::Hnsw, false)
            }
        };
        Ok(Nearest { near: sorted(near), plan, exact })
    }

    async fn has_few_vectors(&self) -> Result<bool, StoreError> {
        let mut select = Select::new("SELECT count(*) FROM (SELECT FROM embedding_1");
        select.push(" LIMIT ?) v", [value(FEW_VECTORS + 1, Type::INT8)]);
        let row = self.client.query_typed_one(select.sql(), &select.parameters()).await?;
        Ok(row.try_get::<_, i64>(0)? <= FEW_VECTORS)
    }

    /// The newest records that match, at most so many.
    async fn newest(&self, most: i64) -> Result<Newest, StoreError> {
        let mut select = Select::new("WITH newest AS MATERIALIZED (SELECT text_id FROM audit_event");
        self.matching.apply(&mut select, self.reader);
        select.push(
            " ORDER BY event_id DESC LIMIT ?), texts AS MATERIALIZED (SELECT coalesce(array_agg(DISTINCT text_id) \
             FILTER (WHERE text_id IS NOT NULL), '{}') AS ids FROM newest) ",
            [value(most, Type::INT8)],
        );
        select.push(
            "SELECT (SELECT count(*) FROM newest) AS records, CASE WHEN cardinality(ids) <= ? THEN ids END AS texts FROM texts",
            [value(TEXTS, Type::INT8)],
        );
        let row = self.client.query_typed_one(select.sql(), &select.parameters()).await?;
        Ok(Newest { records: row.try_get("records")?, texts: row.try_get("texts")? })
    }

    /// All distances of these texts, which stand in their order, so that those on one page are read together.
    async fn of_texts(&self, texts: Vec<i64>) -> Result<Vec<Near>, StoreError> {
        let mut select = Select::new("");
        // Materialized, so that the index is not used, which would not compare all of them.
        select.push(
            "WITH compared AS MATERIALIZED (SELECT text_id, embedding <=> ?::real[]::halfvec AS distance \
             FROM unnest(?) AS t(text_id) JOIN embedding_1 USING (text_id)) \
             SELECT text_id, distance FROM compared ORDER BY distance LIMIT ?",
            [self.vector(), value(texts, Type::INT8_ARRAY), value(BEST, Type::INT8)],
        );
        self.near(&select).await
    }

    /// All vectors by their distance, until enough of them have a record.
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
            tracing::warn!(
                shown,
                "pgvector does not support a setting of the index, so searches may find fewer records"
            );
        }
        Ok(near)
    }

    async fn until_enough_match(&self, vectors: &'static str) -> Result<Vec<Near>, StoreError> {
        let mut select = Select::new("");
        select.push(vectors, [self.vector()]);
        select.push(
            " CROSS JOIN LATERAL (SELECT FROM (SELECT * FROM audit_event WHERE text_id = e.text_id \
             ORDER BY event_id DESC LIMIT ?) audit_event",
            [value(PROBED, Type::INT8)],
        );
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

/// A limit as a length.
fn size(limit: i64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The nearest first, each text once, and no more than asked for.
fn sorted(mut near: Vec<Near>) -> Vec<Near> {
    near.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.text_id.cmp(&b.text_id)));
    // Twice the same text has the same distance, so both stand together.
    near.dedup_by_key(|near| near.text_id);
    near.truncate(size(BEST));
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
