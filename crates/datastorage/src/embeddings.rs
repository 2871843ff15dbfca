//! The provider of vectors as the service uses it: counted, and known to be usable or not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use embedding::{Embedded, EmbeddingError, Provider};

use crate::{metrics::Metrics, store::Model};

/// Vectors of one model. Cheap to clone.
#[derive(Clone)]
pub struct Embeddings {
    provider: Provider,
    model: Model,
    /// Whether the tables can hold the vectors of the model, as the worker saw it last.
    settled: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

impl Embeddings {
    /// Vectors of a provider. They are not available before the worker has looked at the tables.
    pub fn new(provider: Provider, metrics: Arc<Metrics>) -> Self {
        let dimensions = i32::try_from(provider.dimensions()).unwrap_or(i32::MAX);
        let model = Model { name: provider.model().to_owned(), dimensions };
        Self { provider, model, settled: Arc::default(), metrics }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Whether a text that is written now gets its vector soon: the tables can hold it, and the provider did not fail several
    /// times in a row.
    pub fn available(&self) -> bool {
        self.settled.load(Ordering::Acquire) && self.provider.rest().is_zero()
    }

    /// How long the provider is left alone, because it failed. Zero if it may be asked now.
    pub fn rest(&self) -> Duration {
        self.provider.rest()
    }

    /// Notes down whether the tables can hold the vectors of the model, and says whether that is new.
    pub(crate) fn settle(&self, settled: bool) -> bool {
        self.settled.swap(settled, Ordering::AcqRel) != settled
    }

    /// The vectors of texts, from the cache or the provider, which has so much time for each 32 texts.
    pub async fn embed(&self, texts: &[&str], timeout: Duration) -> Result<Embedded, EmbeddingError> {
        let embedded = self.provider.embed(texts, timeout).await?;
        self.metrics.cache(embedded.cached as u64, (texts.len() - embedded.cached) as u64);
        if let Some(took) = embedded.took {
            self.metrics.embedding_duration(took);
        }
        Ok(embedded)
    }
}
