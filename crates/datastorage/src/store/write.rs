//! The statements of the writer.

use audit::{
    Event,
    chain::{Hash, VERSION},
    redact,
};
use futures::{future, try_join};
use jiff::Timestamp;
use tokio_postgres::{Row, Statement, types::Json};
use uuid::Uuid;

use super::{
    Store, StoreError,
    chain::{Head, Linked},
    connect::{Connection, Purpose},
};

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = on";

/// The clock is read after the lock: in a plain select it would be read before the wait for it.
const LOCK: &str = "SELECT h.seq, h.hash, h.chain_key, greatest(clock_timestamp(), h.recorded_at) AS now \
                    FROM (SELECT seq, hash, chain_key, recorded_at FROM chain_head \
                    ORDER BY seq DESC LIMIT 1 FOR UPDATE) h";
/// The bounds let the database leave out the other months.
const KNOWN: &str = "SELECT event_id, seq, recorded_at, recorded_by, content_hash, redaction_version, kind, name, namespace, \
                     cluster, phase, action_type, correlation_id, occurred_at \
                     FROM unnest($1::uuid[]) AS i(id) JOIN audit_event e ON e.event_id = i.id \
                     WHERE e.event_id BETWEEN $2 AND $3";
const TEXTS: &str = "INSERT INTO search_text (text_hash, text) SELECT * FROM unnest($1::bytea[], $2::text[]) \
                     ON CONFLICT (text_hash) DO NOTHING";
const ROWS: &str = "INSERT INTO audit_event (event_id, seq, kind, occurred_at, recorded_at, recorded_by, name, namespace, cluster, \
                    phase, status, action_type, correlation_id, parent_event_id, severity, environment, target_resource, \
                    fingerprint, actor_type, actor_id, duration_ms, trace_id, summary, error_message, data, text_id, \
                    redaction_version, content_hash, chain_hash, chain_key, chain_version) \
                    SELECT r.event_id, r.seq, r.kind, r.occurred_at, $27::timestamptz, r.recorded_by, r.name, r.namespace, r.cluster, r.phase, \
                    r.status, r.action_type, r.correlation_id, r.parent_event_id, r.severity, r.environment, \
                    r.target_resource, r.fingerprint, r.actor_type, r.actor_id, r.duration_ms, r.trace_id, r.summary, \
                    r.error_message, r.data, t.text_id, $28::smallint, r.content_hash, r.chain_hash, $29::smallint, $31::smallint \
                    FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], \
                    $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::uuid[], $14::text[], $15::text[], \
                    $16::text[], $17::text[], $18::text[], $19::text[], $20::bigint[], $21::text[], $22::text[], $23::text[], \
                    $24::jsonb[], $25::bytea[], $26::bytea[], $30::bytea[]) \
                    AS r(event_id, seq, kind, occurred_at, recorded_by, name, namespace, cluster, phase, status, action_type, \
                    correlation_id, parent_event_id, severity, environment, target_resource, fingerprint, actor_type, actor_id, \
                    duration_ms, trace_id, summary, error_message, data, content_hash, chain_hash, text_hash) \
                    LEFT JOIN search_text t ON t.text_hash = r.text_hash";
/// The timeout of statements does not count for the commit that follows: one that is cancelled while it waits for a standby is
/// there, and nobody knows whether it is also on the standby.
const HEAD: &str = "UPDATE chain_head SET seq = $1, hash = $2, chain_key = $3, recorded_at = $4 WHERE seq = $5 \
                    RETURNING set_config('statement_timeout', '0', true)";
/// Returns the texts that have no vector yet.
const JOBS: &str = "WITH bare AS (SELECT text_id, text_hash FROM search_text t WHERE text_hash = ANY($1) \
                    AND NOT EXISTS (SELECT FROM embedding_1 e WHERE e.text_id = t.text_id)), \
                    job AS (INSERT INTO embedding_job (text_id, model_id) SELECT text_id, 1 FROM bare ON CONFLICT DO NOTHING) \
                    SELECT text_hash FROM bare";
