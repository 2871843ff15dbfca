//! `data`: free, except for the keys that each kind knows.

use serde_json::{Map, Value};

use crate::json::MAX_INTEGER;
use crate::{FieldError, Kind, Reason, redact};

/// The most bytes of `data`, written as compact JSON.
const MAX_BYTES: usize = 64 * 1024;

/// What a known key holds.
#[derive(Clone, Copy)]
enum Holds {
    /// A string of at most so many characters.
    Text(usize),
    /// A number from 0 to 1.
    Fraction,
    /// An integer that is not negative.
    Count,
    /// True or false.
    Flag,
}

/// The known keys. Absent and null are allowed everywhere.
const KEYS: &[(Kind, &str, Holds)] = &[
    (Kind::AiAnalysis, "provider", Holds::Text(100)),
    (Kind::AiAnalysis, "model", Holds::Text(255)),
    (Kind::AiAnalysis, "confidence", Holds::Fraction),
    (Kind::AiAnalysis, "tokens_used", Holds::Count),
    (Kind::Workflow, "workflow_id", Holds::Text(255)),
    (Kind::Workflow, "completed_steps", Holds::Count),
    (Kind::Workflow, "total_steps", Holds::Count),
    (Kind::Execution, "execution_id", Holds::Text(255)),
    (Kind::Execution, "workflow_id", Holds::Text(255)),
    (Kind::Execution, "dry_run", Holds::Flag),
    (Kind::Remediation, "pre_spec_hash", Holds::Text(255)),
    (Kind::Remediation, "post_spec_hash", Holds::Text(255)),
];

/// Reads `data` and checks it for a kind.
pub(crate) fn read(value: Option<Value>, kind: Option<Kind>, errors: &mut Vec<FieldError>) -> Map<String, Value> {
    let data = match value {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(data)) => data,
        Some(_) => {
            errors.push(FieldError::new("data", Reason::Invalid, "expected an object"));
            Map::new()
        }
    };
    errors.extend(check_size(&data).err());
    for (_, key, holds) in KEYS.iter().filter(|(of, ..)| Some(*of) == kind) {
        if let Some((reason, message)) = data.get(*key).and_then(|value| holds.fault(value)) {
            errors.push(FieldError::new(format!("data.{key}"), reason, message));
        }
    }
    if kind == Some(Kind::Workflow) {
        let steps = |key: &str| data.get(key).and_then(Value::as_f64);
        if let (Some(completed), Some(total)) = (steps("completed_steps"), steps("total_steps"))
            && completed > total
        {
            let message = "is greater than total_steps";
            errors.push(FieldError::new("data.completed_steps", Reason::Invalid, message));
        }
    }
    data
}

/// Whether `data` is small enough, before and after it was redacted.
pub(crate) fn check_size(data: &Map<String, Value>) -> Result<(), FieldError> {
    let text = serde_json::to_string(data).unwrap_or_default();
    let bytes = redact::length_without_markers(&text, str::len);
    let message = if bytes > MAX_BYTES {
        format!("has {bytes} bytes as compact JSON; at most {MAX_BYTES} are allowed")
    } else if text.len() > redact::GROWTH * MAX_BYTES {
        let most = redact::GROWTH * MAX_BYTES;
        format!("has {} bytes as compact JSON after the secrets are replaced; at most {most} are allowed", text.len())
    } else {
        return Ok(());
    };
    Err(FieldError::new("data", Reason::LengthExceeded, message))
}

impl Holds {
    fn fault(self, value: &Value) -> Option<(Reason, String)> {
        if value.is_null() {
            return None;
        }
        let invalid = |expected: &str| Some((Reason::Invalid, format!("expected {expected}")));
        match self {
            Self::Text(limit) => match value.as_str().map(|text| text.chars().count()) {
                None => invalid("a string"),
                Some(length) if length > limit => {
                    Some((Reason::LengthExceeded, format!("has {length} characters; at most {limit} are allowed")))
                }
                Some(_) => None,
            },
            Self::Fraction if value.as_f64().is_some_and(|n| (0.0..=1.0).contains(&n)) => None,
            Self::Fraction => invalid("a number from 0 to 1"),
            Self::Count if integer(value).is_some_and(|n| n >= 0) => None,
            Self::Count => invalid("an integer that is not negative"),
            Self::Flag if value.is_boolean() => None,
            Self::Flag => invalid("true or false"),
        }
    }
}

/// An integer, also where it is written as `1e2` or `3.0`.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "whole and within ±2^53")]
        (number.fract() == 0.0 && number.abs() <= MAX_INTEGER as f64).then_some(number as i64)
    })
}
