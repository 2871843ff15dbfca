//! `datastorage embed`

use anyhow::{Context as _, Result, bail};

use super::print;
use crate::{
    args::{Database, Embed},
    store::{self, MigrateMode, MigrateOptions, Model, Store},
};

/// Queues texts for the provider: those without a vector, or with `--reset` all of them. The running service then makes their
/// vectors.
pub async fn embed(database: &Database, flags: &Embed) -> Result<()> {
    let store = Store::new(&database.settings()?)?;
    let options = MigrateOptions { mode: MigrateMode::Check, ..MigrateOptions::default() };
    if let Err(reason) = store::migrate(&store, &options).await?.vectors {
        bail!("cannot use vectors: {reason}");
    }
    if flags.reset {
        let model = Model { name: flags.embedding_model.clone(), dimensions: flags.embedding_dimensions.into() };
        store.reset_model(&model).await.context("cannot remove the vectors; connect as the owner of the schema")?;
        print(&format!(
            "The table is ready for vectors of the model {} with {} dimensions.",
            model.name, model.dimensions
        ))?;
    }
    let queued = store.fill_jobs().await?;
    let waiting = store.count_jobs().await?;
    print(&format!(
        "Queued texts: {queued}. Texts that wait for a vector: {waiting}. The service makes the vectors while it runs."
    ))?;
    Ok(())
}