/// The same where the table of vectors is missing, so that the jobs wait for it.
const JOBS_WITHOUT_VECTORS: &str = "WITH bare AS (SELECT text_id, text_hash FROM search_text WHERE text_hash = ANY($1)), \
     job AS (INSERT INTO embedding_job (text_id, model_id) SELECT text_id, 1 FROM bare ON CONFLICT DO NOTHING) \
     SELECT text_hash FROM bare";

/// A record on its way into the database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewRow<'a> {
    pub(crate) event: &'a Event,
    pub(crate) content_hash: &'a Hash,
    pub(crate) text: Option<&'a Text>,
    pub(crate) recorded_by: &'a str,
    pub(crate) link: Linked,
}

/// The text of which a vector is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) hash: Hash,
    pub(crate) text: String,
}

/// A record that is there already.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) event_id: Uuid,
    pub(crate) seq: i64,
    pub(crate) recorded_at: Timestamp,
    pub(crate) recorded_by: String,
    pub(crate) content_hash: Vec<u8>,
    pub(crate) redaction_version: i16,
    /// The fields that redaction does not change.
    pub(crate) identifying: [String; 7],
    pub(crate) occurred_at: Timestamp,
}

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It is durable. The texts have no vector yet.
    Committed(Vec<Hash>),
    /// The database undid it.
    RolledBack(StoreError),
    /// Nobody knows: the connection ended, or the wait for a standby was cancelled.
    Unknown(String),
}

/// The connection of the writer, with its statements.
pub(crate) struct WriteConnection {
    connection: Connection,
    lock: Statement,
    known: Statement,
    texts: Statement,
    rows: Statement,
    head: Statement,
    jobs: Option<Statement>,
}

/// The texts of records, each once: many records of a group share theirs, and each row of a statement costs time.
fn distinct_texts<'a>(rows: &[NewRow<'a>]) -> Vec<&'a Text> {
    let mut texts: Vec<&Text> = rows.iter().filter_map(|row| row.text).collect();
    texts.sort_unstable_by_key(|text| text.hash);
    texts.dedup_by_key(|text| text.hash);
    texts
}

impl Known {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let columns = ["kind", "name", "namespace", "cluster", "phase", "action_type", "correlation_id"];
        let mut identifying: [String; 7] = Default::default();
        for (value, column) in identifying.iter_mut().zip(columns) {
            *value = row.try_get(column)?;
        }
        Ok(Self {
            event_id: row.try_get("event_id")?,
            seq: row.try_get("seq")?,
            recorded_at: row.try_get("recorded_at")?,
            recorded_by: row.try_get("recorded_by")?,
            content_hash: row.try_get("content_hash")?,
            redaction_version: row.try_get("redaction_version")?,
            identifying,
            occurred_at: row.try_get("occurred_at")?,
        })
    }
}

impl WriteConnection {
    /// Connects and prepares the statements. With `jobs`, texts without a vector get a job.
    pub(crate) async fn open(store: &Store, purpose: Purpose, jobs: bool) -> Result<Self, StoreError> {
        let connection = store.connect(purpose).await?;
        let jobs_sql = if store.has_vectors() { JOBS } else { JOBS_WITHOUT_VECTORS };
        let (lock, known, texts, rows, head) = try_join!(
            connection.prepare(LOCK),
            connection.prepare(KNOWN),
            connection.prepare(TEXTS),
            connection.prepare(ROWS),
            connection.prepare(HEAD),
        )?;
        let jobs = if jobs { Some(connection.prepare(jobs_sql).await?) } else { None };
        Ok(Self { connection, lock, known, texts, rows, head, jobs })
    }

