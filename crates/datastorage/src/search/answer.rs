//! What a search returns.

use audit::Record;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Mode;

/// What a search returns.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Answer {
    /// The results, the best first.
    pub results: Vec<Found>,
    /// How records were looked for, as the query said.
    pub mode: Mode,
    /// Whether all matching records were compared. If not, a better result may be missing.
    pub exact: bool,
    /// The model whose vectors were compared. Null if none were.
    pub model: Option<String>,
    /// Why a hybrid search had only words: `vector_unavailable`. Null if it had both.
    pub degraded: Option<Degraded>,
}

/// Why a hybrid search had only words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Degraded {
    /// The provider or the vectors are not available, or embeddings are off.
    VectorUnavailable,
}

/// One result: a text, or a record that has none, and the records that share it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Found {
    /// The newest record that matches.
    #[schemars(with = "crate::api::schema::Record")]
    pub event: Record,
    /// How many records match and share the text. A lower bound if thousands match.
    pub matches: i64,
    /// When the first of them happened.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub first_at: Timestamp,
    /// When the last of them happened.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last_at: Timestamp,
    /// The sum of 1/(60+rank) over both lists. It orders results of one answer and means nothing beyond it.
    pub score: f64,
    /// The cosine similarity of the text and the query. Null if it was not found by meaning.
    pub similarity: Option<f64>,
    /// The place in the list by words, from 1. Null if it is not in it.
    pub text_rank: Option<u32>,
    /// The place in the list by meaning, from 1. Null if it is not in it.
    pub vector_rank: Option<u32>,
}
