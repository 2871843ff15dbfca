//! The errors of the HTTP API, in the format of RFC 9457.

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
    /// The record or the query is invalid.
    ValidationError = 400, "urn:datastorage:problem:validation-error", "The request is invalid";
    /// The cursor does not belong to this query.
    BadCursor = 400, "urn:datastorage:problem:bad-cursor", "The cursor does not belong to this query";
    /// The request has no valid token.
    Unauthorized = 401, "urn:datastorage:problem:unauthorized", "A valid token is required";
    /// The identity does not have the permission.
    Forbidden = 403, "urn:datastorage:problem:forbidden", "The identity does not have the permission";
    /// The record does not exist, or the client is not allowed to read it.
    NotFound = 404, "urn:datastorage:problem:not-found", "Not found";
    /// The path does not support this method.
    MethodNotAllowed = 405, "urn:datastorage:problem:method-not-allowed", "The path does not support this method";
    /// The id belongs to another record.
    Conflict = 409, "urn:datastorage:problem:conflict", "The id belongs to another record";
    /// The body is too large.
    PayloadTooLarge = 413, "urn:datastorage:problem:payload-too-large", "The body is too large";
    /// The body does not have the type `application/json`.
    UnsupportedMediaType = 415, "urn:datastorage:problem:unsupported-media-type", "The body must have the type \
                                 application/json";
    /// The queue is full or the rate is exceeded.
    TooManyRequests = 429, "urn:datastorage:problem:too-many-requests", "Too many requests";
    /// An internal error.
    Internal = 500, "urn:datastorage:problem:internal", "Internal error";
    /// The database does not answer.
    DatabaseUnavailable = 503, "urn:datastorage:problem:database-unavailable", "The database is not available";
    /// The service cannot check the token.
    AuthUnavailable = 503, "urn:datastorage:problem:auth-unavailable", "The service cannot check tokens at the moment";
    /// The search needs vectors, and they are not available.
    SearchUnavailable = 503, "urn:datastorage:problem:search-unavailable", "This search is not available at the moment";
    /// The request took too long.
    Timeout = 504, "urn:datastorage:problem:timeout", "The request took too long";
}

/// An error, as RFC 9457 describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct Problem {
    /// The type, a URN.
    #[cfg_attr(feature = "schemars", schemars(with = "String"))]
    pub r#type: ProblemType,
    /// The type in words.
    pub title: String,
    /// The status code of the answer.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// The path of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The id of the request, which the log of the service contains.
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

    /// An invalid record or query.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", one.field, one.message),
            many => format!("{} fields are invalid", many.len()),
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
