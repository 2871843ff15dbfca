//! The head of the chain.

use audit::chain::{Hash, Keys, Link, VERSION, chain_hash};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::{Store, StoreError};

/// The newest record of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its number; 0 before the first record.
    pub(crate) seq: i64,
    /// Its hash.
    pub(crate) hash: Hash,
    /// The key of its hash; 0 for none.
    pub(crate) key_id: i16,
}

/// A link that was put at the end of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Linked {
    pub(crate) seq: i64,
    pub(crate) hash: Hash,
    pub(crate) key_id: i16,
}

impl Head {
    /// Reads the columns `seq`, `hash` and `chain_key`.
    pub(super) fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { seq: row.try_get("seq")?, hash: hash_of(row, "hash")?, key_id: row.try_get("chain_key")? })
    }

    /// Whoever takes the key from the program must not be able to write on as if there had never been one. With an older key it
    /// would write records that verification takes for made up.
    pub(super) fn check_keys(&self, keys: &Keys) -> Result<(), StoreError> {
        if keys.current() < self.key_id {
            return Err(StoreError::unavailable(key_is_missing(self.key_id)));
        }
        Ok(())
    }

    /// The link of the next record, which becomes the head.
    pub(crate) fn push(
        &mut self,
        keys: &Keys,
        recorded_at: Timestamp,
        recorded_by: &str,
        content: &Hash,
    ) -> Result<Linked, StoreError> {
        self.check_keys(keys)?;
        let (seq, key_id) = (self.seq + 1, keys.current());
        let link = Link { version: VERSION, key_id, seq, recorded_at, recorded_by, previous: &self.hash, content };
        let hash = chain_hash(keys, &link)
            .ok_or_else(|| StoreError::unavailable(format!("the chain key {key_id} is missing")))?;
        *self = Self { seq, hash, key_id };
        Ok(Linked { seq, hash, key_id })
    }
}

/// Why a program without the key of the newest record does not write.
pub(super) fn key_is_missing(key_id: i16) -> String {
    format!(
        "the newest record has the chain key {key_id}, which is missing; start the service with \
         --chain-key-file={key_id}:<path>"
    )
}

/// A column with a SHA-256.
pub(super) fn hash_of(row: &Row, column: &str) -> Result<Hash, StoreError> {
    let hash: &[u8] = row.try_get(column)?;
    hash.try_into().map_err(|_| StoreError::unavailable(format!("the column {column} does not contain a SHA-256")))
}

/// Where the chain stood at a time. Whoever keeps it elsewhere can prove later that nothing before it was changed or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checkpoint {
    /// The number of the newest record. 0 before the first.
    pub seq: i64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
    /// The key of its hash. 0 for none.
    pub key_id: i16,
    /// The time of the database.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
}

impl Store {
    /// Fails if the program lacks the key of the newest record, or a newer one: it could not write.
    pub async fn check_keys(&self, keys: &Keys) -> Result<(), StoreError> {
        self.chain_head().await?.check_keys(keys)
    }

    /// The number of the newest record; 0 before the first.
    pub async fn newest_seq(&self) -> Result<i64, StoreError> {
        Ok(self.chain_head().await?.seq)
    }

    /// Where the chain stands.
    pub async fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        const SQL: &str = "SELECT seq, encode(hash, 'hex'), chain_key, now() FROM chain_head ORDER BY seq DESC LIMIT 1";
        let client = self.read().await?;
        let statement = client.prepare_cached(SQL).await?;
        let row = client.query_one(&statement, &[]).await?;
        client.done();
        Ok(Checkpoint { seq: row.try_get(0)?, hash: row.try_get(1)?, key_id: row.try_get(2)?, at: row.try_get(3)? })
    }
}
