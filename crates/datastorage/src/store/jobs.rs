//! The outbox of texts that wait for their vector, and the model whose vectors the tables hold.

use std::time::Duration;

use tokio_postgres::{
    error::SqlState,
    types::{ToSql, Type},
};

use super::{Reading, Store, StoreError};

/// The longest pause before a text is tried again, in seconds.
const LONGEST_PAUSE: f64 = 600.0;
/// The most characters of an error that are kept.
const ERROR: i32 = 500;
/// So many texts at a time get a job when all of them do.
const FILL: i64 = 10_000;
/// The most records that are counted for a metric.
const COUNTED: i64 = 10_000;
/// The most jobs that are counted for a metric.
const BACKLOG: i64 = 1_000_000;

/// The model that a provider has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// The length of its vectors.
    pub dimensions: i32,
}

/// Whether the tables can hold the vectors of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// They hold its vectors, or none yet.
    InUse,
    /// They hold vectors of another model.
    Other(Model),
    /// They hold no vectors, and vectors of this length do not fit.
    WrongLength(i32),
}

/// A text that waits for its vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The text's id.
    pub text_id: i64,
    /// The text.
    pub text: String,
    /// How often it was tried, with this time.
    pub attempts: i32,
}

impl Model {
    /// Whether the tables hold vectors of this model.
    pub(super) async fn is_in_use(&self, client: &Reading) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) = 1 FROM embedding_model \
                   WHERE model_id = 1 AND name = $1 AND dims = $2 AND state = 'active'";
        Ok(client.query_typed_one(sql, &[text(&self.name), (&self.dimensions, Type::INT4)]).await?.try_get(0)?)
    }
}

fn text(text: &String) -> (&(dyn ToSql + Sync), Type) {
    (text, Type::TEXT)
}

impl Store {
    /// Whether the tables can hold the vectors of a model. The first model that asks is noted down, and where the role owns the
    /// table and it is empty, it is made for vectors of this length.
    pub async fn settle_model(&self, model: &Model) -> Result<ModelState, StoreError> {
        let client = self.read().await?;
        let found = "SELECT name, dims FROM embedding_model WHERE model_id = 1 AND state = 'active'";
        let state = if let Some(row) = client.query_typed_opt(found, &[]).await? {
            let found = Model { name: row.try_get(0)?, dimensions: row.try_get(1)? };
            if found == *model { ModelState::InUse } else { ModelState::Other(found) }
        } else {
            note_down(&client, model).await?
        };
        client.done();
        Ok(state)
    }

    /// Removes all vectors and makes the table for vectors of another model. Only the owner can.
    pub async fn reset_model(&self, model: &Model) -> Result<(), StoreError> {
        let client = self.read().await?;
        let dimensions = model.dimensions;
        client
            .batch_execute(&format!(
                "BEGIN; SET LOCAL statement_timeout = 0; DROP INDEX embedding_1_hnsw; TRUNCATE embedding_1; \
                 ALTER TABLE embedding_1 ALTER COLUMN embedding TYPE halfvec({dimensions}); {INDEX}; \
                 DELETE FROM embedding_job; DELETE FROM embedding_model",
            ))
            .await?;
        client.query_typed(NOTE, &[text(&model.name), (&dimensions, Type::INT4)]).await?;
        client.batch_execute("COMMIT").await?;
        client.done();
        Ok(())
    }

    /// Gives a job to every text that has neither a vector nor a job, and says how many got one.
    pub async fn fill_jobs(&self) -> Result<u64, StoreError> {
        let client = self.read().await?;
        let last: Option<i64> =
            client.query_typed_one("SELECT max(text_id) FROM search_text", &[]).await?.try_get(0)?;
        let sql = "INSERT INTO embedding_job (text_id, model_id) SELECT text_id, 1 FROM search_text t \
                   WHERE text_id > $1 AND text_id <= $1 + $2 \
                   AND NOT EXISTS (SELECT FROM embedding_1 e WHERE e.text_id = t.text_id) ON CONFLICT DO NOTHING";
        let (mut after, mut filled) = (0, 0);
        while after < last.unwrap_or_default() {
            filled += client.execute_typed(sql, &[(&after, Type::INT8), (&FILL, Type::INT8)]).await?;
            after += FILL;
        }
        client.done();
        Ok(filled)
    }

    /// Takes texts that are due. No other worker takes them until `lease` is over, so nothing is lost if this one dies.
    pub async fn claim_jobs(&self, most: usize, lease: Duration) -> Result<Vec<Job>, StoreError> {
        let sql = "UPDATE embedding_job j SET due_at = now() + make_interval(secs => $2), attempts = j.attempts + 1 \
                   FROM (SELECT text_id FROM embedding_job WHERE model_id = 1 AND due_at <= now() \
                   ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) d JOIN search_text t USING (text_id) \
                   WHERE j.text_id = d.text_id AND j.model_id = 1 RETURNING j.text_id, t.text, j.attempts";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let client = self.read().await?;
        let rows = client.query_typed(sql, &[(&most, Type::INT8), (&lease.as_secs_f64(), Type::FLOAT8)]).await?;
        client.done();
        let jobs = rows
            .iter()
            .map(|row| Ok(Job { text_id: row.try_get(0)?, text: row.try_get(1)?, attempts: row.try_get(2)? }));
        jobs.collect()
    }

