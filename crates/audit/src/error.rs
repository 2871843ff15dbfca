//! What is wrong with a field.

use serde::{Deserialize, Serialize};

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub struct FieldError {
    /// The field, for example `actor.id`, or `body` if no field can be named.
    pub field: String,
    /// What kind of error it is.
    pub reason: Reason,
    /// What is wrong and what is expected.
    pub message: String,
}

impl FieldError {
    /// An error of one field.
    pub fn new(field: impl Into<String>, reason: Reason, message: impl Into<String>) -> Self {
        Self { field: field.into(), reason, message: message.into() }
    }

    /// The field as a label of a metric: one of a closed list, whatever a client sends; `other` for unknown fields.
    pub fn label(&self) -> &'static str {
        crate::fields::label(&self.field)
    }
}

/// The reasons for which a field is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A required field is absent or empty.
    Required,
    /// A value of the wrong type, out of range or with characters that the field does not take.
    Invalid,
    /// Longer than the limit.
    LengthExceeded,
    /// Nothing but white space.
    WhitespaceOnly,
    /// Characters of a script or an element of HTML in an identifier.
    XssDetected,
    /// Characters of SQL in an identifier.
    SqlInjectionDetected,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Reason; 6] = [
        Reason::Required,
        Reason::Invalid,
        Reason::LengthExceeded,
        Reason::WhitespaceOnly,
        Reason::XssDetected,
        Reason::SqlInjectionDetected,
    ];

    /// The word in JSON and in labels of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Invalid => "invalid",
            Self::LengthExceeded => "length_exceeded",
            Self::WhitespaceOnly => "whitespace_only",
            Self::XssDetected => "xss_detected",
            Self::SqlInjectionDetected => "sql_injection_detected",
        }
    }
}
