//! Makes the vectors of new texts.
//!
//! A text waits in the table of jobs until a worker of any replica takes it for the time of a lease. The worker asks the
//! provider while no transaction is open, and then writes the vector and removes the job in one statement. Whatever fails in
//! between, the job is still there when the lease is over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use embedding::{BATCH, EmbeddingError};
use tokio::{sync::Notify, time::timeout};

use crate::{
    embeddings::Embeddings,
    metrics::{DualWriteFailure, Metrics},
    store::{Job, ModelState, Store, StoreError},
};

/// How long the provider may take for 32 texts.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long other workers leave a text alone that was taken.
const LEASE: Duration = Duration::from_secs(30);
/// How often the worker looks for texts of other replicas, and for those that are due again.
const POLL: Duration = Duration::from_secs(2);
/// How often it looks whether the tables are still those of its model, and counts the texts that wait.
const LOOK: Duration = Duration::from_secs(15);
/// Shorter texts are not cut any more when the provider refuses them.
const SHORTEST: usize = 64;

/// See the module.
pub struct Worker {
    store: Store,
    embeddings: Embeddings,
    metrics: Arc<Metrics>,
    looked: Option<Instant>,
    settled: bool,
}

/// What a round did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// It took texts. More may be due.
    Worked,
    /// No text is due.
    Idle,
    /// The provider is left alone for a while, because it failed several times in a row.
    Resting(Duration),
    /// The tables cannot hold the vectors. The log says why.
    Unsettled,
}

impl Worker {
    /// A worker that has not begun.
    pub fn new(store: Store, embeddings: Embeddings, metrics: Arc<Metrics>) -> Self {
        Self { store, embeddings, metrics, looked: None, settled: false }
    }

    /// Looks at the tables, so that vectors are available from the first request on.
    pub async fn prepare(&mut self) {
        if let Err(error) = self.look().await
            && !error.is_told()
        {
            tracing::warn!(%error, "cannot check the tables for vectors, trying again");
        }
    }

    /// Works until it is dropped. `jobs` wakes it when this replica has written new texts.
    pub async fn run(mut self, jobs: Arc<Notify>) {
        loop {
            let wait = match self.round().await {
                Ok(Round::Worked) => continue,
                Ok(Round::Resting(rest)) => rest.min(POLL),
                Ok(Round::Idle | Round::Unsettled) => POLL,
                Err(error) => {
                    if !error.is_told() {
                        tracing::warn!(%error, "cannot make vectors, trying again");
                    }
                    POLL
                }
            };
            // Woken or not, it looks again.
            drop(timeout(wait, jobs.notified()).await);
        }
    }

