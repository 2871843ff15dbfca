//! What a client asks, and the same after every field was checked.

use std::{str::FromStr, time::Duration};

use audit::{FieldError, Kind, Reason, Status, redact};
use jiff::{SignedDuration, Span, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::store::{Filters, Matching};

/// The maximum number of characters in a query.
pub const MAX_QUERY: usize = 2048;
/// The maximum number of results.
pub const MAX_LIMIT: u32 = 50;
/// The default number of results.
pub const DEFAULT_LIMIT: u32 = 10;
/// The maximum number of characters in a filter.
const MAX_FILTER: usize = 255;

/// How the search finds records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By words and by meaning. Only by words if vectors are not available. If nothing is found, a query of plain words finds the
    /// records that contain some of them.
    #[default]
    Hybrid,
    /// By words. A record must have all of them.
    Text,
    /// By meaning. Fails if vectors are not available.
    Vector,
}

/// The body of a search. An empty value of a filter does not filter.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    /// The search text, 1 to 2,048 characters: words, "phrases in quotes", `or`, and -words that must not occur.
    pub query: String,
    /// How the search finds records.
    pub mode: Mode,
    /// Only records of these kinds.
    pub kinds: Vec<String>,
    /// Only records of this namespace.
    pub namespace: String,
    /// Only records of this cluster.
    pub cluster: String,
    /// Only records with this action.
    pub action_type: String,
    /// Only records with this status.
    pub status: String,
    /// Only records whose id has this time or a later one. The value is a time (RFC 3339), or a duration before now
    /// such as `24h` or `90d`.
    pub since: String,
    /// Only records whose id has an earlier time. The value is a time (RFC 3339), or a duration before now.
    pub until: String,
    /// The maximum number of results, 1 to 50. The default is 10.
    pub limit: Option<u32>,
    /// The minimum similarity of results by meaning, from 0 to 1.
    pub min_similarity: Option<f32>,
}

/// A query with valid fields and without secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The words, redacted.
    pub text: String,
    /// How the search finds records.
    pub mode: Mode,
    /// Which records can be found.
    pub matching: Matching,
    /// The most results.
    pub limit: usize,
    /// The least similarity of a result that was found by meaning alone.
    pub min_similarity: Option<f32>,
}

impl Query {
    /// Checks every field and redacts the text. Returns what is wrong with each field.
    ///
    /// # Errors
    /// Has one error for each field that breaks its rules.
    pub fn check(&self, now: Timestamp) -> Result<Checked, Vec<FieldError>> {
        let mut errors = Vec::new();
        let text = self.text(&mut errors);
        let kinds = self.kinds.iter().filter_map(|kind| word::<Kind>("kinds", kind, &mut errors)).collect();
        let status = optional(&self.status).and_then(|status| word::<Status>("status", status, &mut errors));
        let filters = Filters {
            namespace: short("namespace", &self.namespace, &mut errors),
            cluster: short("cluster", &self.cluster, &mut errors),
            action_type: short("action_type", &self.action_type, &mut errors),
            status,
            since: optional(&self.since).and_then(|time| instant("since", time, now, &mut errors)),
            until: optional(&self.until).and_then(|time| instant("until", time, now, &mut errors)),
            ..Filters::default()
        };
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            errors.push(FieldError::new("limit", Reason::Invalid, format!("must be from 1 to {MAX_LIMIT}")));
        }
        let min_similarity = self.min_similarity;
        if min_similarity.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
            errors.push(FieldError::new("min_similarity", Reason::Invalid, "must be from 0 to 1"));
        }
        if errors.is_empty() {
            Ok(Checked {
                text,
                mode: self.mode,
                matching: Matching { kinds, filters },
                limit: limit as usize,
                min_similarity,
            })
        } else {
            Err(errors)
        }
    }

    /// The text without secrets: it goes to the database and to the provider.
    fn text(&self, errors: &mut Vec<FieldError>) -> String {
        let text = self.query.as_str();
        let error = if text.is_empty() {
            Some((Reason::Required, "must not be empty".to_owned()))
        } else if text.trim().is_empty() {
            Some((Reason::WhitespaceOnly, "must not contain only white space".to_owned()))
        } else if text.chars().count() > MAX_QUERY {
            Some((Reason::LengthExceeded, format!("must have at most {MAX_QUERY} characters")))
        } else if text.contains('\0') {
            Some((Reason::Invalid, "must not contain the character U+0000".to_owned()))
        } else {
            None
        };
        if let Some((reason, message)) = error {
            errors.push(FieldError::new("query", reason, message));
            return String::new();
        }
        redact::text(text).0.into_owned()
    }
}

