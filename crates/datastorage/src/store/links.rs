//! What verification reads: the records in the order of the chain, with their hashes.

use audit::{
    Record,
    chain::{self, Hash, Keys},
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Reader, Scope, Store, StoreError,
    chain::{Head, hash_of},
    select::{COLUMNS, record},
};

/// How many records are read at once.
const PAGE: i64 = 500;

/// A record with what the chain says about it.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) seq: i64,
    pub(crate) event_id: Uuid,
    /// None if the columns do not make a record, which only somebody can bring about who changes tables by hand.
    pub(crate) record: Option<Record>,
    pub(crate) content_hash: Vec<u8>,
    pub(crate) chain_hash: Vec<u8>,
    pub(crate) chain_key: i16,
    pub(crate) chain_version: i16,
}

impl Link {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let reader = Reader { scope: &Scope::Cluster, cluster: "" };
        Ok(Self {
            seq: row.try_get("seq")?,
            event_id: row.try_get("event_id")?,
            record: record(row, &reader).ok(),
            content_hash: row.try_get("content_hash")?,
            chain_hash: row.try_get("chain_hash")?,
            chain_key: row.try_get("chain_key")?,
            chain_version: row.try_get("chain_version")?,
        })
    }

    /// The hash that the record must have after another one. None if its key or its version is not
    /// known, or its columns make no record.
    pub(crate) fn hash(&self, keys: &Keys, previous: &Hash) -> Option<Hash> {
        let record = self.record.as_ref()?;
        let link = chain::Link {
            version: self.chain_version.try_into().ok()?,
            key_id: self.chain_key,
            seq: self.seq,
            recorded_at: record.recorded_at,
            recorded_by: &record.recorded_by,
            previous,
            content: &chain::content_hash(&record.event),
        };
        chain::chain_hash(keys, &link)
    }
}

impl Store {
    /// The newest record, as the table says that the writers lock.
    pub(crate) async fn chain_head(&self) -> Result<Head, StoreError> {
        let client = self.read().await?;
        let row =
            client.query_one("SELECT seq, hash, chain_key FROM chain_head ORDER BY seq DESC LIMIT 1", &[]).await?;
        client.done();
        Head::of(&row)
    }

    /// The next records after one, by their number. Two with the same number follow each other by their ids.
    pub(crate) async fn links(&self, after: (i64, Uuid), up_to: i64) -> Result<Vec<Link>, StoreError> {
        let client = self.read().await?;
        let sql = format!(
            "SELECT {COLUMNS}, content_hash, chain_key, chain_version FROM audit_event WHERE (seq, event_id) > ($1, $2) AND seq <= $3 \
             ORDER BY seq, event_id LIMIT $4"
        );
        let statement = client.prepare_cached(&sql).await?;
        let rows = client.query(&statement, &[&after.0, &after.1, &up_to, &PAGE]).await?;
        client.done();
        rows.iter().map(Link::of).collect()
    }

    /// The server's own records of one action with numbers from one to another, in the order of the chain.
    pub(crate) async fn system_links(&self, action: &str, from: i64, to: i64) -> Result<Vec<Link>, StoreError> {
        let client = self.read().await?;
        let sql = format!(
            "SELECT {COLUMNS}, content_hash, chain_key, chain_version FROM audit_event \
             WHERE kind = 'system' AND action_type = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq"
        );
        let rows = client.query(&sql, &[&action, &from, &to]).await?;
        client.done();
        rows.iter().map(Link::of).collect()
    }

    /// The first number of a record that is before the first or after the head. One statement sees one state of the database.
    pub(crate) async fn seq_outside_of_the_chain(&self) -> Result<Option<i64>, StoreError> {
        let client = self.read().await?;
        let sql = "SELECT coalesce((SELECT min(seq) FROM audit_event WHERE seq < 1), \
                   (SELECT min(seq) FROM audit_event WHERE seq > (SELECT max(seq) FROM chain_head)))";
        let row = client.query_one(sql, &[]).await?;
        client.done();
        Ok(row.try_get(0)?)
    }

    /// The hash of the record with a number.
    pub(crate) async fn hash_at(&self, seq: i64) -> Result<Option<Hash>, StoreError> {
        let client = self.read().await?;
        let row = client.query_opt("SELECT chain_hash FROM audit_event WHERE seq = $1 LIMIT 1", &[&seq]).await?;
        client.done();
        row.map(|row| hash_of(&row, "chain_hash")).transpose()
    }
}
