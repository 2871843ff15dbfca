//! A cache of answers of the API server.

use std::{
    hash::Hash,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use moka::{Expiry, future::Cache, policy::EvictionPolicy};

/// The API server gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unavailable;

/// An answer of the API server.
#[derive(Clone, Debug)]
pub(super) enum Answer<V> {
    /// Yes, until the token ends.
    Yes(V, Option<Timestamp>),
    /// No.
    No,
}

impl<V> Answer<V> {
    fn expires(&self) -> Option<Timestamp> {
        match self {
            Self::Yes(_, expires) => *expires,
            Self::No => None,
        }
    }

    /// What a yes is about. A token that has ended is a no.
    fn yes(self) -> Option<V> {
        match self {
            Self::Yes(value, expires) => expires.is_none_or(|end| Timestamp::now() < end).then_some(value),
            Self::No => None,
        }
    }
}

/// Answers to questions of one kind.
///
/// A fresh answer, yes or no, is given without asking. An old yes is given only while the API server has no answer.
pub(super) struct Answers<K, V> {
    fresh: Cache<K, Answer<V>>,
    old: Cache<K, Answer<V>>,
}

impl<K, V> Answers<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// At most `bytes` of answers of each age, where `weight` says how many bytes one has.
    pub(super) fn new(fresh: Duration, old: Duration, bytes: u64, weight: fn(&K, &Answer<V>) -> u32) -> Self {
        let cache = |life| {
            Cache::builder()
                .max_capacity(bytes)
                .weigher(weight)
                .eviction_policy(EvictionPolicy::lru())
                .expire_after(Life(life))
                .build()
        };
        Self { fresh: cache(fresh), old: cache(old) }
    }

    /// Whether there is any answer, fresh or old.
    pub(super) fn has(&self, key: &K) -> bool {
        self.fresh.contains_key(key) || self.old.contains_key(key)
    }

    /// The answer for `key`: a fresh answer from the cache, otherwise the result of `ask`, otherwise an old positive
    /// answer from the cache.
    ///
    /// Concurrent calls with the same key call `ask` once. Errors are never cached.
    pub(super) async fn get(
        &self,
        key: K,
        ask: impl AsyncFnOnce() -> Result<Answer<V>, Unavailable>,
    ) -> Result<Option<V>, Unavailable> {
        if let Some(answer) = self.fresh.get(&key).await {
            return Ok(answer.yes());
        }
        // On the heap, because a request to the API server is large and rare.
        let asked = Box::pin(self.fresh.try_get_with(key.clone(), async {
            let answer = ask().await?;
            match &answer {
                Answer::Yes(..) => self.old.insert(key.clone(), answer.clone()).await,
                Answer::No => self.old.invalidate(&key).await,
            }
            Ok(answer)
        }));
        match asked.await {
            Ok(answer) => Ok(answer.yes()),
            Err(unavailable) => match self.old.get(&key).await.and_then(Answer::yes) {
                Some(value) => Ok(Some(value)),
                None => Err(*unavailable),
            },
        }
    }
}

/// How long an answer lives: this long, but no longer than the token.
struct Life(Duration);

impl Life {
    fn of<V>(&self, answer: &Answer<V>) -> Duration {
        match answer.expires() {
            Some(end) => Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or_default().min(self.0),
            None => self.0,
        }
    }
}

impl<K, V> Expiry<K, Answer<V>> for Life {
    fn expire_after_create(&self, _key: &K, answer: &Answer<V>, _created_at: Instant) -> Option<Duration> {
        Some(self.of(answer))
    }

    fn expire_after_update(
        &self,
        _key: &K,
        answer: &Answer<V>,
        _updated_at: Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        Some(self.of(answer))
    }
}
