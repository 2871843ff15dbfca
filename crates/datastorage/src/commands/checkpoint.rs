//! Checkpoints on standard output, for a log that the owner of the database cannot change.

use std::time::Duration;

use serde_json::json;

use super::print;
use crate::store::Store;

/// How often a checkpoint is written.
const EVERY: Duration = Duration::from_secs(3600);
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// Writes a checkpoint as a line of JSON at once and every hour. Never ends.
///
/// Without a checkpoint, `verify` cannot find out that somebody removed the newest records and the end of the chain.
pub async fn print_checkpoints(store: Store) {
    loop {
        let wait = match store.checkpoint().await {
            Ok(checkpoint) => {
                if let Err(error) = print(&json!({ "checkpoint": checkpoint }).to_string()) {
                    tracing::warn!("cannot write a checkpoint to standard output: {error}");
                }
                EVERY
            }
            Err(error) if error.is_told() => RETRY,
            Err(error) => {
                tracing::warn!("cannot read the newest record for a checkpoint, trying again in a minute: {error}");
                RETRY
            }
        };
        tokio::time::sleep(wait).await;
    }
}
