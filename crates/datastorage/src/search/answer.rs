//! The response to a search.

use audit::Record;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Mode;

/// The response to a search.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Answer {
    /// The results, with the best one first.
    pub results: Vec<Found>,
    /// The mode of the query.
    pub mode: Mode,
    /// Whether the service compared all records that match the filters. If it did not, a better result may be missing.
    pub exact: bool,
    /// The model of the vectors that were compared. Null if no vectors were compared.
    pub model: Option<String>,
    /// The reason why a hybrid search used only words: `vector_unavailable`. Null if it used words and vectors.
    pub degraded: Option<Degraded>,
}

/// The reason why a hybrid search used only words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Degraded {
    /// The provider or the vectors are not available, or embeddings are off.
    VectorUnavailable,
}

/// One result: a text and the records with this text, or a record without a text.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Found {
    /// The newest matching record.
    pub event: Record,
    /// The number of matching records with this text. If there are more than 1,000, the real number can be larger.
    pub matches: i64,
    /// The time of the first of these records.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub first_at: Timestamp,
    /// The time of the last of these records.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last_at: Timestamp,
    /// The sum of 1/(60+rank) over both lists. You cannot compare the scores of different queries.
    pub score: f64,
    /// The cosine similarity of the text and the query. Null if the text was not found by meaning.
    pub similarity: Option<f64>,
    /// The rank in the list by words, from 1. Null if the text is not in this list.
    pub text_rank: Option<u32>,
    /// The rank in the list by meaning, from 1. Null if the text is not in this list.
    pub vector_rank: Option<u32>,
}
