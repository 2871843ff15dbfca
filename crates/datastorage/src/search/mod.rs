//! Words and vectors, fused.
//!
//! [`Query`] is what a client asks and [`Answer`] what it gets. Everything in an answer, also counts and places, is computed
//! from the records that the reader may see.

mod answer;
mod fuse;
mod query;
mod words;

use std::{collections::HashMap, time::Duration};

use audit::{FieldError, embedding_text};
use jiff::Timestamp;

use self::fuse::{Fused, fuse};
pub use self::{
    answer::{Answer, Degraded, Found},
    query::{Checked, DEFAULT_LIMIT, MAX_LIMIT, MAX_QUERY, Mode, Query},
};
use crate::{
    api::App,
    store::{Hit, Hits, Near, Nearest, Reader, Scope, StoreError},
};

/// How long the provider may take for the query. A hybrid search then goes on with words.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a search may look for records that have some of the words, after no record has all of them.
const WIDER_TIMEOUT: Duration = Duration::from_millis(500);

/// Why a search has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// Fields of the query break their rules.
    #[error("the query is not valid")]
    Invalid(Vec<FieldError>),
    /// A search by meaning needs vectors, and there are none.
    #[error("vectors are not available: {0}")]
    Unavailable(String),
    /// The database has no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Searches the records that `scope` contains.
pub async fn search(app: &App, scope: Scope, query: &Query) -> Result<Answer, SearchError> {
    let checked = query.check(Timestamp::now()).map_err(SearchError::Invalid)?;
    let reader = Reader { scope: &scope, cluster: &app.cluster };
    let (mut by_words, by_meaning) = match checked.mode {
        Mode::Text => (by_words(app, &reader, &checked).await?, None),
        Mode::Vector => (Hits { hits: Vec::new(), exact: true }, Some(by_meaning(app, &reader, &checked).await?)),
        Mode::Hybrid => {
            let (words, meaning) = tokio::join!(by_words(app, &reader, &checked), by_meaning(app, &reader, &checked));
            (words?, available(meaning)?)
        }
    };
    let found_nothing = by_words.hits.is_empty() && by_meaning.as_ref().is_none_or(|meaning| meaning.near.is_empty());
    if checked.mode == Mode::Hybrid && found_nothing {
        by_words = by_some_words(app, &reader, &checked, by_words).await?;
    }
    let degraded = (checked.mode == Mode::Hybrid && by_meaning.is_none()).then_some(Degraded::VectorUnavailable);
    let exact = by_words.exact && by_meaning.as_ref().is_none_or(|meaning| meaning.exact);
    let (near, model) = by_meaning.map_or_else(Default::default, |meaning| (meaning.near, Some(meaning.model)));
    let mut best = fuse(by_words.hits, &near);
    best.truncate(checked.limit);
    let results = complete(app, &reader, &checked, best).await?;
    Ok(Answer { results, mode: checked.mode, exact, model, degraded })
}

/// What a search by meaning found.
struct Meaning {
    near: Vec<Near>,
    exact: bool,
    model: String,
}

async fn by_words(app: &App, reader: &Reader<'_>, checked: &Checked) -> Result<Hits, SearchError> {
    app.metrics.search_path("text");
    Ok(app.store.by_words(reader, &checked.matching, &words::of(&checked.text)).await?)
}

/// What some of the words find, where nothing has all of them: one word too many in a question should not hide everything else.
/// The records that lack one word come before those that lack more.
async fn by_some_words(app: &App, reader: &Reader<'_>, checked: &Checked, all: Hits) -> Result<Hits, SearchError> {
    let wider = async {
        for words in words::wider(&words::of(&checked.text)) {
            let some = app.store.by_words(reader, &checked.matching, &words).await?;
            if !some.hits.is_empty() {
                return Ok(some);
            }
        }
        Ok(all)
    };
    match tokio::time::timeout(WIDER_TIMEOUT, wider).await {
        Ok(found) => found,
        // The records that have all words were looked for, and there are none: this is an answer.
        Err(_elapsed) => Ok(Hits { hits: Vec::new(), exact: false }),
    }
}

async fn by_meaning(app: &App, reader: &Reader<'_>, checked: &Checked) -> Result<Meaning, SearchError> {
    let unavailable = |reason: &str| SearchError::Unavailable(reason.to_owned());
    let embeddings = app.embedding.as_ref().ok_or_else(|| unavailable("--embedding is off"))?;
    if !app.store.has_vectors() {
        return Err(unavailable("the database has no tables for vectors"));
    }
    // With the placeholders that the texts of records have.
    let text = embedding_text::normalise(&checked.text);
    let embedded = embeddings.embed(&[&text], PROVIDER_TIMEOUT).await;
    let embedded = embedded.map_err(|error| SearchError::Unavailable(error.to_string()))?;
    let vector = embedded.vectors.first().ok_or_else(|| unavailable("the provider returned no vector"))?;
    let model = embeddings.model();
    let nearest = app.store.nearest(reader, &checked.matching, model, vector).await?;
    let Nearest { mut near, plan, exact } =
        nearest.ok_or_else(|| unavailable("the vectors in the database belong to another model"))?;
    app.metrics.search_path(plan.as_str());
    near.retain(|near| checked.min_similarity.is_none_or(|least| near.similarity >= least.into()));
    Ok(Meaning { near, exact, model: model.name.clone() })
}

/// None if there are no vectors. A hybrid search then goes on with words.
fn available(meaning: Result<Meaning, SearchError>) -> Result<Option<Meaning>, SearchError> {
    match meaning {
        Ok(meaning) => Ok(Some(meaning)),
        Err(SearchError::Unavailable(reason)) => {
            tracing::debug!(reason, "the search has only words");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Adds the records. A record whose month was dropped a moment ago is left out.
async fn complete(
    app: &App,
    reader: &Reader<'_>,
    checked: &Checked,
    mut best: Vec<Fused>,
) -> Result<Vec<Found>, StoreError> {
    let by_meaning_alone = best.iter().filter(|fused| fused.hit.is_none()).filter_map(|fused| fused.text_id).collect();
    let hits = app.store.matches(reader, &checked.matching, by_meaning_alone).await?;
    let mut hits: HashMap<_, _> = hits.into_iter().map(|hit| (hit.text_id, hit)).collect();
    for fused in &mut best {
        if fused.hit.is_none() {
            fused.hit = hits.remove(&fused.text_id);
        }
    }
    let ids = best.iter().filter_map(|fused| Some(fused.hit.as_ref()?.newest)).collect();
    let records = app.store.records(reader, ids).await?;
    let mut records: HashMap<_, _> = records.into_iter().map(|record| (record.event.event_id, record)).collect();
    let found = best.into_iter().filter_map(|fused| {
        let Hit { newest, matches, first_at, last_at, .. } = fused.hit?;
        Some(Found {
            event: records.remove(&newest)?,
            matches,
            first_at,
            last_at,
            score: fused.score,
            similarity: fused.similarity,
            text_rank: fused.text_rank,
            vector_rank: fused.vector_rank,
        })
    });
    Ok(found.collect())
}
