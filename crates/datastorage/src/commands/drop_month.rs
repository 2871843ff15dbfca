//! `datastorage drop-month`

use anyhow::Result;
use audit::chain::Keys;

use crate::{
    args::{Database, DropMonth},
    store::Store,
};

/// Drops the records of a month, and writes a record into the chain that says which ones they were.
pub async fn drop_month(database: &Database, flags: &DropMonth) -> Result<()> {
    let keys = Keys::from_files(&flags.chain_key_files)?;
    let store = Store::new(&database.settings()?)?;
    let dropped = store.drop_month(&flags.month, &keys).await?;
    tracing::info!(month = flags.month, records = dropped.records, texts = dropped.texts, "the month was dropped");
    Ok(())
}
