//! `datastorage drop-month`

use anyhow::Result;
use audit::chain::Keys;

use crate::{
    args::{Database, DropMonth},
    store::Store,
};

/// Drops the records of a month, and adds a record with their numbers to the chain.
pub async fn drop_month(database: &Database, flags: &DropMonth) -> Result<()> {
    let keys = Keys::from_files(&flags.chain_key_files)?;
    let store = Store::new(&database.settings()?)?;
    let dropped = store.drop_month(&flags.month, &keys).await?;
    tracing::info!(month = flags.month, records = dropped.records, texts = dropped.texts, "dropped a month");
    Ok(())
}