    /// Takes the texts that are due, at most 32, and makes their vectors.
    pub async fn round(&mut self) -> Result<Round, StoreError> {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.look().await?;
        }
        if !self.settled {
            return Ok(Round::Unsettled);
        }
        let rest = self.embeddings.rest();
        if !rest.is_zero() {
            return Ok(Round::Resting(rest));
        }
        let jobs = self.store.claim_jobs(BATCH, LEASE).await?;
        if jobs.is_empty() {
            return Ok(Round::Idle);
        }
        self.work(&jobs).await?;
        Ok(Round::Worked)
    }

    /// Looks at the tables.
    async fn look(&mut self) -> Result<(), StoreError> {
        self.metrics.embedding_backlog(self.store.count_jobs().await?);
        let ours = self.embeddings.model();
        let refusal = if self.store.has_vectors() {
            match self.store.settle_model(ours).await? {
                ModelState::InUse => None,
                ModelState::Other(other) => Some(format!(
                    "the vectors in the database belong to the model {} with {} dimensions; change --embedding-model \
                     and --embedding-dimensions, or make new vectors with datastorage embed --reset",
                    other.name, other.dimensions
                )),
                ModelState::WrongLength(length) => Some(format!(
                    "the table for vectors has {length} dimensions; run datastorage embed --reset as the owner of the \
                     schema"
                )),
            }
        } else {
            Some("the database has no tables for vectors".to_owned())
        };
        self.settled = refusal.is_none();
        if self.embeddings.settle(self.settled) || self.looked.is_none() {
            let (model, dimensions) = (&ours.name, ours.dimensions);
            match refusal {
                None => tracing::info!(model, dimensions, "the worker can make vectors"),
                Some(reason) => {
                    tracing::warn!(model, dimensions, reason, "the worker cannot make vectors, so texts wait");
                }
            }
        }
        self.looked = Some(Instant::now());
        Ok(())
    }

    async fn work(&self, jobs: &[Job]) -> Result<(), StoreError> {
        // A text that failed before goes alone, so that it delays no other for the second time.
        let (first, again): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| job.attempts <= 1);
        let refused = if first.is_empty() { Vec::new() } else { self.embed(&first).await? };
        for job in refused.into_iter().chain(again) {
            self.embed_alone(job).await?;
        }
        Ok(())
    }

    /// Makes the vectors of texts in one request. Returns them if the provider refuses them.
    async fn embed<'a>(&self, jobs: &[&'a Job]) -> Result<Vec<&'a Job>, StoreError> {
        let texts: Vec<_> = jobs.iter().map(|job| job.text.as_str()).collect();
        match self.embeddings.embed(&texts, TIMEOUT).await {
            Ok(embedded) => self.finish(jobs, &embedded.vectors).await.map(|()| Vec::new()),
            Err(EmbeddingError::Refused(_)) => Ok(jobs.to_vec()),
            Err(error) => self.postpone(jobs, &error).await.map(|()| Vec::new()),
        }
    }

    /// Makes the vector of one text. If the provider refuses it, the text may be too long for it: then of its first half, and so
    /// on, since the beginning says what happened.
    async fn embed_alone(&self, job: &Job) -> Result<(), StoreError> {
        let mut text = job.text.as_str();
        loop {
            match self.embeddings.embed(&[text], TIMEOUT).await {
                Ok(embedded) => return self.finish(&[job], &embedded.vectors).await,
                Err(EmbeddingError::Refused(_)) if text.len() > SHORTEST => {
                    text = first_half(text);
                }
                Err(error) => return self.postpone(&[job], &error).await,
            }
        }
    }

    async fn finish(&self, jobs: &[&Job], vectors: &[Arc<[f32]>]) -> Result<(), StoreError> {
        let texts: Vec<_> = jobs.iter().map(|job| job.text_id).collect();
        let vectors: Vec<f32> = vectors.iter().flat_map(|vector| vector.iter().copied()).collect();
        match self.store.finish_jobs(self.embeddings.model(), &texts, vectors).await {
            Ok(records) => {
                self.metrics.dualwrite_success(records.unsigned_abs());
                Ok(())
            }
            Err(error) => {
                self.metrics.dualwrite_failure(DualWriteFailure::VectordbFailure, jobs.len() as u64);
                Err(error)
            }
        }
    }

    async fn postpone(&self, jobs: &[&Job], error: &EmbeddingError) -> Result<(), StoreError> {
        let texts: Vec<_> = jobs.iter().map(|job| job.text_id).collect();
        self.metrics.dualwrite_failure(DualWriteFailure::EmbeddingFailure, jobs.len() as u64);
        tracing::warn!(texts = texts.len(), %error, "the provider made no vectors for some texts, trying again");
        self.store.postpone_jobs(&texts, &error.to_string()).await
    }
}

fn first_half(text: &str) -> &str {
    let half = text.char_indices().map(|(at, _)| at).find(|at| *at >= text.len() / 2);
    &text[..half.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::first_half;

    #[test]
    fn a_half_ends_between_characters() {
        assert_eq!(first_half("abcd"), "ab");
        assert_eq!(first_half("aéé"), "aé");
        assert_eq!(first_half("é"), "é");
    }
}