    /// Writes the vectors of texts and removes their jobs in one transaction. Says how many records are now durable together
    /// with their vector. Does nothing if the tables hold vectors of another model.
    pub async fn finish_jobs(&self, model: &Model, texts: &[i64], vectors: Vec<f32>) -> Result<i64, StoreError> {
        let sql = "WITH model AS (SELECT FROM embedding_model \
                   WHERE model_id = 1 AND name = $3 AND dims = $4 AND state = 'active'), \
                   vector AS (INSERT INTO embedding_1 (text_id, embedding) \
                   SELECT text_id, ($2::real[])[(place - 1) * $4 + 1 : place * $4]::halfvec \
                   FROM unnest($1) WITH ORDINALITY AS given(text_id, place) JOIN search_text USING (text_id) \
                   WHERE EXISTS (SELECT FROM model) ON CONFLICT DO NOTHING RETURNING text_id), \
                   job AS (DELETE FROM embedding_job \
                   WHERE model_id = 1 AND text_id = ANY($1) AND EXISTS (SELECT FROM model)) \
                   SELECT count(*) FROM (SELECT FROM audit_event \
                   WHERE text_id = ANY(ARRAY(SELECT text_id FROM vector)) LIMIT $5) r";
        let client = self.read().await?;
        let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
            (&texts, Type::INT8_ARRAY),
            (&vectors, Type::FLOAT4_ARRAY),
            text(&model.name),
            (&model.dimensions, Type::INT4),
            (&COUNTED, Type::INT8),
        ];
        let row = client.query_typed_one(sql, &parameters).await?;
        client.done();
        Ok(row.try_get(0)?)
    }

    /// Has texts tried again later: after a second, and twice as long with each attempt, up to ten minutes.
    pub async fn postpone_jobs(&self, texts: &[i64], error: &str) -> Result<(), StoreError> {
        let sql = "UPDATE embedding_job SET last_error = left($2, $3), \
                   due_at = now() + make_interval(secs => least(power(2, least(attempts, 16) - 1), $4)) \
                   WHERE model_id = 1 AND text_id = ANY($1)";
        let client = self.read().await?;
        let parameters: [(&(dyn ToSql + Sync), Type); 4] =
            [(&texts, Type::INT8_ARRAY), (&error, Type::TEXT), (&ERROR, Type::INT4), (&LONGEST_PAUSE, Type::FLOAT8)];
        client.execute_typed(sql, &parameters).await?;
        client.done();
        Ok(())
    }

    /// How many texts wait for their vector. At most a million are counted.
    pub async fn count_jobs(&self) -> Result<i64, StoreError> {
        let client = self.read().await?;
        let sql = "SELECT count(*) FROM (SELECT FROM embedding_job WHERE model_id = 1 LIMIT $1) j";
        let row = client.query_typed_one(sql, &[(&BACKLOG, Type::INT8)]).await?;
        client.done();
        Ok(row.try_get(0)?)
    }
}

const INDEX: &str = "CREATE INDEX embedding_1_hnsw ON embedding_1 USING hnsw (embedding halfvec_cosine_ops) \
                     WITH (m = 16, ef_construction = 64)";
/// Another replica may be faster.
const NOTE: &str = "INSERT INTO embedding_model (model_id, name, dims, state) VALUES (1, $1, $2, 'active') \
                    ON CONFLICT DO NOTHING";

async fn note_down(client: &Reading, model: &Model) -> Result<ModelState, StoreError> {
    // The modifier of the type halfvec(n) is n.
    let sql = "SELECT atttypmod FROM pg_attribute WHERE attrelid = 'embedding_1'::regclass AND attname = 'embedding'";
    let length: i32 = client.query_typed_one(sql, &[]).await?.try_get(0)?;
    let dimensions = model.dimensions;
    if length != dimensions {
        let altered = client
            .batch_execute(&format!(
                "BEGIN; DROP INDEX embedding_1_hnsw; ALTER TABLE embedding_1 ALTER COLUMN embedding TYPE halfvec({dimensions}); \
                 {INDEX}; COMMIT"
            ))
            .await;
        match altered {
            Ok(()) => {}
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                client.batch_execute("ROLLBACK").await?;
                return Ok(ModelState::WrongLength(length));
            }
            Err(error) => return Err(error.into()),
        }
    }
    client.execute_typed(NOTE, &[text(&model.name), (&dimensions, Type::INT4)]).await?;
    Ok(ModelState::InUse)
}