    /// The connection, for statements outside of a transaction.
    pub(crate) fn client(&self) -> &tokio_postgres::Client {
        &self.connection
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// Closes the socket without another word.
    pub(crate) fn abandon(self) {
        self.connection.abandon();
    }

    /// Begins a transaction and locks the head; with `ids`, says which of them are there. The time is the database's, after the
    /// lock, and never before that of the newest record.
    ///
    /// The lock and the ids are two statements, because one statement would keep its view from before the wait for the lock.
    pub(crate) async fn begin(&self, ids: &[Uuid]) -> Result<(Head, Timestamp, Vec<Known>), StoreError> {
        self.connection.take_warning();
        let ((), head, known) = try_join!(
            self.connection.batch_execute(BEGIN),
            self.connection.query_one(&self.lock, &[]),
            self.known(ids)
        )?;
        let known = known.iter().map(Known::of).collect::<Result<_, _>>()?;
        Ok((Head::of(&head)?, head.try_get("now")?, known))
    }

    async fn known(&self, ids: &[Uuid]) -> Result<Vec<Row>, tokio_postgres::Error> {
        match (ids.iter().min(), ids.iter().max()) {
            (Some(first), Some(last)) => self.connection.query(&self.known, &[&ids, first, last]).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Inserts records and their texts, and waits for the answer.
    pub(crate) async fn insert(&self, rows: &[NewRow<'_>], recorded_at: Timestamp) -> Result<(), StoreError> {
        try_join!(self.insert_texts(rows), self.insert_rows(rows, recorded_at))?;
        Ok(())
    }

    /// Inserts records with their texts and jobs, moves the head and commits, all in one message.
    pub(crate) async fn insert_and_commit(&self, rows: &[NewRow<'_>], recorded_at: Timestamp) -> Ended {
        let (texts, inserted, ended) =
            future::join3(self.insert_texts(rows), self.insert_rows(rows, recorded_at), self.commit(rows, recorded_at))
                .await;
        for result in [texts, inserted] {
            match result {
                Err(error) if error.as_db_error().is_some() => return Ended::RolledBack(error.into()),
                Err(error) => return Ended::Unknown(super::error::describe(&error)),
                Ok(()) => {}
            }
        }
        ended
    }

    /// Adds the jobs of records that were inserted, moves the head behind the last of them and commits.
    pub(crate) async fn commit(&self, rows: &[NewRow<'_>], recorded_at: Timestamp) -> Ended {
        let (jobs, head, commit) = future::join3(
            self.insert_jobs(rows),
            self.move_head(rows, recorded_at),
            self.connection.batch_execute("COMMIT"),
        )
        .await;
        let (jobs, ()) = match (jobs, head) {
            (Ok(jobs), Ok(())) => (jobs, ()),
            (Err(error), _) | (_, Err(error)) if error.as_db_error().is_some() => {
                return Ended::RolledBack(error.into());
            }
            (Err(error), _) | (_, Err(error)) => return Ended::Unknown(super::error::describe(&error)),
        };
        match commit {
            Err(error) => Ended::Unknown(super::error::describe(&error)),
            // With synchronous standbys, a wait that is cancelled by an administrator ends with a warning and success.
            Ok(()) if self.connection.take_warning() => {
                Ended::Unknown("the database returned a warning for COMMIT".to_owned())
            }
            Ok(()) => Ended::Committed(jobs),
        }
    }

    /// Undoes the transaction.
    pub(crate) async fn rollback(&self) -> Result<(), StoreError> {
        Ok(self.connection.batch_execute("ROLLBACK").await?)
    }

    pub(crate) async fn savepoint(&self) -> Result<(), StoreError> {
        Ok(self.connection.batch_execute("SAVEPOINT part").await?)
    }

    pub(crate) async fn release(&self) -> Result<(), StoreError> {
        Ok(self.connection.batch_execute("RELEASE part").await?)
    }

    pub(crate) async fn rollback_to_savepoint(&self) -> Result<(), StoreError> {
        Ok(self.connection.batch_execute("ROLLBACK TO part; RELEASE part").await?)
    }

    async fn insert_texts(&self, rows: &[NewRow<'_>]) -> Result<(), tokio_postgres::Error> {
        let texts = distinct_texts(rows);
        if texts.is_empty() {
            return Ok(());
        }
        let hashes: Vec<&[u8]> = texts.iter().map(|text| text.hash.as_slice()).collect();
        let texts: Vec<&str> = texts.iter().map(|text| text.text.as_str()).collect();
        self.connection.execute(&self.texts, &[&hashes, &texts]).await.map(drop)
    }

    async fn insert_jobs(&self, rows: &[NewRow<'_>]) -> Result<Vec<Hash>, tokio_postgres::Error> {
        let hashes: Vec<&[u8]> = distinct_texts(rows).into_iter().map(|text| text.hash.as_slice()).collect();
        let Some(statement) = self.jobs.as_ref().filter(|_| !hashes.is_empty()) else { return Ok(Vec::new()) };
        let rows = self.connection.query(statement, &[&hashes]).await?;
        Ok(rows.iter().filter_map(|row| row.get::<_, &[u8]>(0).try_into().ok()).collect())
    }

    async fn move_head(&self, rows: &[NewRow<'_>], recorded_at: Timestamp) -> Result<(), tokio_postgres::Error> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        let before = first.link.seq - 1;
        let link = &last.link;
        self.connection
            .execute(&self.head, &[&link.seq, &link.hash.as_slice(), &link.key_id, &recorded_at, &before])
            .await
            .map(drop)
    }

    async fn insert_rows(&self, rows: &[NewRow<'_>], recorded_at: Timestamp) -> Result<(), tokio_postgres::Error> {
        fn column<'a, T>(rows: &[NewRow<'a>], value: impl Fn(&NewRow<'a>) -> T) -> Vec<T> {
            rows.iter().map(value).collect()
        }
        fn text<'a>(rows: &[NewRow<'a>], value: impl Fn(&'a Event) -> &'a Option<String>) -> Vec<Option<&'a str>> {
            rows.iter().map(|row| value(row.event).as_deref()).collect()
        }
        let Some(first) = rows.first() else { return Ok(()) };
        let actor = |part: fn(&audit::Actor) -> &Option<String>| -> Vec<Option<&str>> {
            rows.iter().map(|row| row.event.actor.as_ref().and_then(|actor| part(actor).as_deref())).collect()
        };
        self.connection
            .execute(
                &self.rows,
                &[
                    &column(rows, |row| row.event.event_id),
                    &column(rows, |row| row.link.seq),
                    &column(rows, |row| row.event.kind.as_str()),
                    &column(rows, |row| row.event.occurred_at),
                    &column(rows, |row| row.recorded_by),
                    &column(rows, |row| row.event.name.as_str()),
                    &column(rows, |row| row.event.namespace.as_str()),
                    &column(rows, |row| row.event.cluster.as_str()),
                    &column(rows, |row| row.event.phase.as_str()),
                    &column(rows, |row| row.event.status.map(audit::Status::as_str)),
                    &column(rows, |row| row.event.action_type.as_str()),
                    &column(rows, |row| row.event.correlation_id.as_str()),
                    &column(rows, |row| row.event.parent_event_id),
                    &text(rows, |event| &event.severity),
                    &text(rows, |event| &event.environment),
                    &text(rows, |event| &event.target_resource),
                    &text(rows, |event| &event.fingerprint),
                    &actor(|actor| &actor.r#type),
                    &actor(|actor| &actor.id),
                    &column(rows, |row| row.event.duration_ms),
                    &text(rows, |event| &event.trace_id),
                    &text(rows, |event| &event.summary),
                    &text(rows, |event| &event.error_message),
                    &column(rows, |row| Json(&row.event.data)),
                    &column(rows, |row| row.content_hash.as_slice()),
                    &rows.iter().map(|row| row.link.hash.as_slice()).collect::<Vec<_>>(),
                    &recorded_at,
                    &redact::VERSION,
                    &first.link.key_id,
                    &column(rows, |row| row.text.map(|text| text.hash.as_slice())),
                    &i16::from(VERSION),
                ],
            )
            .await
            .map(drop)
    }
}
