//! The errors of the HTTP API, as RFC 9457 writes them.

use serde::{Deserialize, Serialize};

use crate::FieldError;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! problems {
    ($($(#[$doc:meta])* $variant:ident = $status:literal, $urn:literal, $title:literal;)+) => {
        /// The types of problems.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ProblemType {
            $($(#[$doc])* #[serde(rename = $urn)] $variant,)+
        }

        impl ProblemType {
            /// All types.
            pub const ALL: &'static [ProblemType] = &[$(ProblemType::$variant,)+];

            /// The status code of the answer.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// The URN of the type.
            pub fn urn(self) -> &'static str {
                match self { $(Self::$variant => $urn,)+ }
            }

            /// The type in words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

problems! {
    /// The record or the query breaks a rule.
    ValidationError = 400, "urn:datastorage:problem:validation-error", "The request breaks a rule";
    /// The cursor is not one of this query.
    BadCursor = 400, "urn:datastorage:problem:bad-cursor", "The cursor does not belong to this query";
    /// No token, or one that is not valid.
    Unauthorized = 401, "urn:datastorage:problem:unauthorized", "A valid token is needed";
    /// The identity lacks a right.
    Forbidden = 403, "urn:datastorage:problem:forbidden", "The identity lacks a right";
    /// No such record, or none that the caller may read.
    NotFound = 404, "urn:datastorage:problem:not-found", "There is no such thing here";
    /// The path does not take this method.
    MethodNotAllowed = 405, "urn:datastorage:problem:method-not-allowed", "The path does not take this method";
    /// The id belongs to another record.
    Conflict = 409, "urn:datastorage:problem:conflict", "The id belongs to another record";
    /// The body is too large.
    PayloadTooLarge = 413, "urn:datastorage:problem:payload-too-large", "The body is too large";
    /// The body is not JSON by its header.
    UnsupportedMediaType = 415, "urn:datastorage:problem:unsupported-media-type", "The body must be application/json";
    /// The queue is full or the rate is exceeded.
    TooManyRequests = 429, "urn:datastorage:problem:too-many-requests", "Too many requests";
    /// A fault of the server.
    Internal = 500, "urn:datastorage:problem:internal", "The server failed";
    /// The database does not answer.
    DatabaseUnavailable = 503, "urn:datastorage:problem:database-unavailable", "The database is not available";
    /// The token cannot be checked.
    AuthUnavailable = 503, "urn:datastorage:problem:auth-unavailable", "Tokens cannot be checked at the moment";
    /// Vectors are asked for and not available.
    SearchUnavailable = 503, "urn:datastorage:problem:search-unavailable", "This search is not available at the moment";
    /// The answer took too long.
    Timeout = 504, "urn:datastorage:problem:timeout", "The request took too long";
}

/// The body of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The type, a URN.
    pub r#type: ProblemType,
    /// The type in words.
    pub title: String,
    /// The status code of the answer.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// The path of the request; absent in the results of a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The id of the request; absent in the results of a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What is wrong with which field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem of a type.
    pub fn new(r#type: ProblemType, detail: impl Into<String>) -> Self {
        Self {
            r#type,
            title: r#type.title().to_owned(),
            status: r#type.status(),
            detail: detail.into(),
            instance: None,
            request_id: None,
            errors: Vec::new(),
        }
    }

    /// A record or a query that breaks rules.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", one.field, one.message),
            many => format!("{} fields break a rule", many.len()),
        };
        Self { errors, ..Self::new(ProblemType::ValidationError, detail) }
    }

    /// The same problem, at a path and with the id of the request.
    #[must_use]
    pub fn at(mut self, instance: impl Into<String>, request_id: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self.request_id = Some(request_id.into());
        self
    }
}
