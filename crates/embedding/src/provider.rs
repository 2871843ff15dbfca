//! The cache, the breaker and the requests together.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use moka::sync::Cache;
use sha2::{Digest as _, Sha256};

use crate::{
    EmbeddingError, SetupError,
    breaker::{Breaker, Refusal},
    request::Requests,
};

/// The most texts of one request.
pub const BATCH: usize = 32;

/// What an entry of the cache takes besides its vector.
const BYTES_OF_AN_ENTRY: usize = 128;

/// How the provider is reached, and how much is remembered.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The URL without `/v1/embeddings`.
    pub url: String,
    /// The name of the model at the provider.
    pub model: String,
    /// The length of its vectors.
    pub dimensions: usize,
    /// A file with the bearer token. It is read for each request.
    pub token_file: Option<PathBuf>,
    /// A file with the certificates of the CA that signed the certificate of the provider. `None` means the CAs of the
    /// system.
    pub ca: Option<PathBuf>,
    /// The size of the cache.
    pub cache_bytes: u64,
    /// How long the cache keeps a vector.
    pub cache_ttl: Duration,
}

/// The vectors of some texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// The vectors in the order of the texts. Each has the length 1.
    pub vectors: Vec<Arc<[f32]>>,
    /// How many of them were in the cache.
    pub cached: usize,
    /// How long the provider took for the others. None if it was not asked.
    pub took: Option<Duration>,
}

/// A provider of vectors. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Provider {
    requests: Arc<Requests>,
    cache: Cache<[u8; 32], Arc<[f32]>>,
    breaker: Arc<Mutex<Breaker>>,
}

impl Provider {
    /// Prepares the requests. Connects when the first vector is needed.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        let cache = Cache::builder()
            .weigher(|_: &[u8; 32], vector: &Arc<[f32]>| {
                let bytes = BYTES_OF_AN_ENTRY + size_of_val::<[f32]>(vector);
                u32::try_from(bytes).unwrap_or(u32::MAX)
            })
            .max_capacity(settings.cache_bytes)
            .time_to_live(settings.cache_ttl)
            .build();
        Ok(Self { requests: Arc::new(Requests::new(settings)?), cache, breaker: Arc::default() })
    }

    /// The name of the model.
    pub fn model(&self) -> &str {
        &self.requests.model
    }

    /// The length of each vector.
    pub fn dimensions(&self) -> usize {
        self.requests.dimensions
    }

    /// The time until the next request to the provider is allowed, after several failures in a row. Zero if it is
    /// allowed now.
    pub fn rest(&self) -> Duration {
        self.breaker().rest(Instant::now())
    }

    /// The vectors of `texts`. Asks the cache first, and then the provider for [`BATCH`] texts at a time, each time within
    /// `timeout`. Fails as a whole, but the cache keeps the vectors of requests that succeeded.
    pub async fn embed(&self, texts: &[&str], timeout: Duration) -> Result<Embedded, EmbeddingError> {
        let keys: Vec<_> = texts.iter().map(|text| self.key(text)).collect();
        let mut vectors: Vec<_> = keys.iter().map(|key| self.cache.get(key)).collect();
        let missing: Vec<_> = (0..texts.len()).filter(|&place| vectors[place].is_none()).collect();
        let mut took = None;
        for places in missing.chunks(BATCH) {
            let batch: Vec<_> = places.iter().map(|&place| texts[place]).collect();
            let start = Instant::now();
            for (&place, vector) in places.iter().zip(self.ask(&batch, timeout).await?) {
                self.cache.insert(keys[place], Arc::clone(&vector));
                vectors[place] = Some(vector);
            }
            took = Some(took.unwrap_or_default() + start.elapsed());
        }
        Ok(Embedded { vectors: vectors.into_iter().flatten().collect(), cached: texts.len() - missing.len(), took })
    }

    /// One request, if the breaker lets it through.
    async fn ask(&self, texts: &[&str], timeout: Duration) -> Result<Vec<Arc<[f32]>>, EmbeddingError> {
        let asked = self.breaker().ask(Instant::now());
        asked.map_err(|Refusal { failures, retry_after }| EmbeddingError::Open { failures, retry_after })?;
        let attempt = Attempt { breaker: &self.breaker, over: false };
        let result = match tokio::time::timeout(timeout, self.requests.send(texts)).await {
            Ok(result) => result,
            Err(_) => Err(EmbeddingError::Failed(format!("it did not answer within {timeout:?}"))),
        };
        attempt.end(&result);
        result
    }

    fn key(&self, text: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in [self.model(), text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way. Dropped with its caller, it counts neither as a failure nor as a success.
struct Attempt<'a> {
    breaker: &'a Mutex<Breaker>,
    over: bool,
}

impl Attempt<'_> {
    fn end<T>(mut self, result: &Result<T, EmbeddingError>) {
        self.over = true;
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            // A provider that refuses a text works.
            Ok(_) | Err(EmbeddingError::Refused(_)) => breaker.succeeded(),
            Err(_) => breaker.failed(Instant::now()),
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.breaker.lock().unwrap_or_else(PoisonError::into_inner).abandoned();
        }
    }
}
