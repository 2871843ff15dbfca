//! What `datastorage check` says about the database.

use serde::Serialize;

use super::{Store, StoreError, connect::Purpose};

/// The state of the database as one role sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// The role of the connection.
    pub role: String,
    /// Whether the role owns the records or is a superuser.
    pub owner: bool,
    /// The rights on records that a service does not need.
    pub can_change: Vec<String>,
    /// The version of TLS; none without TLS.
    pub tls: Option<String>,
    /// The number of the newest record.
    pub seq: i64,
    /// The months of which partitions exist.
    pub months: Vec<String>,
}

impl Store {
    /// What `datastorage check` says.
    pub async fn state(&self) -> Result<State, StoreError> {
        let client = self.connect(Purpose::Admin).await?;
        let sql = "SELECT current_user::text, \
                   (SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = 'audit_event'::regclass), \
                   ARRAY(SELECT r FROM unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS r \
                         WHERE has_table_privilege('audit_event', r)), \
                   (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl), \
                   (SELECT max(seq) FROM chain_head), \
                   ARRAY(SELECT c.relname::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid \
                         WHERE inhparent = 'audit_event'::regclass ORDER BY c.relname)";
        let row = client.query_one(sql, &[]).await?;
        Ok(State {
            role: row.try_get(0)?,
            owner: row.try_get(1)?,
            can_change: row.try_get(2)?,
            tls: row.try_get(3)?,
            seq: row.try_get(4)?,
            months: row.try_get(5)?,
        })
    }
}