/// None for an empty filter.
fn optional(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// A word of a closed vocabulary.
fn word<T: FromStr<Err: ToString>>(field: &str, text: &str, errors: &mut Vec<FieldError>) -> Option<T> {
    let parsed = text.parse();
    parsed.map_err(|error| errors.push(FieldError::new(field, Reason::Invalid, T::Err::to_string(&error)))).ok()
}

/// A filter that is compared as it is.
fn short(field: &str, text: &str, errors: &mut Vec<FieldError>) -> Option<String> {
    let text = optional(text)?;
    if text.chars().count() > MAX_FILTER {
        let message = format!("must have at most {MAX_FILTER} characters");
        errors.push(FieldError::new(field, Reason::LengthExceeded, message));
    } else if text.contains('\0') {
        errors.push(FieldError::new(field, Reason::Invalid, "must not contain the character U+0000"));
    }
    Some(text.to_owned())
}

/// A time of RFC 3339, or a duration before `now`.
fn instant(field: &str, text: &str, now: Timestamp, errors: &mut Vec<FieldError>) -> Option<Timestamp> {
    let time = text.parse::<Timestamp>().ok().or_else(|| ago(text, now));
    if time.is_none() {
        let message = "must be a time of RFC 3339 or a duration such as 24h or 90d";
        errors.push(FieldError::new(field, Reason::Invalid, message));
    }
    time
}

/// `now` minus a duration. A day has 24 hours. Calendar units such as months are refused, because they have no length.
fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let span: Span = text.parse().ok()?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return None;
    }
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    if length < SignedDuration::ZERO {
        return None;
    }
    now.checked_sub(Duration::try_from(length).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-25T12:00:00Z".parse().unwrap()
    }

    fn query(text: &str) -> Query {
        Query { query: text.to_owned(), ..Query::default() }
    }

    #[test]
    fn a_query_of_words_alone_is_hybrid_and_has_ten_results() {
        let checked = query("oom killed").check(now()).unwrap();
        assert_eq!(checked.text, "oom killed");
        assert_eq!((checked.mode, checked.limit, checked.min_similarity), (Mode::Hybrid, 10, None));
        assert_eq!(checked.matching, Matching::default());
    }

    #[test]
    fn every_wrong_field_is_named() {
        let wrong = Query {
            query: " ".to_owned(),
            kinds: vec!["execution".to_owned(), "nonsense".to_owned()],
            namespace: "n".repeat(256),
            status: "odd".to_owned(),
            since: "yesterday".to_owned(),
            until: "-2h".to_owned(),
            limit: Some(51),
            min_similarity: Some(1.5),
            ..Query::default()
        };
        let errors = wrong.check(now()).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["query", "kinds", "status", "namespace", "since", "until", "limit", "min_similarity"]);
    }

    #[test]
    fn times_are_rfc_3339_or_durations_before_now() {
        let mut query = query("x");
        query.since = "90d".to_owned();
        query.until = "2026-11-25T11:00:00+01:00".to_owned();
        let filter = query.check(now()).unwrap().matching.filters;
        assert_eq!(filter.since, Some("2026-08-27T12:00:00Z".parse().unwrap()));
        assert_eq!(filter.until, Some("2026-11-25T10:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_duration_of_months_or_beyond_the_first_year_is_refused() {
        for since in ["3mo", "1y", "999999999d", "5", ""] {
            let query = Query { since: since.to_owned(), ..query("x") };
            assert_eq!(query.check(now()).is_err(), !since.is_empty(), "{since}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused() {
        assert!(serde_json::from_str::<Query>(r#"{"query":"x","limit":5}"#).is_ok());
        assert!(serde_json::from_str::<Query>(r#"{"query":"x","limmit":5}"#).is_err());
    }
}
